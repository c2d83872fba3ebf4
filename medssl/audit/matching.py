"""Waveforms of different participants that are one signal: shifted, scaled, resampled or noisy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

POINTS = 256
"""Samples to which a segment is averaged down, at most, for the search of candidates."""
MAX_LAGS = 65
CANDIDATES = 8
"""Other participants whose nearest segment is compared at full rate."""
FLOOR = 1e-5
"""Recordings with noise of their own are never this close; a copy is, after rounding."""
CEILING = 0.1
"""A copy is at most this fraction as far away as the other participants nearest to it."""
OVERSAMPLING = 4
"""Lags are tried in quarters of a sample: resampling leaves copies between two samples."""
FLAT = 1e-3
"""A signal with less than this fraction of the usual spread is flat, and nobody's."""
CLIP = 4.0
"""Differences are clipped at this many times their mean size."""
MIN_POWER = 0.25
"""Share of each signal's power that the overlap must hold."""
BLOCK = 256

Reader = Callable[[np.ndarray], np.ndarray]
"""Positions (n,) → waveforms (n, channels, time)."""
Queries = Callable[[int, int], np.ndarray]
"""First and last row → unit rows (looks · rows, d): each row under several looks, look by look."""
Compare = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Positions (n,) of two sides → distances and lags, each (n,)."""


@dataclass(frozen=True, slots=True)
class Match:
    """A record and its nearest one among the other participants'.

    Attributes:
        position: The record.
        partner: The nearest record of another participant.
        distance: Of waveforms 1 - correlation of first differences at the best lag, of images that
            of their details when one is laid on the other; in [0, 2].
        ratio: `distance` over the median distance to the other candidate participants; infinite
            with fewer than three of them.
        lag: How much later the waveform shows what its partner shows (samples); 0 of images.
    """

    position: int
    partner: int
    distance: float
    ratio: float
    lag: float


def nearest_matches(
    read: Reader, participants: np.ndarray, *, tolerance: float = 0.125
) -> list[Match]:
    """For every waveform, its nearest one among the other participants' at any lag.

    Candidates come from an exact search: each segment is averaged down to `POINTS` samples, and
    windows of it at every lag, z-scored, meet the central window of every other participant's
    segment, so that an inner product is their correlation (FAISS, one participant at a time). The
    nearest segment of the best `CANDIDATES` participants is then compared at full rate on *first
    differences*: pulse waves of two people correlate up to 0.99 and more, and what is left after
    differencing is the noise and the quantisation of one recording, which only a copy shares.

    Memory is bounded by the averaged segments (4 · `POINTS` bytes a channel each) and one block.

    Args:
        read: Gives waveforms by position.
        participants: Participant of each position, shape (n,).
        tolerance: Largest lag, as a fraction of the segment.

    Returns:
        One match for each waveform that is not flat and has another participant to meet.
    """
    order = np.argsort(participants, kind="stable")
    averaged, alive = _average(read, order)
    order, averaged = order[alive], averaged[alive]
    if len(set(participants[order])) < 2:
        return []
    codes = np.unique(participants[order], return_inverse=True)[1]
    pairs = _candidates(averaged, codes, tolerance=tolerance)

    def compare(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return lagged_distance(read(left), read(right), tolerance=tolerance)

    return confirm(compare, order[pairs], participants)


def _average(read: Reader, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Segments averaged down to at most `POINTS` samples, and which of them hold a signal."""
    pieces, spreads = [], []
    for block in _blocks(len(order), BLOCK):
        wave = np.asarray(read(order[block]), dtype=np.float64)
        step = -(-wave.shape[-1] // POINTS)
        points = wave.shape[-1] // step
        wave = wave[..., : points * step]
        pieces.append(wave.reshape(*wave.shape[:-1], points, step).mean(-1).astype(np.float32))
        spreads.append(wave.std(axis=-1).min(axis=-1))  # NaN where a sample is not finite
    spread = np.concatenate(spreads)
    # A loose electrode gives a constant, on which resampling leaves equal ripples for everyone.
    usual = np.median(spread[spread > 0]) if (spread > 0).any() else 0.0
    return np.concatenate(pieces), spread > FLAT * usual


def _candidates(averaged: np.ndarray, codes: np.ndarray, *, tolerance: float) -> np.ndarray:
    """Pairs of rows (m, 2), left < right, of different participants; rows are sorted by `codes`."""
    points = averaged.shape[-1]
    margin = int(points * tolerance)
    width = points - 2 * margin
    step = -(-(2 * margin + 1) // MAX_LAGS)
    starts = sorted({margin, *range(0, 2 * margin + 1, step)})
    base = _unit(averaged[..., margin : margin + width])

    def queries(first: int, last: int) -> np.ndarray:
        return np.concatenate([_unit(averaged[first:last, :, s : s + width]) for s in starts])

    return candidate_pairs(base, queries, codes)


def candidate_pairs(base: np.ndarray, queries: Queries, codes: np.ndarray) -> np.ndarray:
    """Every row with the nearest row of each of the `CANDIDATES` participants nearest to it.

    Args:
        base: Unit rows, shape (n, d), sorted by participant.
        queries: The same rows under the looks by which a copy may differ from them.
        codes: Participant of each row, 0, 1, … in ascending order, shape (n,).

    Returns:
        Pairs of rows (m, 2), left < right, of different participants.
    """
    import faiss

    pairs = []
    edges = np.searchsorted(codes, np.arange(codes[-1] + 2))
    for first, last in pairwise(edges.tolist()):
        found = []
        # One search for all looks: thousands of small ones spend their time on starting threads.
        asked = np.ascontiguousarray(queries(first, last), dtype=np.float32)
        looks = len(asked) // (last - first)
        for low, high in ((0, first), (last, len(base))):
            k = min(CANDIDATES, high - low)
            if k:
                near, at = faiss.knn(asked, base[low:high], k, faiss.METRIC_INNER_PRODUCT)
                rows = np.repeat(np.tile(np.arange(first, last), looks), k)
                found.append((rows, at.ravel() + low, near.ravel()))
        rows, partners, nearness = (np.concatenate(part) for part in zip(*found, strict=True))
        pairs.append(_best_partners(rows, partners, nearness, codes))
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def _best_partners(
    rows: np.ndarray, partners: np.ndarray, nearness: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """For each row, the nearest segment of each of its best `CANDIDATES` participants: (m, 2)."""
    order = np.lexsort((-nearness, codes[partners], rows))
    rows, partners, nearness = rows[order], partners[order], nearness[order]
    first = np.r_[True, (np.diff(rows) != 0) | (np.diff(codes[partners]) != 0)]
    rows, partners, nearness = rows[first], partners[first], nearness[first]
    order = np.lexsort((-nearness, rows))
    rows, partners = rows[order], partners[order]
    counts = np.unique(rows, return_counts=True)[1]
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = place < CANDIDATES
    return np.stack([rows[kept], partners[kept]], axis=1)


def _unit(windows: np.ndarray) -> np.ndarray:
    """Z-score each channel of each window, and flatten to unit rows: (n, channels · width)."""
    centred = windows - windows.mean(-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
    flat = unit.reshape(len(unit), -1) / np.sqrt(unit.shape[1])
    unit_rows: np.ndarray = np.ascontiguousarray(flat, dtype=np.float32)
    return unit_rows


def confirm(compare: Compare, pairs: np.ndarray, participants: np.ndarray) -> list[Match]:
    """Compare candidate pairs closely, and rank those of each position.

    Args:
        compare: Distances and lags of pairs, `BLOCK` at a time.
        pairs: Positions, shape (m, 2).
        participants: Participant of each position.
    """
    seen: dict[int, list[tuple[float, int, float]]] = defaultdict(list)
    for block in _blocks(len(pairs), BLOCK):
        left, right = pairs[block].T
        distances, lags = compare(left, right)
        for a, b, distance, lag in zip(
            *map(np.ndarray.tolist, (left, right, distances, lags)), strict=True
        ):
            seen[a].append((distance, b, lag))
            seen[b].append((distance, a, -lag))
    return [
        _rank(position, sorted(found), participants) for position, found in sorted(seen.items())
    ]


def _rank(position: int, found: list[tuple[float, int, float]], participants: np.ndarray) -> Match:
    nearest: dict[str, float] = {}
    for distance, partner, _ in found:
        nearest.setdefault(participants[partner], distance)
    distance, partner, lag = found[0]
    others = sorted(nearest.values())[1:]
    usual = float(np.median(others)) if len(others) >= 3 else 0.0
    return Match(
        position=position,
        partner=partner,
        distance=distance,
        ratio=distance / usual if usual > 0 else np.inf,
        lag=lag,
    )


def lagged_distance(
    left: np.ndarray, right: np.ndarray, *, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Distance of paired waveforms at their best lag.

    With d the first difference, over the overlap of the two at lag l:
    1 - max_l  Σ_t d_left[t + l] d_right[t] / sqrt(Σ d_left² · Σ d_right²).
    Differences are clipped at `CLIP` times their mean size, and channels are summed after each was
    scaled to unit power.

    Args:
        left: Waveforms (n, channels, time).
        right: Waveforms of the same shape.
        tolerance: Largest lag, as a fraction of the segment.

    Returns:
        Distances in [0, 2], shape (n,), and lags in samples, shape (n,).

    >>> wave = np.random.default_rng(0).normal(size=(1, 1, 400))
    >>> far, lag = lagged_distance(wave[..., 7:300], 3 * wave[..., :293] + 1, tolerance=0.1)
    >>> round(abs(float(far[0])), 6), float(lag[0])
    (0.0, -7.0)
    """
    a, b = _differences(left), _differences(right)
    time = a.shape[-1]
    reach = int(time * tolerance)
    size = 1 << (2 * time - 1).bit_length()
    spectrum = (np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size))).sum(1)
    cross = np.fft.irfft(spectrum, size * OVERSAMPLING) * OVERSAMPLING
    fine = np.arange(-reach * OVERSAMPLING, reach * OVERSAMPLING + 1)
    whole = np.rint(fine / OVERSAMPLING).astype(int)
    power_a, power_b = _cumulative_power(a), _cumulative_power(b)
    from_a, to_a = np.maximum(whole, 0), time + np.minimum(whole, 0)
    from_b, to_b = np.maximum(-whole, 0), time - np.maximum(whole, 0)
    power = (power_a[:, to_a] - power_a[:, from_a]) * (power_b[:, to_b] - power_b[:, from_b])
    scale = np.sqrt(np.maximum(power, 0))
    # Over an overlap that holds little of either signal, rounding could look like agreement.
    enough = power > (MIN_POWER * power_a[:, -1:]) * (MIN_POWER * power_b[:, -1:])
    correlation = np.divide(cross[:, fine], scale, out=np.zeros_like(scale), where=enough)
    best = correlation.argmax(1)
    at_best = np.take_along_axis(correlation, best[:, None], axis=1)[:, 0]
    return 1 - np.clip(at_best, -1, 1), fine[best] / OVERSAMPLING


def _differences(waves: np.ndarray) -> np.ndarray:
    """First differences, clipped and scaled to unit power a channel."""
    steps = np.diff(np.asarray(waves, dtype=np.float64), axis=-1)
    # Two artefacts of one sample each would correlate perfectly, and hide all the rest.
    limit = CLIP * np.abs(steps).mean(axis=-1, keepdims=True)
    steps = np.clip(steps, -limit, limit)
    norm = np.linalg.norm(steps, axis=-1, keepdims=True)
    scaled: np.ndarray = np.divide(steps, norm, out=np.zeros_like(steps), where=norm > 0)
    return scaled


def _cumulative_power(waves: np.ndarray) -> np.ndarray:
    total = np.cumsum((waves**2).sum(1), axis=-1)
    return np.concatenate([np.zeros((len(waves), 1)), total], axis=1)


def copy_threshold(
    ratios: np.ndarray, *, expected_false: float = 0.05, ceiling: float = CEILING
) -> float:
    """Ratio below which a nearest neighbour of another participant is called a copy.

    Without copies, distances to near neighbours grow like a power of their rank, so that the
    ratios r of the nearest to the next ones have a lower tail P(r < t) = c·t^m, m being the
    dimension of the cloud. The tail is fitted through the 5 % and 50 % quantiles of the ratios
    above `ceiling` (which are no copies), and continued to the t at which `expected_false`
    records of all n would be called copies by chance; never above `ceiling`. Fewer than 20 such
    ratios allow no fit: 0, which leaves what is nearer than `FLOOR`.

    Args:
        ratios: `Match.ratio` of every record, shape (n,).
        expected_false: Records wrongly called copies in a data set without any.
        ceiling: The largest ratio of a copy.

    >>> clean = np.random.default_rng(0).uniform(size=400) ** (1 / 4)
    >>> 0.05 < copy_threshold(clean) <= 0.1
    True
    """
    clean = ratios[np.isfinite(ratios) & (ratios > ceiling)]
    if len(clean) < 20:
        return 0.0
    low, middle = np.quantile(clean, [0.05, 0.5])
    if middle <= low:
        return ceiling
    dimension = np.log(10) / np.log(middle / low)
    threshold = low * (expected_false / len(clean) / 0.05) ** (1 / dimension)
    return float(min(threshold, ceiling))


def _blocks(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
