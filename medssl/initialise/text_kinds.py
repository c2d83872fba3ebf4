"""Text files grouped into kinds: recordings of one layout, trends, event lists, documents."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from medssl.errors import IngestError
from medssl.ingest.listing import is_paper
from medssl.initialise import tables
from medssl.initialise.channel_names import modality_of_channel, modality_of_word
from medssl.initialise.listing import Listing, plural, spread, suffix
from medssl.initialise.text_shape import NoTable, TextShape, read_shape
from medssl.initialise.time_column import MIN_RATE, TimeColumn, is_event_list, split_columns

SUFFIXES: Final = frozenset({".txt", ".csv", ".tsv", ".dat", ".asc"})
MAX_FILES: Final = 40
"""Files of each kind that are looked into."""
_MAX_WORDS: Final = 8
"""More last words in file names than this are names, not kinds."""
_MIN_SAMPLES: Final = 50
_ALONE: Final = 5
"""One file beside this many of another kind is a table about them."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one file told."""

    shape: TextShape
    time: TimeColumn | None
    channels: tuple[str, ...]


@dataclass(slots=True)
class TextKind:
    """Files of one extension, and of one last word where that matters.

    Args:
        suffix: Extension.
        word: Last word of the file names, as written; empty when it does not matter.
        paths: All files.
        opened: Those looked into.
        looks: What the readable ones of those looked into told, by path.
        unreadable: Those that are no tables of numbers, by reason.
    """

    suffix: str
    word: str
    paths: list[str]
    opened: list[str] = field(default_factory=list)
    looks: dict[str, Look] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)

    @property
    def looked(self) -> int:
        """Files looked into."""
        return len(self.opened)

    @property
    def title(self) -> str:
        """How the kind is called in findings; names no participant."""
        return plural(len(self.paths), f"{self.suffix} file")

    def why_no_recording(self) -> str:
        """Why these are no recordings; empty when they may be."""
        if 2 * len(self.looks) <= self.looked:
            told = self.unreadable.most_common(1)
            return told[0][0] if told else "not looked into"
        shapes = list(self.looks.values())
        if all(look.time is not None and look.time.unit != "unknown" and
               look.time.hertz < MIN_RATE for look in shapes):  # fmt: skip
            rate = shapes[0].time.hertz if shapes[0].time else 0.0
            return f"numbers at {rate:g} Hz, too slow for waveforms"
        if all(is_event_list(look.shape) for look in shapes):
            return "lists of rising numbers, such as times of events"
        if max(look.shape.samples for look in shapes) < _MIN_SAMPLES:
            return f"tables of fewer than {_MIN_SAMPLES} rows"
        return ""


