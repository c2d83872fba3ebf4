"""One way to configure: strict models, YAML files that may extend others, dotted overrides."""

from __future__ import annotations

import difflib
import inspect
import json
import os
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from medssl.errors import ConfigError

M = TypeVar("M", bound="StrictModel")


class StrictModel(BaseModel):
    """Base of every configuration: unknown keys are errors, values are checked, nothing mutates."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class StoredModel(StrictModel):
    """Settings that a store keeps with each record."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The settings that `text` gave.

        Raises:
            ValueError: It is not one.
        """
        return cls.model_validate_json(text)

    @property
    def text(self) -> str:
        """One line of JSON, equal for equal settings."""
        return json.dumps(self.model_dump(exclude_none=True), sort_keys=True)


def expand(path: Path) -> Path:
    """A path with `~` and `${VARIABLES}` replaced; a variable that is not set stays in it.

    Whoever opens the path then says that it is absent, and shows the variable's name.
    """
    text = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1]) or found[0], str(path))
    return Path(text).expanduser()


LocalPath = Annotated[Path, AfterValidator(expand)]
"""A file or folder that a setting names."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; `extends: other.yaml` (relative to the file) is merged underneath.

    Raises:
        ConfigError: The file is absent, is not YAML, is not a mapping, or extends itself.
    """
    return _read_yaml(path, seen=())


def _read_yaml(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        msg = f"{path} extends itself: remove one of the extends lines"
        raise ConfigError(msg)
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"no configuration file at {path}"
        raise ConfigError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read {path}: {error}"
        raise ConfigError(msg) from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        msg = f"{path} is not valid YAML: {reason}"
        raise ConfigError(msg) from error
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        msg = f"{path} must hold key: value pairs, not a {type(loaded).__name__}"
        raise ConfigError(msg)
    base = loaded.pop("extends", None)
    if base is None:
        return loaded
    bases = [base] if isinstance(base, str) else base
    if not isinstance(bases, list) or not all(isinstance(name, str) for name in bases):
        msg = f"{path}: extends must be a file name or a list of file names"
        raise ConfigError(msg)
    merged: dict[str, Any] = {}
    for name in bases:
        merged = merge(merged, _read_yaml(path.parent / name, (*seen, path)))
    return merge(merged, loaded)


_NAMED: Final = frozenset({"method", "loss"})
"""Keys whose text is short for a mapping with that `name`."""


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings; `above` wins, lists are replaced whole.

    A mapping of places above a list of mappings changes those places. A nested mapping is replaced
    whole when its `name` changes: an encoder's settings mean nothing to another one. `method: m` is
    short for `method: {name: m}`, also where a setting of it is changed; so is `loss: l`.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    >>> merge({"encoder": {"name": "small", "depth": 2}}, {"encoder": {"name": "large"}})
    {'encoder': {'name': 'large'}}
    >>> merge({"sources": [{"rate": 64}]}, {"sources": {"0": {"rate": 128}}})
    {'sources': [{'rate': 128}]}
    >>> merge({"method": "convirt"}, {"method": {"gap": 1}})
    {'method': {'name': 'convirt', 'gap': 1}}
    >>> merge({"method": {"name": "convirt", "gap": 1}}, {"method": "convirt"})
    {'method': {'name': 'convirt', 'gap': 1}}
    """
    merged = dict(below)
    for key, value in above.items():
        held = merged.get(key)
        if key in _NAMED and isinstance(held, str) and isinstance(value, Mapping):
            held = {"name": held}
        if key in _NAMED and isinstance(value, str) and isinstance(held, Mapping):
            value = {"name": value}
        if isinstance(value, Mapping) and isinstance(held, Mapping):
            renamed = "name" in value and "name" in held and value["name"] != held["name"]
            merged[key] = dict(value) if renamed else merge(held, value)
        elif isinstance(held, list) and _are_places(value, len(held)):
            places = merge({str(place): item for place, item in enumerate(held)}, value)
            merged[key] = list(places.values())
        else:
            merged[key] = value
    return merged


