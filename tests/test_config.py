import pytest
from pydantic import Field

from medssl.config import StrictModel, parse_overrides, read_yaml, validate
from medssl.errors import ConfigError


class Inner(StrictModel):
    steps: int = Field(1, ge=1)
    rate: float = 1.0


class Outer(StrictModel):
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    name: str


def test_every_problem_is_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        validate(Outer, {"inner": {"stpes": 2, "rate": "fast"}, "many": [{"raet": 1}]}, where="x")
    message = str(caught.value)
    assert message.startswith("4 problems")
    assert "x.inner.stpes: unknown key; did you mean steps?" in message
    assert "x.inner.rate: input should be a valid number" in message
    assert "'fast'" in message
    assert "x.many.0.raet: unknown key; did you mean rate?" in message
    assert "x.name: missing" in message


def test_one_problem_is_one_line():
    with pytest.raises(ConfigError) as caught:
        validate(Outer, {"name": "a", "inner": {"steps": 0}}, where="")
    assert str(caught.value).count("\n") == 0
    assert "inner.steps" in str(caught.value)
    assert "greater than or equal to 1" in str(caught.value)


def test_extends_merges_relative_to_the_file(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "base.yaml").write_text("a: {b: 1, c: [1, 2]}\nd: 4\n")
    (tmp_path / "top.yaml").write_text("extends: below/base.yaml\na: {c: [3]}\n")
    assert read_yaml(tmp_path / "top.yaml") == {"a": {"b": 1, "c": [3]}, "d": 4}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not valid YAML"),
        ("- 1\n- 2\n", "key: value pairs"),
        ("extends: self.yaml\n", "extends itself"),
        ("extends: nowhere.yaml\n", "no configuration file"),
    ],
)
def test_unusable_files_end_in_one_line(tmp_path, text, says):
    path = tmp_path / "self.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_overrides_nest_and_keep_types():
    assert parse_overrides(["a.b=1e-3", "a.c=true", "d=[1, x]", "e="]) == {
        "a": {"b": "1e-3", "c": True},
        "d": [1, "x"],
        "e": None,
    }


@pytest.mark.parametrize("item", ["steps", "=3", "a..b=3", "a=[1"])
def test_unusable_overrides_are_named(item):
    with pytest.raises(ConfigError, match="override"):
        parse_overrides([item])
