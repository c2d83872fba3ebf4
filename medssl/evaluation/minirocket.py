"""MiniRocket: how often the outputs of 84 fixed kernels exceed what training segments gave."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medssl.errors import StageError
from medssl.evaluation.baselines import MINIROCKET, FeatureTable
from medssl.evaluation.cases import Case
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.probe import Entry, Rival, predict_entries
from medssl.evaluation.probes import ProbeConfig
from medssl.evaluation.units import Records
from medssl.store.schema import PARTICIPANT, RECORD
from medssl.types import Rows
from medssl.views.normalise import zscore
from medssl.views.seeds import derive_seed

if TYPE_CHECKING:
    from medssl.store import Store

LENGTH: Final = 9
KERNELS: Final = 84
"""All ways of giving three of nine weights the value 2 and the others −1."""
FEATURES: Final = 9_996
"""As published: the multiple of 84 below 10,000."""
MAX_DILATIONS: Final = 32
MAX_CHANNELS: Final = 9
"""A kernel sums over at most so many channels."""
GOLDEN: Final = (5**0.5 + 1) / 2
BLOCK: Final = 1_000_000
"""Outputs of kernels held at once (4 MB): they are read many times and should stay in the cache."""
BATCH: Final = 256


@dataclass(frozen=True, eq=False)
class Layer:
    """All kernels at one dilation.

    Args:
        dilation: Samples between two weights.
        channels: Which channels each kernel sums over, 0 or 1, float32 of shape (84, c).
        padded: 0 or 1: of the even or of the odd kernels, outputs over the ends count too, with
            zeros beyond; of the others only those where the whole kernel lies on the segment.
        biases: What outputs are compared with, float32 of shape (84, f).
    """

    dilation: int
    channels: Tensor
    padded: int
    biases: Tensor

    def shares(self, segments: Tensor) -> Tensor:
        """Share of outputs above each bias, (b, c, t) → (b, 84, f)."""
        outputs = convolve(mix(segments, self.channels), self.dilation)
        margin = (LENGTH - 1) // 2 * self.dilation
        found = outputs.new_empty(len(segments), KERNELS, self.biases.shape[1])
        for parity in (0, 1):
            kernels = slice(parity, None, 2)
            counted = outputs[:, kernels]
            if parity != self.padded:
                counted = counted[..., margin : outputs.shape[-1] - margin]
            # As floats, whose sums of up to 2^24 ones are exact: eight times as fast as bools.
            above = outputs.new_empty(counted.shape)
            for place, biases in enumerate(self.biases[kernels].T):
                torch.gt(counted, biases[:, None], out=above)
                found[:, kernels, place] = above.sum(dim=-1) / counted.shape[-1]
        return found


@dataclass(frozen=True)
class MiniRocket:
    """A fitted transform; `fit_minirocket` makes one.

    Args:
        layers: One for each dilation.
        channels: Of a segment.
        samples: Of a segment.
    """

    layers: tuple[Layer, ...]
    channels: int
    samples: int

    @property
    def dim(self) -> int:
        """Features of a segment."""
        return sum(layer.biases.numel() for layer in self.layers)

    def transform(self, segments: Tensor) -> Tensor:
        """Features of segments; they do not depend on how segments are batched.

        Args:
            segments: Float32, normalised, shape (batch, channels, time).

        Returns:
            Float32 of shape (batch, dim), between 0 and 1.

        Raises:
            ValueError: The segments are of another shape than those that were fitted.
        """
        if tuple(segments.shape[1:]) != (self.channels, self.samples):
            msg = f"MiniRocket was fitted to {self.channels} × {self.samples} samples"
            raise ValueError(msg)
        step = max(1, BLOCK // (KERNELS * self.samples))
        pieces = [
            torch.cat([layer.shares(piece).flatten(1) for layer in self.layers], dim=1)
            for piece in (segments[at : at + step] for at in range(0, len(segments), step))
        ]
        return torch.cat(pieces) if pieces else segments.new_empty(0, self.dim)


def weights() -> Tensor:
    """The kernels, float32 of shape (84, 9).

    >>> weights().sum(dim=1).unique().tolist()
    [0.0]
    """
    found = torch.full((KERNELS, LENGTH), -1.0)
    for kernel, places in enumerate(itertools.combinations(range(LENGTH), 3)):
        found[kernel, list(places)] = 2.0
    return found


def mix(segments: Tensor, channels: Tensor) -> Tensor:
    """Sum of each kernel's channels, (b, c, t) → (b, 84, t), or (b, 1, t) for one channel."""
    if segments.shape[1] == 1:
        return segments
    mixed = segments.new_zeros(len(segments), KERNELS, segments.shape[-1])
    for channel in range(segments.shape[1]):
        mixed.addcmul_(segments[:, channel, None], channels[:, channel, None])
    return mixed