def _are_places(value: Any, count: int) -> bool:
    """Whether the keys of a mapping are places in a list, as in `sources.0.rate=64`."""
    places = {str(place) for place in range(count)}
    return isinstance(value, Mapping) and bool(value) and set(value) <= places


def parse_overrides(items: Iterable[str]) -> dict[str, Any]:
    """Turn `key.sub=value` items into a nested mapping; values are read as YAML.

    >>> parse_overrides(["pretrain.steps=200", "pretrain.views=[cutout]"])
    {'pretrain': {'steps': 200, 'views': ['cutout']}}

    Raises:
        ConfigError: An item has no `=`, an empty key, or a value that is not YAML.
    """
    merged: dict[str, Any] = {}
    for item in items:
        key, found, text = item.partition("=")
        if not found or not all(key.split(".")):
            msg = f"override {item!r} is not of the form key=value or stage.key=value"
            raise ConfigError(msg)
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            msg = f"override {item!r}: the value is not valid YAML; put it in quotes"
            raise ConfigError(msg) from error
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        merged = merge(merged, nested)
    return merged


def validate(model: type[M], values: Mapping[str, Any], *, where: str) -> M:
    """Build a model, or report every problem at once, each with its place and a remedy.

    Args:
        model: The configuration class.
        values: What the user wrote.
        where: Prefix for the keys in messages, such as `"pretrain"`.

    Raises:
        ConfigError: One line per problem; an unknown key names its nearest known key.
    """
    problems = find_problems(model, values, where=where)
    if problems:
        raise ConfigError(join_problems(problems))
    return model.model_validate(values)


def join_problems(problems: Sequence[str]) -> str:
    """One message from several problems."""
    if len(problems) == 1:
        return problems[0]
    return f"{len(problems)} problems in the configuration:\n" + "\n".join(
        f"  - {problem}" for problem in problems
    )


def find_problems(model: type[StrictModel], values: Mapping[str, Any], *, where: str) -> list[str]:
    """Every problem that keeps `values` from being a `model`, as sentences."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        return [_describe(model, dict(detail), where) for detail in error.errors()]
    return []


def _describe(model: type[StrictModel], detail: dict[str, Any], where: str) -> str:
    place = [str(part) for part in detail["loc"]]
    full = ".".join([where, *place]) if where else ".".join(place)
    if detail["type"] == "extra_forbidden":
        known = sorted(_known_keys(model, detail["loc"][:-1]))
        return f"{full}: unknown key{nearest(place[-1], known)}"
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        tags = context["expected_tags"].replace("'", "").split(", ")
        discriminator = context["discriminator"].replace("'", "")
        return f"{full}: unknown {discriminator} {context['tag']!r}{nearest(context['tag'], tags)}"
    if detail["type"] == "missing":
        return f"{full}: missing; add it"
    message = detail["msg"].removeprefix("Value error, ")
    given = detail.get("input")
    shown = "" if isinstance(given, dict | list) else f" (got {given!r})"
    return f"{full}: {message[:1].lower()}{message[1:]}{shown}"


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint that names the nearest known word, or lists the known ones.

    >>> nearest("stpes", ["steps", "seed"])
    '; did you mean steps?'
    """
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(known)}" if known else ""


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    models: list[type[BaseModel]] = [model]
    for part in location:
        inner: list[type[BaseModel]] = []
        for candidate in models:
            if isinstance(part, str) and part in candidate.model_fields:
                inner += _models_in(candidate.model_fields[part].annotation)
        # List positions leave the candidates as they are; the tag of a union keeps its own.
        models = inner or [m for m in models if _is_tagged(m, part)] or models
    return {key for candidate in models for key in candidate.model_fields}


def _is_tagged(model: type[BaseModel], part: str | int) -> bool:
    """Whether a model is the one that a union's tag stands for."""
    tags = (typing.get_args(field.annotation) for field in model.model_fields.values())
    return any(part in values for values in tags if len(values) == 1)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for part in typing.get_args(annotation) for found in _models_in(part)]
