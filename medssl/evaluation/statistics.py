"""Intervals over participants: bootstrap, paired differences, delete-group jackknife."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

BLOCK: Final = 4_000_000
"""Replicate weights made at once (32 MB); bounds the memory of a bootstrap."""

MAX_JACKKNIFE: Final = 500
"""Participants are left out one by one up to this number, in this many groups above it."""

Method = Literal["bca", "percentile"]
Reading = Literal["bca", "percentile", "basic"]
"""How an interval is read off the replicates; basic is for statistics that samples push up."""

METHODS: Final[dict[Reading, str]] = {
    "bca": "BCa bootstrap over participants",
    "percentile": "percentile bootstrap over participants",
    "basic": "basic bootstrap over participants",
}
JACKKNIFE: Final = "delete-group jackknife over participants"

Verdict = Literal["better", "worse", "unclear"]

WeightedMetric = Callable[[np.ndarray], np.ndarray]
"""From weights of shape (replicates, records) to values of shape (replicates,)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its participant-level confidence interval.

    Args:
        value: The estimate on all participants.
        low: Lower end; NaN when no interval can be given.
        high: Upper end.
        level: Confidence level, such as 0.95.
        n_participants: Participants that were resampled.
        n_records: Records behind them.
        method: How the interval was made, in words.
        degenerate: Replicates on which the metric is undefined (such as one class only), which
            were drawn again.
    """

    value: float
    low: float
    high: float
    level: float
    n_participants: int
    n_records: int
    method: str = METHODS["bca"]
    degenerate: int = 0

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends lie on one side of zero."""
        return self.low > 0 or self.high < 0

    def verdict(self, *, higher_is_better: bool) -> Verdict:
        """Of a difference: `"better"` or `"worse"` when it excludes zero, else `"unclear"`."""
        if not self.excludes_zero:
            return "unclear"
        return "better" if (self.value > 0) == higher_is_better else "worse"

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object; numbers that are not finite become null."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Replicates:
    """Several metrics on the same bootstrap replicates of the same participants.

    Args:
        values: Each metric on all participants.
        draws: Each metric on every replicate, shape (replicates,).
        left_out: Each metric with one participant (or group of them) left out, shape (groups,).
        degenerate: Replicates that were drawn again.
        n_participants: Participants that were resampled.
        n_records: Records behind them.
        method: How intervals are made.
    """

    values: dict[str, float]
    draws: dict[str, np.ndarray]
    left_out: dict[str, np.ndarray]
    degenerate: int
    n_participants: int
    n_records: int
    method: Method

    def interval(
        self, name: str, *, level: float = 0.95, reading: Reading | None = None
    ) -> Interval:
        """Interval of one metric; `reading` is for metrics that the method does not suit."""
        return self._interval(
            self.values[name], self.draws[name], self.left_out[name], level, reading
        )

    def difference(
        self, first: str, second: str, *, level: float = 0.95, reading: Reading | None = None
    ) -> Interval:
        """Interval of first − second, paired: both on the same replicates."""
        return self._interval(
            self.values[first] - self.values[second],
            self.draws[first] - self.draws[second],
            self.left_out[first] - self.left_out[second],
            level,
            reading,
        )

    def _interval(
        self,
        value: float,
        draws: np.ndarray,
        left_out: np.ndarray,
        level: float,
        reading: Reading | None,
    ) -> Interval:
        low = high = math.nan
        method = reading or self.method
        if len(draws) and self.n_participants > 1 and math.isfinite(value):
            tails = np.array([0.5 - level / 2.0, 0.5 + level / 2.0])
            if method == "bca":
                tails = bca_tails(value, draws, left_out, tails)
            low, high = (float(end) for end in np.quantile(draws, tails))
            if method == "basic":
                low, high = 2.0 * value - high, 2.0 * value - low
        return Interval(
            value=value,
            low=low,
            high=high,
            level=level,
            n_participants=self.n_participants,
            n_records=self.n_records,
            method=METHODS[method],
            degenerate=self.degenerate,
        )


def bca_tails(
    value: float, draws: np.ndarray, left_out: np.ndarray, tails: np.ndarray
) -> np.ndarray:
    """Quantiles to take of bootstrap draws, corrected for bias and acceleration (Efron, 1987).

    With z₀ = Φ⁻¹(share of draws below the value, ties counting half) and the acceleration
    a = Σ d³ / (6 (Σ d²)^{3/2}), d = θ̄ − θ_g over the left-out values, the quantile for z is
    Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z))). It matters for the partial AUROC, whose draws lie above
    its value in small samples.

    Args:
        value: The statistic on everyone.
        draws: The statistic on replicates, shape (b,).
        left_out: θ_g, shape (g,); values that are not finite are ignored.
        tails: Nominal quantiles, such as 0.025 and 0.975.
    """
    below = float((draws < value).mean() + 0.5 * (draws == value).mean())
    bias = float(norm.ppf(np.clip(below, 0.5 / len(draws), 1.0 - 0.5 / len(draws))))
    kept = left_out[np.isfinite(left_out)]
    acceleration = 0.0
    if len(kept) and np.ptp(kept) > 0:
        d = (kept.mean() - kept) / np.ptp(kept)
        acceleration = float((d**3).sum() / (6.0 * (d**2).sum() ** 1.5))
    shifted = bias + norm.ppf(tails)
    return np.asarray(norm.cdf(bias + shifted / np.maximum(1.0 - acceleration * shifted, 1e-3)))


