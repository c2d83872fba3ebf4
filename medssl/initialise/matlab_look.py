"""Look at MATLAB files: which variables are signals, and whether one holds several recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from medssl.ingest.ledger import Unreadable
from medssl.ingest.waveforms.matlab_reader import open_matlab
from medssl.ingest.waveforms.matlab_tree import Node, walk
from medssl.initialise.answers import Answers, Question
from medssl.initialise.channel_names import modality_of_channel
from medssl.initialise.facts import Facts
from medssl.initialise.listing import plural, spread
from medssl.initialise.wfdb_look import told
from medssl.types import Modality

MAX_FILES: Final = 20
MAX_BYTES: Final = 256 << 20
_DEPTH: Final = 4
_MIN_SAMPLES: Final = 100
_MAX_CHANNELS: Final = 64
_MAX_VALUES: Final = 500
_MAX_LISTED: Final = 5000
_RATES: Final = frozenset(
    {"fs", "srate", "rate", "sfreq", "freq", "frequency", "samplingrate", "samplerate",
     "samplingfrequency", "samplefrequency", "hz"}
)  # fmt: skip


@dataclass(slots=True)
class Outline:
    """What one recording of a file holds.

    Args:
        shapes: Rows and columns of numeric matrices, by path.
        scalars: Single numbers and texts, by path.
        texts: Lists of texts, by path.
        lists: Elements of struct and cell arrays, by path.
    """

    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)
    scalars: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)

    @property
    def vectors(self) -> dict[str, int]:
        """Samples of what may be a channel alone, by path."""
        return {path: max(shape) for path, shape in self.shapes.items()
                if min(shape) == 1 and max(shape) >= _MIN_SAMPLES}  # fmt: skip

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """What may be all channels together, by path."""
        return {path: shape for path, shape in self.shapes.items()
                if 1 < min(shape) <= _MAX_CHANNELS and max(shape) >= _MIN_SAMPLES}  # fmt: skip

    @property
    def rate(self) -> tuple[str, float] | None:
        """Path and value of the rate, where one number is called so."""
        found = [
            (path, float(text))
            for path, text in self.scalars.items()
            if path.split("/")[-1].casefold().replace("_", "") in _RATES and _is_rate(text)
        ]
        return found[0] if found and len({rate for _, rate in found}) == 1 else None


def look_at_matlab(
    folder: Path, paths: Sequence[str], answers: Answers
) -> tuple[Facts, Question | None]:
    """Look at the variables of an evenly spaced sample of files.

    Args:
        folder: The folder.
        paths: All its MATLAB files that belong to no WFDB header.
        answers: A variable or list of recordings that was given.

    Returns:
        What was found, and what to ask where it cannot be told.
    """
    facts = Facts(format="matlab", paths=tuple(paths), opened=tuple(spread(paths, MAX_FILES)))
    outlines: dict[str, Outline] = {}
    recordings = answers.recordings
    for path in facts.opened:
        try:
            if (folder / path).stat().st_size > MAX_BYTES:
                facts.unreadable[f"larger than {MAX_BYTES >> 20} MB, not looked into"] += 1
                continue
            with open_matlab(folder / path) as root:
                outline = _outline(root)
                if recordings is None and not outline.vectors and not outline.matrices:
                    recordings = _only(outline.lists)
            outlines[path] = outline
        except Unreadable as verdict:
            facts.unreadable[told(verdict)] += 1
        except OSError as error:
            facts.unreadable[error.strerror or type(error).__name__] += 1
    if recordings is not None:
        outlines = _inside(folder, list(paths), recordings, facts)
    return facts, _settle(facts, outlines, recordings, answers)


def _only(lists: dict[str, int]) -> str | None:
    """The largest list, if it is the only one of its length."""
    counts = Counter(lists.values())
    longest = max(lists.items(), key=lambda one: one[1], default=None)
    return longest[0] if longest is not None and counts[longest[1]] == 1 else None


def _inside(
    folder: Path, paths: Sequence[str], recordings: str, facts: Facts
) -> dict[str, Outline]:
    """Outlines of all recordings, which become the paths of the facts."""
    outlines: dict[str, Outline] = {}
    found: list[str] = []
    facts.several = True
    for path in paths:
        try:
            with open_matlab(folder / path, keep=True) as root:
                every = walk(root, recordings)
                for number in range(min(every.count, _MAX_LISTED)):
                    name = f"{path}#{number + 1}"
                    found.append(name)
                    outlines[name] = _outline(every.element(number))
        except Unreadable as verdict:
            facts.unreadable[told(verdict)] += 1
    facts.paths, facts.opened = tuple(found), tuple(outlines)
    return outlines


def _settle(
    facts: Facts, outlines: dict[str, Outline], recordings: str | None, answers: Answers
) -> Question | None:
    """Fill the facts from what most recordings have, or say what to ask."""
    matrices = Counter(path for one in outlines.values() for path in one.matrices)
    vectors = Counter(path for one in outlines.values() for path in one.vectors)
    variable = answers.variable
    if variable is None and len(matrices) == 1 and not vectors:
        (variable,) = matrices
    if variable is None and matrices:
        options = [(path, f"matrix in {count} of {len(outlines)}")
                   for path, count in matrices.most_common(6)]  # fmt: skip
        return Question("variable", "several variables may be the signals", tuple(options))
    shape: dict[str, str | bool] = {} if recordings is None else {"recordings": recordings}
    rates = Counter(one.rate[0] for one in outlines.values() if one.rate is not None)
    rated = rates.most_common(1)[0][0] if rates else None
    if rated is not None and rates[rated] == len(outlines) and answers.rate_in is None:
        shape["rate_variable"] = rated
    facts.time_hint = "" if rated else "no number in them is called fs or rate"
    if variable is not None:
        shape |= {"variable": variable} | _matrix_settings(outlines, variable)
        facts.named = "names_variable" in shape
    facts.shape = shape
    for path, one in outlines.items():
        rate = one.rate[1] if "rate_variable" in shape and one.rate is not None else None
        _add(facts, path, one, variable, rate)
    if recordings is not None:
        facts.notes.append(f"{recordings!r} holds {plural(len(facts.paths), 'recording')}")
    return None


def _matrix_settings(outlines: dict[str, Outline], variable: str) -> dict[str, str]:
    shapes = [one.matrices[variable] for one in outlines.values() if variable in one.matrices]
    if not shapes:
        return {}
    wide = sum(rows < columns for rows, columns in shapes)
    settings = {"layout": "row" if 2 * wide >= len(shapes) else "columns"}
    channels = Counter(min(shape) for shape in shapes).most_common(1)[0][0]
    names = Counter(
        path for one in outlines.values() for path, texts in one.texts.items()
        if len(texts) == channels == len(set(texts))
    )  # fmt: skip
    if len(names) == 1 and names.most_common(1)[0][1] == len(outlines):
        settings["names_variable"] = names.most_common(1)[0][0]
    return settings


def _add(facts: Facts, path: str, one: Outline, variable: str | None, rate: float | None) -> None:
    facts.comments.append(one.scalars)
    if variable is None:
        lengths = one.vectors
        names = list(lengths)
        if not names:
            facts.unreadable["no signal of 100 samples or more"] += 1
            return
        count = Counter(lengths.values()).most_common(1)[0][0]
    elif variable in one.matrices:
        shape = one.matrices[variable]
        count = max(shape)
        names = one.texts.get(str(facts.shape.get("names_variable")), [])
        names = names or [str(number) for number in range(min(shape))]
    else:
        facts.unreadable["no such matrix"] += 1
        return
    facts.lengths[path] = (count, rate)
    for name in names:
        channel = facts.channel(name)
        channel.paths.add(path)
        channel.units[None] += 1
        channel.rates[rate] += 1
        channel.modality = _modality(name) if facts.named else None


def _modality(path: str) -> Modality | None:
    """The modality that any part of a path tells, the last first."""
    told = (modality_of_channel(part) for part in reversed(path.split("/")))
    return next((one for one in told if one is not None), None)


def _outline(node: Node) -> Outline:
    outline = Outline()
    for place, (path, inner) in enumerate(_walk(node, "", 0)):
        if place >= _MAX_VALUES:
            break
        _note(outline, path or ".", inner)
    return outline


def _walk(node: Node, path: str, depth: int) -> Iterator[tuple[str, Node]]:
    """The node and everything below it, as far as structs are single."""
    yield path, node
    if depth >= _DEPTH or (path and _count(node) > 1):
        return
    for name in node.names:
        try:
            inner = node.field(name)
        except Unreadable:
            continue  # an object or damaged variable beside the signals is no matter
        yield from _walk(inner, f"{path}/{name}" if path else name, depth + 1)


def _count(node: Node) -> int:
    try:
        return node.count
    except Unreadable:
        return 0


def _note(outline: Outline, path: str, node: Node) -> None:
    try:
        texts = node.texts()
    except Unreadable:
        texts = []
    if texts:
        outline.texts[path] = texts
        if len(texts) == 1:
            outline.scalars[path] = texts[0]
        return
    if _count(node) > 1:
        outline.lists[path] = _count(node)
        return
    try:
        matrix = node.matrix()
    except Unreadable:
        return
    outline.shapes[path] = (matrix.rows, matrix.columns)
    if (matrix.rows, matrix.columns) == (1, 1):
        value = float(matrix.read(slice(0, 1), slice(0, 1))[0, 0])
        outline.scalars[path] = f"{value:.12g}"


def _is_rate(text: str) -> bool:
    try:
        return 0 < float(text) < 1e6
    except ValueError:
        return False