def convolve(mixed: Tensor, dilation: int) -> Tensor:
    """Every kernel over its own signal, with zeros beyond the ends: (b, 84 or 1, t) → (b, 84, t).

    Nine multiply-adds in a fixed order rather than a convolution, whose last digits depend on the
    batch: products with 2 and −1 are exact.
    """
    samples = mixed.shape[-1]
    margin = (LENGTH - 1) // 2 * dilation
    padded = functional.pad(mixed, (margin, margin))
    outputs = mixed.new_zeros(len(mixed), KERNELS, samples)
    for place, weight in enumerate(weights().T):
        outputs.addcmul_(padded[..., place * dilation :][..., :samples], weight[:, None])
    return outputs


def plan_dilations(samples: int, features: int) -> list[tuple[int, int]]:
    """Dilations, and the number of biases of each, so that every kernel gets `features`.

    Dilations are ⌊2^x⌋ for at most 32 evenly spaced x from 0 to log₂((t − 1) / 8): the widest
    kernel spans the segment. What comes out equal is merged and gets more biases.

    >>> plan_dilations(33, 5)
    [(1, 2), (2, 2), (4, 1)]
    """
    count = min(features, MAX_DILATIONS)
    widest = np.log2((samples - 1) / (LENGTH - 1))
    # Rounding must not lose the widest one.
    exact = np.logspace(0, widest, count, base=2) + 1e-9
    dilations, times = np.unique(exact.astype(np.int64), return_counts=True)
    biases = times * features // count
    for extra in range(features - int(biases.sum())):
        biases[extra % len(biases)] += 1
    return [(int(d), int(f)) for d, f in zip(dilations, biases, strict=True)]


def fit_minirocket(
    read: Callable[[np.ndarray], Tensor],
    groups: Sequence[np.ndarray],
    *,
    seed: int,
    n_features: int = FEATURES,
) -> MiniRocket:
    """Choose biases: quantiles of each kernel's output for one segment that is drawn for it.

    Quantiles are nφ mod 1, n = 1, 2, …, φ the golden ratio. Of several channels a kernel sums
    ⌊2^u⌋, u uniform from 0 to log₂(1 + min(c, 9)), drawn without replacement; the paper has one
    channel, and this is its authors' extension. Nothing else is learned.

    Args:
        read: Fetches normalised segments by position, (n,) → float32 (n, c, t).
        groups: Positions of the segments of each participant; participants are drawn evenly.
        seed: Of what is drawn.
        n_features: Rounded down to a multiple of 84.

    Raises:
        StageError: No segment, one shorter than 9 samples, or fewer than 84 features.
    """
    if not groups or n_features < KERNELS:
        msg = f"MiniRocket needs a training segment and {KERNELS} features, not {n_features}"
        raise StageError(msg)
    channels, samples = read(groups[0][:1]).shape[1:]
    if samples < LENGTH:
        msg = f"MiniRocket needs segments of {LENGTH} samples, not {samples}: leave it out"
        raise StageError(msg)
    generator = np.random.default_rng(derive_seed(seed, "minirocket"))
    per_kernel = n_features // KERNELS
    layers, used = [], 0
    for number, (dilation, biases) in enumerate(plan_dilations(samples, per_kernel)):
        drawn = [groups[place] for place in generator.integers(len(groups), size=KERNELS)]
        chosen = np.array([group[generator.integers(len(group))] for group in drawn])
        summed = draw_channels(generator, channels)
        segments = read(chosen)
        mixed = segments if channels == 1 else (segments * summed[:, :, None]).sum(1, keepdim=True)
        outputs = convolve(mixed, dilation)[torch.arange(KERNELS), torch.arange(KERNELS)]
        order = np.arange(used + 1, used + 1 + KERNELS * biases).reshape(KERNELS, biases)
        quantiles = order * GOLDEN % 1.0
        used += order.size
        found = [np.quantile(out, q) for out, q in zip(outputs.numpy(), quantiles, strict=True)]
        fitted = torch.from_numpy(np.array(found, dtype=np.float32))
        layers.append(Layer(dilation, summed, number % 2, fitted))
    return MiniRocket(tuple(layers), channels, samples)