def find_kinds(listing: Listing, paths: Sequence[str]) -> list[TextKind]:
    """Group text files into kinds and look into an evenly spaced sample of each.

    Files are told apart by extension, and by the last word of their names (`01_Signals.csv`,
    `01_Numerics.csv`) only when the words stand for different layouts or modalities: other words
    may be names of people.

    Args:
        listing: The folder.
        paths: Its text files.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        if not is_paper(path):
            groups[suffix(path)].append(path)
    kinds = []
    for extension, members in sorted(groups.items()):
        apart = _tables_among(listing.folder, members)
        rest = [path for path in members if path not in apart]
        found = [TextKind(extension, "", apart)] if apart else []
        found += _by_word(extension, rest) if rest else []
        kinds += _merged([_surveyed(listing.folder, kind) for kind in found])
    return kinds


def _tables_among(folder: Path, paths: Sequence[str]) -> list[str]:
    """Tables of words, such as `labels.csv`, whose names are unlike all others but for digits."""
    make = {path: re.sub(r"\d+", "#", PurePosixPath(path).name) for path in paths}
    counts = Counter(make.values())
    alone = [path for path in paths if counts[make[path]] == 1 and suffix(path) in tables.SUFFIXES]
    return [path for path in spread(alone, MAX_FILES) if _is_table(folder, path)]


def _is_table(folder: Path, path: str) -> bool:
    try:
        if not (folder / path).resolve().is_relative_to(folder):
            return False
        read_shape(folder / path)
    except NoTable:
        pass  # no numbers: a table about the recordings, or a broken recording
    except OSError:
        return False
    else:
        return False
    try:
        if (folder / path).stat().st_size > tables.MAX_BYTES:
            return False
        return isinstance(tables.look_at_table(folder, path), tables.Table)
    except (IngestError, OSError):
        return False


def _by_word(extension: str, paths: list[str]) -> list[TextKind]:
    words: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        match = re.search(r"[^\W\d_]+$", PurePosixPath(path).stem)
        words[match.group() if match else ""].append(path)
    few = len(words) <= _MAX_WORDS and min(map(len, words.values())) >= 2
    if not few:
        return [TextKind(extension, "", paths)]
    return [TextKind(extension, word, members) for word, members in sorted(words.items())]


def _surveyed(folder: Path, kind: TextKind) -> TextKind:
    kind.opened = spread(kind.paths, MAX_FILES)
    for path in kind.opened:
        try:
            if not (folder / path).resolve().is_relative_to(folder):
                kind.unreadable["links out of the folder"] += 1
                continue
            shape = read_shape(folder / path)
        except NoTable as verdict:
            kind.unreadable[str(verdict)] += 1
        except OSError as error:
            kind.unreadable[error.strerror or type(error).__name__] += 1
        else:
            kind.looks[path] = Look(shape, *split_columns(shape))
    return kind


def _merged(kinds: list[TextKind]) -> list[TextKind]:
    """Join kinds whose words make no difference."""
    merged: list[TextKind] = []
    for kind in kinds:
        twin = next((one for one in merged if _alike(one, kind)), None)
        if twin is None:
            merged.append(kind)
            continue
        twin.word = ""
        twin.paths = sorted([*twin.paths, *kind.paths])
        twin.opened = sorted([*twin.opened, *kind.opened])
        twin.looks |= kind.looks
        twin.unreadable += kind.unreadable
    return merged


def _alike(left: TextKind, right: TextKind) -> bool:
    if bool(left.why_no_recording()) or bool(right.why_no_recording()):
        return left.why_no_recording() == right.why_no_recording()
    if modality_of_word(left.word) != modality_of_word(right.word):
        return False
    if usual_signature(left) != usual_signature(right):
        return False
    mine, theirs = (set().union(*(look.channels for look in kind.looks.values()))
                    for kind in (left, right))  # fmt: skip
    return 2 * len(mine & theirs) >= len(mine | theirs)


def usual_signature(kind: TextKind) -> tuple[str, str, bool, int, bool]:
    """The layout of most files."""
    counts = Counter(look.shape.signature for look in kind.looks.values())
    return counts.most_common(1)[0][0]


def recordings_among(
    kinds: Sequence[TextKind],
) -> tuple[list[TextKind], list[tuple[TextKind, str]]]:
    """The kinds that may be recordings, and each other with the reason why it is none."""
    reasons = {id(kind): kind.why_no_recording() for kind in kinds}
    most = max((len(kind.paths) for kind in kinds if not reasons[id(kind)]), default=0)
    for kind in kinds:
        if len(kind.paths) == 1 and most >= _ALONE and not reasons[id(kind)]:
            reasons[id(kind)] = "one table beside many recordings"
    chosen = [kind for kind in kinds if not reasons[id(kind)]]
    chosen.sort(key=lambda kind: -sum(_tells(kind)))
    return chosen, [(kind, reasons[id(kind)]) for kind in kinds if reasons[id(kind)]]


def _tells(kind: TextKind) -> list[bool]:
    names = set().union(*(look.channels for look in kind.looks.values()))
    return [modality_of_channel(name) is not None for name in names]


def glob_of(kind: TextKind) -> str:
    """The narrowest glob that finds a kind.

    Args:
        kind: The kind.
    """
    parents = {PurePosixPath(path).parent.as_posix() for path in kind.paths}
    endings = Counter(PurePosixPath(path).suffix for path in kind.paths)
    ending = endings.most_common(1)[0][0]
    name = f"*{kind.word}{ending}"
    same = {PurePosixPath(path).name for path in kind.paths}
    if len(same) == 1:
        name = same.pop()
    if len(parents) > 1:
        return f"**/{name}"
    parent = parents.pop()
    return name if parent == "." else f"{parent}/{name}"