def resample(
    metrics: Mapping[str, WeightedMetric],
    participants: np.ndarray,
    *,
    replicates: int = 1000,
    seed: int = 0,
    n_records: int | None = None,
    method: Method = "bca",
) -> Replicates:
    """Evaluate metrics on replicates in which participants, never records, are drawn.

    Each replicate draws as many participants as there are, with replacement; a record's weight is
    how often its participant was drawn. A replicate on which a metric is not finite is drawn again
    and counted, up to twenty times the number of replicates.

    Args:
        metrics: Functions of weights (replicates, n) → (replicates,).
        participants: Participant of each record, shape (n,), in any order.
        replicates: Number of replicates.
        seed: Equal seeds and participants give equal replicates.
        n_records: Records behind the rows when each row already stands for several.
        method: How intervals will be made.
    """
    names, inverse = np.unique(np.asarray(participants), return_inverse=True)
    size = len(inverse)
    everyone = np.ones((1, size))
    values = {name: float(metric(everyone)[0]) for name, metric in metrics.items()}
    # A metric that is undefined on everyone stays undefined; it must not reject all replicates.
    defined = [name for name in metrics if math.isfinite(values[name])]
    kept: dict[str, list[np.ndarray]] = {name: [] for name in defined}
    generator = np.random.default_rng(seed)
    found = degenerate = 0
    while defined and found < replicates and degenerate < 20 * replicates:
        count = min(max(1, BLOCK // max(size, 1)), replicates - found)
        weights = draw_counts(generator, len(names), count)[:, inverse]
        block = {name: metrics[name](weights) for name in defined}
        good = np.isfinite(np.stack(list(block.values()))).all(axis=0)
        for name, drawn in block.items():
            kept[name].append(drawn[good])
        found += int(good.sum())
        degenerate += int(count - good.sum())
    if found < replicates:
        kept = {}
    draws = {
        name: np.concatenate(kept[name]) if kept.get(name) else np.empty(0) for name in metrics
    }
    return Replicates(
        values=values,
        draws=draws,
        left_out=_leave_out(metrics, inverse, len(names)),
        degenerate=degenerate,
        n_participants=len(names),
        n_records=size if n_records is None else n_records,
        method=method,
    )


def _leave_out(
    metrics: Mapping[str, WeightedMetric], inverse: np.ndarray, participants: int
) -> dict[str, np.ndarray]:
    if participants < 2:
        return {name: np.empty(0) for name in metrics}
    groups = min(participants, MAX_JACKKNIFE)
    step = max(1, BLOCK // len(inverse))
    found: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for start in range(0, groups, step):
        left = np.arange(start, min(start + step, groups))[:, None]
        weights = (inverse % groups != left).astype(np.float64)
        for name, metric in metrics.items():
            found[name].append(metric(weights))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def draw_counts(generator: np.random.Generator, participants: int, replicates: int) -> np.ndarray:
    """How often each participant is drawn, float64 of shape (replicates, participants)."""
    drawn = generator.integers(0, participants, size=(replicates, participants))
    drawn += np.arange(replicates)[:, None] * participants
    counts = np.bincount(drawn.reshape(-1), minlength=replicates * participants)
    return counts.reshape(replicates, participants).astype(np.float64)


def bootstrap(
    metric: WeightedMetric,
    participants: np.ndarray,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    method: Method = "bca",
) -> Interval:
    """Bootstrap interval of one metric over participants.

    Giving every participant k copies of its records leaves the interval as it is: records of one
    participant carry no independent evidence.

    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> mean = lambda w: w @ values / w.sum(axis=1)
    >>> interval = bootstrap(mean, np.array(["a", "a", "b", "c"]), seed=1)
    >>> interval.value, interval.n_participants, interval.n_records
    (2.5, 3, 4)
    """
    drawn = resample(
        {"metric": metric}, participants, replicates=replicates, seed=seed, method=method
    )
    return drawn.interval("metric", level=level)


def jackknife_groups(participants: np.ndarray, *, groups: int = 20, seed: int = 0) -> np.ndarray:
    """Group of each record, shape (n,): participants are dealt out at random in equal numbers."""
    names, inverse = np.unique(np.asarray(participants), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray(order % min(groups, len(names)))[inverse]


def jackknife_interval(
    value: float,
    left_out: np.ndarray,
    *,
    participants: int,
    records: int,
    level: float = 0.95,
) -> Interval:
    """Interval of a statistic from its values with one group of participants left out.

    For statistics of the spread of a sample, such as the effective rank. A bootstrap replicate
    holds only 63 % of the participants, so that its rank is too low and its percentile interval
    can miss the estimate; leaving out one of G groups hardly changes the size of the sample.
    Variance (G − 1)/G · Σ_g (θ_g − θ̄)², quantile of Student's t with G − 1 degrees of freedom.

    Args:
        value: The statistic on everyone.
        left_out: θ_g, shape (G,).
        participants: Participants in all.
        records: Records in all.
        level: Confidence level.
    """
    count = len(left_out)
    low = high = math.nan
    if count > 1 and np.isfinite(left_out).all() and math.isfinite(value):
        error = math.sqrt((count - 1) / count * float(((left_out - left_out.mean()) ** 2).sum()))
        reach = float(student_t.ppf(0.5 + level / 2.0, count - 1)) * error
        low, high = value - reach, value + reach
    return Interval(value, low, high, level, participants, records, JACKKNIFE)