def draw_channels(generator: np.random.Generator, channels: int) -> Tensor:
    """Which channels each kernel sums over, 0 or 1, float32 of shape (84, channels)."""
    most = np.log2(1 + min(channels, MAX_CHANNELS))
    counts = (2.0 ** generator.uniform(0, most, size=KERNELS)).astype(np.int64)
    found = torch.zeros(KERNELS, channels)
    for kernel, count in enumerate(counts.tolist()):
        found[kernel, generator.permutation(channels)[:count].tolist()] = 1.0
    return found


def minirocket_features(
    store: Store,
    rows: Rows,
    fit_rows: Rows,
    seed: int,
    n_features: int = FEATURES,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureTable:
    """MiniRocket features of records, its biases from records of training participants.

    Segments are normalised as encoders see them. One batch is held at a time, and the table:
    40 kB a record.

    Args:
        store: Where the records are.
        rows: Row numbers of waveforms of one shape.
        fit_rows: Rows that biases may be taken from: of training participants only.
        seed: Of what is drawn.
        n_features: Rounded down to a multiple of 84.
        progress: Called with (records done, records in all).

    Returns:
        Float32 features by record.

    Raises:
        StageError: Nothing to fit on, segments that are too short, or samples that are not finite.
    """

    def read(some: Rows) -> Tensor:
        segments = zscore(torch.from_numpy(np.asarray(store.read(some), dtype=np.float32)))
        if not bool(torch.isfinite(segments).all()):
            msg = (
                "MiniRocket: a record holds NaN or infinite samples: drop it with a selection, or "
                "ingest it again"
            )
            raise StageError(msg)
        return segments

    rows, fit_rows = np.asarray(rows), np.asarray(fit_rows)
    owners = np.unique(store.column(PARTICIPANT, fit_rows).astype(np.str_), return_inverse=True)[1]
    order = np.argsort(owners, kind="stable")
    cuts = np.flatnonzero(np.diff(owners[order])) + 1
    groups = np.split(fit_rows[order], cuts) if len(fit_rows) else []
    rocket = fit_minirocket(read, groups, seed=seed, n_features=n_features)
    values = np.empty((len(rows), rocket.dim), dtype=np.float32)
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        values[start : start + len(part)] = rocket.transform(read(part)).numpy()
        if progress is not None:
            progress(start + len(part), len(rows))
    return FeatureTable(
        MINIROCKET,
        store.column(RECORD, rows),
        values,
        note=f"{rocket.dim:,} features; biases from {len(groups)} training participants",
        by="record",
    )


def ridge_rival(table: FeatureTable, records: Embeddings | Records, config: ProbeConfig) -> Rival:
    """Features with the ridge regression of the paper, also for binary and multilabel targets.

    Args:
        table: Features, such as `minirocket_features` gives.
        records: What is probed.
        config: Folds, penalties.
    """
    ridge = ridge_config(config)

    def predict(case: Case) -> Predictions:
        return predict_entries(case, {table.name: Entry((table,))}, records, ridge)[table.name]

    return Rival(predict, note=table.note)


def ridge_config(config: ProbeConfig) -> ProbeConfig:
    """A probe as `ridge_rival` fits it.

    Two penalties more, ten and a hundred times the largest: the more features there are, the
    larger a penalty has to be before it amounts to predicting the mean.
    """
    largest = max(config.alphas)
    alphas = (*config.alphas, 10 * largest, 100 * largest)
    return config.model_copy(update={"classifier": "ridge", "alphas": alphas})
