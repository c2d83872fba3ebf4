"""Names by which images and reports may belong together: parts of paths, columns, headers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from medssl.initialise.answers import COLUMN, FILE, FOLDER, HEADER, PATTERN
from medssl.initialise.name_parts import Part, split_names

_ENDING: Final = r"\.[^./]+$"
Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One way to name what an image or a report belongs to.

    Args:
        kind: Where the name stands: `pattern`, `folder`, `file`, `header` or `column`.
        said: The pattern, whose group is called `key`, or the columns.
        told: The name for each file or row; None where there is none.
    """

    kind: str
    said: tuple[str, ...]
    told: tuple[str | None, ...]

    @property
    def values(self) -> set[str]:
        """All names."""
        return {name for name in self.told if name}

    @property
    def covers(self) -> float:
        """Share of the files or rows that have a name."""
        return sum(map(bool, self.told)) / max(len(self.told), 1)

    @property
    def grouping(self) -> tuple[int, ...]:
        """The same for keys that group alike."""
        seen: dict[str | None, int] = {}
        return tuple(seen.setdefault(name, len(seen)) for name in self.told)

    def pattern(self, group: str) -> str:
        """The pattern, with a group of this name."""
        return self.said[0].replace("(?P<key>", f"(?P<{group}>")

    def config(self, group: str) -> Config:
        """As a rule of a source; a column is no rule of its own."""
        rules: dict[str, Config] = {
            FOLDER: {"from_parent": True},
            FILE: {"each_recording": True},
            HEADER: {"header": True},
        }
        return rules[self.kind] if self.kind in rules else {"pattern": self.pattern(group)}

    def answer(self, group: str) -> str:
        """As an answer."""
        if self.kind == "pattern":
            return PATTERN + self.pattern(group)
        return COLUMN + ",".join(self.said) if self.kind == "column" else self.kind

    def words(self, group: str) -> str:
        """The rule in words."""
        if self.kind == "pattern":
            return f"pattern {self.pattern(group)}"
        if self.kind == "column":
            return f"column {' and '.join(map(repr, self.said))}"
        return {FOLDER: "the file's folder", FILE: "each file", HEADER: "the header"}[self.kind]


def pattern_key(paths: Sequence[str], pattern: str) -> Key:
    """What a pattern with a group `key` finds."""
    compiled = re.compile(pattern)
    found = (compiled.search(path) for path in paths)
    return Key("pattern", (pattern,), tuple(one["key"] or None if one else None for one in found))


def parent_key(paths: Sequence[str]) -> Key:
    """The path of the folder, as a study has it."""
    return Key(FOLDER, (), tuple(PurePosixPath(path).parent.as_posix() for path in paths))


def file_key(paths: Sequence[str]) -> Key:
    """Each file for itself."""
    return Key(FILE, (), tuple(PurePosixPath(path).with_suffix("").as_posix() for path in paths))


def path_keys(paths: Sequence[str]) -> list[Key]:
    """Parts of paths that tell files apart: folders, file names, and the starts of these.

    Args:
        paths: Files.
    """
    patterns = [*_folders(paths), *_names(paths)]
    keys = [pattern_key(paths, pattern) for pattern in dict.fromkeys(patterns)]
    return [key for key in keys if len(key.values) > 1]


def _folders(paths: Sequence[str]) -> Iterator[str]:
    folders = [PurePosixPath(path).parts[:-1] for path in paths]
    depths = {len(parts) for parts in folders}
    for level in range(min(depths)):
        names = [parts[level] for parts in folders]
        before = "^" + "[^/]+/" * level
        if len(set(names)) < 2:
            continue
        yield f"{before}(?P<key>[^/]+)/"
        parts = split_names(names)
        for place in (place for place, part in enumerate(parts) if part.varies):
            yield from (f"{before}{inner}/" for inner in _around(parts, place, place))


def _names(paths: Sequence[str]) -> Iterator[str]:
    stems = [PurePosixPath(path).stem for path in paths]
    parts = split_names(stems)
    varying = [place for place, part in enumerate(parts) if part.varies]
    for place in varying:
        yield from (f"(?:^|/){inner}{_ENDING}" for inner in _around(parts, place, place))
    first = {0, *varying[:1]}
    for last in varying:
        for start in sorted(first):
            if start < last:
                yield from (f"(?:^|/){inner}{_ENDING}" for inner in _around(parts, start, last))
    yield rf"(?:^|/)(?P<key>[^/]+){_ENDING}"


def _around(parts: Sequence[Part], first: int, last: int) -> Iterator[str]:
    """The names' pattern with a run of parts as the key, with and without leading zeros."""
    pieces = [part.expression for part in parts]
    inner = "".join(pieces[first : last + 1])
    zeros = any(value and value.startswith("0") for value in parts[first].values)
    for skip in ("", "0*") if zeros else ("",):
        yield "".join([*pieces[:first], f"{skip}(?P<key>{inner})", *pieces[last + 1 :]])


@dataclass(frozen=True, slots=True)
class Join:
    """A name that images and reports share.

    Args:
        image: Of the images.
        report: Of the reports.
        shared: Names on both sides.
        images: Share of the images that have a report.
        reports: Share of the reports that have an image.
    """

    image: Key
    report: Key
    shared: set[str]
    images: float
    reports: float

    @property
    def score(self) -> float:
        """How well the two fit."""
        return (self.images + self.reports) / 2


_LEAST: Final = 0.2
FEWEST: Final = 4
"""Names that fewer studies share may be alike by chance."""


def joins(image_keys: Sequence[Key], report_keys: Sequence[Key], *, one: bool) -> list[Join]:
    """Pairs of names under which images and reports meet, the best first.

    A study has one report: a name that several reports share is none of studies, unless these are
    rows that may be joined.

    Args:
        image_keys: Names of images.
        report_keys: Names of reports.
        one: Whether a name must belong to one report.
    """
    found = []
    named = [(image, image.values) for image in image_keys]
    for report in report_keys:
        counts = Counter(name for name in report.told if name)
        if one and len(counts) < 0.95 * counts.total():
            continue
        for image, names in named:
            shared = names & counts.keys()
            if len(shared) < FEWEST:
                continue
            join = Join(image, report, shared, _share(image, shared), _share(report, shared))
            if min(join.images, join.reports) >= _LEAST:
                found.append(join)
    return sorted(found, key=lambda join: (-round(join.score, 2), -len(join.shared)))


def _share(key: Key, names: set[str]) -> float:
    """Share of the files or rows that have one of the names."""
    return sum(name in names for name in key.told) / max(len(key.told), 1)
