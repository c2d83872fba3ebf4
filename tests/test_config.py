from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from medssl.config import (
    LocalPath,
    StrictModel,
    merge,
    parse_overrides,
    read_yaml,
    validate,
)
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


class Cat(StrictModel):
    name: Literal["cat"] = "cat"
    lives: int = 9


class Dog(StrictModel):
    name: Literal["dog"] = "dog"
    bones: int = 0


class Owner(StrictModel):
    pet: Cat | Dog = Field(discriminator="name")


@pytest.mark.parametrize(
    ("pet", "says"),
    [
        ({"name": "catt"}, "x.pet: unknown name 'catt'; did you mean cat?"),
        ({"name": "ox"}, "x.pet: unknown name 'ox'; known: cat, dog"),
        ({"name": "cat", "lifes": 1}, "x.pet.cat.lifes: unknown key; did you mean lives?"),
        ({"name": "cat", "bones": 1}, "x.pet.cat.bones: unknown key; known: lives, name"),
    ],
)
def test_the_hints_for_one_of_several_models_are_its_own(pet, says):
    with pytest.raises(ConfigError) as error:
        validate(Owner, {"pet": pet}, where="x")
    assert str(error.value) == says


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


def test_overrides_reach_into_lists():
    below = {"sources": [{"rate": 1, "units": "mV"}, {"rate": 2}], "names": ["a"]}
    above = parse_overrides(["sources.1.rate=3", "sources.0.units=V"])
    assert merge(below, above)["sources"] == [{"rate": 1, "units": "V"}, {"rate": 3}]
    beyond = parse_overrides(["sources.2.rate=3"])
    assert merge(below, beyond)["sources"] == {"2": {"rate": 3}}  # which validation refuses


def test_a_setting_of_a_method_that_is_told_by_its_name_keeps_the_method():
    below = {"pretrain": {"method": "convirt", "site": "north"}}
    above = parse_overrides(["pretrain.method.loss=siglip", "pretrain.site.pattern=x"])
    assert merge(below, above)["pretrain"] == {
        "method": {"name": "convirt", "loss": "siglip"},
        "site": {"pattern": "x"},
    }
    other = parse_overrides(["pretrain.method=simclr"])
    assert merge(below, other)["pretrain"]["method"] == "simclr"


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


class Weights(StrictModel):
    folder: LocalPath | None = None


def test_paths_of_settings_know_the_environment(monkeypatch):
    monkeypatch.setenv("MODELS", "/models")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("NOWHERE", raising=False)
    for given, expected in {
        "${MODELS}/bert": "/models/bert",
        "~/bert": "/home/me/bert",
        "bert": "bert",
        "${NOWHERE}/bert": "${NOWHERE}/bert",  # shown by whoever finds nothing there
    }.items():
        assert Weights(folder=given).folder == Path(expected)
    assert Weights().folder is None
