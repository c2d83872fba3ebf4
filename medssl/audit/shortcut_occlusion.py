"""Audit: do scores follow the input, or do they come from elsewhere?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from medssl.audit.findings import Finding, Severity
from medssl.audit.occlusion_findings import Case, follows, windows_moved
from medssl.audit.out_of_fold import subsample
from medssl.audit.regions import Region, occlude, regions
from medssl.errors import StageError

AUDIT: Final = "shortcut_occlusion"
INPUT: Final = "input"
SWAPPED: Final = "swapped"
BLANKED: Final = "blanked"
MIN_PARTICIPANTS: Final = 5

IMAGE: Final = 4
"""Axes of an array of images: records, channels, rows, columns."""

Inputs = dict[str, np.ndarray]
Change = tuple[str, str]
"""Name of an input, and what is done to it."""
UNCHANGED: Final[Change] = ("", "")


def shortcut_occlusion(
    predict: Callable[[Any], np.ndarray],
    inputs: np.ndarray | Mapping[str, np.ndarray],
    participants: np.ndarray,
    *,
    target: str,
    encode: Callable[[Any], np.ndarray] | None = None,
    extents: np.ndarray | None = None,
    windows: int = 8,
    patches: int = 6,
    min_movement: float = 0.1,
    max_share: float = 0.8,
    max_border: float = 0.5,
    max_records: int = 1000,
    batch_size: int = 256,
    seed: int = 0,
) -> list[Finding]:
    """Take inputs away and see whether scores move.

    Each input in turn is *swapped* with that of another participant, *blanked* (every record gets
    the same mean value, and a text becomes empty), and, where it is an array, *occluded* one window
    at a time (the window gets the mean of its record). Movement is

    M = mean_i |f(x_i) − f(x′_i)|₁ / mean_i mean_{j of other participants} |f(x_i) − f(x_j)|₁,

    averaged inside participants first. A score that depends on the input alone moves by M = 1 when
    it is swapped and by at least 0.5 when it is blanked; one that ignores it, by 0.

    Of images the cells at the border are judged together, too: letters in a corner, padding and
    collimation are there, and what is diagnosed is mostly not.

    Args:
        predict: From inputs of the form of `inputs` (an array, or a mapping of several) to scores
            of shape (n,) or (n, k). It gets copies, at most `batch_size` records at a time.
        inputs: One array whose first axis are records, or several by name: waveforms (n, c, t),
            images (n, c, h, w), volumes (n, c, z, h, w), features (n, d), texts (n,).
        participants: Participant of each record, shape (n,).
        target: Name of what is scored.
        encode: The first half of the model, from inputs to features (n, d), at most `batch_size`
            records at a time; `predict` then gets the features of all changes in one call. None
            where `predict` takes the inputs themselves.
        extents: Rows and columns of each image, shape (n, 2), where images stand centred in squares
            that are no part of them; cells are then those of the image.
        windows: Windows along the time of a waveform, or along features.
        patches: Patches along each axis of an image or a volume.
        min_movement: M of a swapped or blanked input below which the score is said to come from
            elsewhere.
        max_share: Share of the movement of all windows in one of them at which a finding is given.
        max_border: The same for the border of images: 0 is as much as its share of the area, 1 all.
        max_records: More records are subsampled by participant.
        batch_size: Records in one call of `encode`, or of `predict` without it.
        seed: Of subsample, swaps and bootstrap.

    Returns:
        One finding on whether scores follow it for each input, and for each array one on whether a
        single window moves them: a warning at the border (text burnt in, padding, start of a
        recording), a note inside; for images, one on their border.

    Raises:
        ValueError: Inputs and participants differ in length.
        StageError: A score is not finite.
    """
    given: Inputs = dict(inputs) if isinstance(inputs, Mapping) else {INPUT: inputs}
    if any(len(values) != len(participants) for values in given.values()):
        msg = "give one input and one participant for each record"
        raise ValueError(msg)
    rows = subsample(participants, max_records, seed=seed)
    people = np.asarray(participants)[rows]
    given = {name: np.asarray(values)[rows] for name, values in given.items()}
    if len(np.unique(people)) < MIN_PARTICIPANTS:
        return [_nothing(target, people, "too few participants", "Score more participants.")]
    whole = not isinstance(inputs, Mapping)
    content = None if extents is None else np.asarray(extents)[rows]
    pieces = {name: _pieces(values, content, windows, patches) for name, values in given.items()}

    def read(changed: Inputs) -> np.ndarray:
        return _batched(encode or predict, changed, whole, batch_size)

    changes = _changes(given, pieces, content, people, seed)
    said = {change: read(changed) for change, changed in changes}
    scores = _scores(said, None if encode is None else predict)
    before = scores.pop(UNCHANGED)
    spread = _spread(before, people)
    if not spread.max() > 1e-9 * max(float(np.abs(before).max()), 1e-300):
        advice = "Do not use this score: it says the same of everybody."
        return [_nothing(target, people, "every record has the same score", advice)]
    moved = {change: np.abs(before - after).sum(axis=1) for change, after in scores.items()}
    findings = []
    for name, values in given.items():
        case = Case(AUDIT, target, name, people, spread, seed)
        both = {change: moved[name, change] for change in (SWAPPED, BLANKED)}
        findings.append(follows(case, both, least=min_movement))
        parts = {region: moved[name, region.label] for region in pieces[name]}
        if parts:
            border = max_border if values.ndim == IMAGE else None
            findings += windows_moved(case, parts, most=max_share, border=border)
    return findings


def _nothing(target: str, people: np.ndarray, reason: str, advice: str) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE,
        title=f"{target}: occlusion says nothing, since {reason}",
        n_participants=len(np.unique(people)),
        n_records=len(people),
        advice=advice,
    )


def _changes(
    given: Inputs,
    pieces: Mapping[str, list[Region]],
    content: np.ndarray | None,
    people: np.ndarray,
    seed: int,
) -> Iterator[tuple[Change, Inputs]]:
    """The inputs as they are, and under every change; one at a time, so that memory is bounded."""
    yield UNCHANGED, given
    for name, values in given.items():
        yield (name, SWAPPED), given | {name: values[_partners(people, seed)]}
        yield (name, BLANKED), given | {name: _blank(values)}
        for region in pieces[name]:
            covered = occlude(values, region, content if values.ndim == IMAGE else None)
            yield (name, region.label), given | {name: covered}


def _batched(
    read: Callable[[Any], np.ndarray], given: Inputs, whole: bool, size: int
) -> np.ndarray:
    """What a function says of inputs, some at a time, shape (n, k)."""
    count = len(next(iter(given.values())))
    found = []
    for start in range(0, count, size):
        part = {name: values[start : start + size].copy() for name, values in given.items()}
        said = np.asarray(read(part[INPUT] if whole else part), dtype=np.float64)
        found.append(said.reshape(len(said), -1))
    return np.concatenate(found)


def _scores(
    found: dict[Change, np.ndarray], predict: Callable[[Any], np.ndarray] | None
) -> dict[Change, np.ndarray]:
    """Scores of every change, each of shape (n, k)."""
    scores = found
    if predict is not None:
        said = np.asarray(predict(np.concatenate(list(found.values()))), dtype=np.float64)
        parts = np.split(said.reshape(len(said), -1), len(found))
        scores = dict(zip(found, parts, strict=True))
    for some in scores.values():
        bad = int((~np.isfinite(some)).any(axis=1).sum())
        if bad:
            msg = (
                f"occlusion: {bad} of {len(some)} scores are not finite: look at the model on "
                "these inputs"
            )
            raise StageError(msg)
    return scores


def _spread(scores: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Mean distance of each record's score to those of the other participants, shape (n,)."""
    found = np.empty(len(scores))
    for place, row in enumerate(scores):
        found[place] = np.abs(scores[people != people[place]] - row).sum(axis=1).mean()
    return found


def _partners(people: np.ndarray, seed: int) -> np.ndarray:
    """A record of another participant for each record: participants stand in a random circle."""
    generator = np.random.default_rng(seed)
    names, codes, counts = np.unique(people, return_inverse=True, return_counts=True)
    circle = generator.permutation(len(names))
    after = np.empty(len(names), dtype=np.int64)
    after[circle] = np.roll(circle, -1)
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    other = after[codes]
    drawn = (generator.random(len(people)) * counts[other]).astype(np.int64)
    return np.asarray(order[starts[other] + drawn])


def _numeric(values: np.ndarray) -> bool:
    return values.dtype.kind in "fiub"


def _blank(values: np.ndarray) -> np.ndarray:
    """The same for every record: the mean of each channel over all records; no text."""
    if not _numeric(values):
        return np.full_like(values, "")
    axes = tuple(axis for axis in range(values.ndim) if axis != 1 or values.ndim < 3)
    mean = np.mean(values, axis=0 if values.ndim < 3 else axes, keepdims=True)
    return np.broadcast_to(mean, values.shape).astype(values.dtype)


def _pieces(
    values: np.ndarray, extents: np.ndarray | None, windows: int, patches: int
) -> list[Region]:
    """The parts that are covered in turn; none of what has no places."""
    if not _numeric(values) or values.ndim < 2:
        return []
    sizes = values.shape[2:] if values.ndim > 2 else values.shape[1:]
    if extents is not None and values.ndim == IMAGE:
        sizes = tuple(extents.min(axis=0).tolist())
    counts = tuple(min(windows if len(sizes) == 1 else patches, size) for size in sizes)
    return list(regions(counts)) if max(counts) > 1 else []
