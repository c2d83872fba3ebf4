"""Does it need the image? The score with the true images, with others, with none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from medssl.errors import StageError
from medssl.evaluation.image_text.zero_shot_table import shown
from medssl.evaluation.metrics.ranking import prepare_auroc
from medssl.evaluation.statistics import Interval, Method, WeightedMetric, resample

TRUE: Final = "true image"
SWAPPED: Final = "image of another participant"
BLANK: Final = "blank image"
TEXT: Final = "text alone"

MINIMUM: Final = 30
"""Participants that it takes to say that images are not used."""

Answers = Mapping[str, Sequence[np.ndarray]]
"""Scores by condition, one or more draws of each: (n,) of yes or no, or (n, choices)."""

Verdict = Literal["depends", "does not depend", "unclear"]


@dataclass(frozen=True)
class ImageUse:
    """What a score is worth with and without the images that it is about.

    Args:
        metric: `"AUROC"` or `"accuracy"`.
        chance: What answers that know nothing reach.
        scores: The metric under each condition.
        differences: True images minus each other condition, paired.
        margin: Gain from the true images below which they count as unused.
        verdict: What follows.
        sentence: The verdict in words.
    """

    metric: str
    chance: float
    scores: dict[str, Interval]
    differences: dict[str, Interval]
    margin: float
    verdict: Verdict
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "metric": self.metric,
            "chance": self.chance,
            "scores": {name: one.to_dict() for name, one in self.scores.items()},
            "differences": {name: one.to_dict() for name, one in self.differences.items()},
            "margin": self.margin,
            "verdict": self.verdict,
            "sentence": self.sentence,
        }

    def to_markdown(self) -> str:
        """As a table for people, the verdict below it."""
        lines = [f"| condition | {self.metric} | true image minus this |", "|---|---|---|"]
        for name, interval in self.scores.items():
            gain = self.differences.get(name)
            lines.append(
                f"| {name} | {shown(interval)} | {'' if gain is None else shown(gain, sign='+')} |"
            )
        return "\n".join([*lines, "", f"- Chance: {self.chance:.3f}.", f"- {self.sentence}"]) + "\n"


def image_use(
    answers: Answers,
    truth: np.ndarray,
    participants: Sequence[str] | np.ndarray,
    *,
    margin: float = 0.02,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    method: Method = "bca",
) -> ImageUse:
    """Compare a score on true images with what it is without them.

    A model that answers from the text alone (which findings are frequent, how questions are put)
    scores well on many image–text tests. It then scores as well with a blank image, with that of
    somebody else, or without any. Differences are paired over the same bootstrap replicates of
    participants, and the verdict is

    - `"depends"` when every difference lies above 0 with its whole interval;
    - `"does not depend"` when the whole interval of one difference lies below `margin`, and at
      least `MINIMUM` participants are behind it (of few, all may answer alike by chance): that
      condition does as well, shown and not merely not refuted;
    - `"unclear"` otherwise.

    Args:
        answers: Scores by condition; `TRUE` and at least one other. (n,): larger means yes, judged
            by AUROC. (n, choices): the largest is the answer, ties shared, judged by accuracy.
            Several draws, such as several swaps, are averaged.
        truth: 0 or 1, or the number of the right choice, shape (n,).
        participants: Participant of each row's image, shape (n,).
        margin: Gain below which images count as unused.
        replicates: Bootstrap replicates.
        level: Confidence level.
        seed: Of the bootstrap.
        method: How intervals are made.

    Raises:
        StageError: A condition is absent, or shapes do not fit.
    """
    labels = np.asarray(truth)
    choices = _check(answers, labels, len(participants))
    metrics = {name: _metric(draws, labels) for name, draws in answers.items()}
    drawn = resample(
        metrics, np.asarray(participants, dtype=np.str_), replicates=replicates, seed=seed,
        method=method,
    )  # fmt: skip
    scores = {name: drawn.interval(name, level=level) for name in metrics}
    differences = {
        name: drawn.difference(TRUE, name, level=level) for name in metrics if name != TRUE
    }
    metric, chance = ("AUROC", 0.5) if choices is None else ("accuracy", 1.0 / choices)
    verdict = _verdict(differences, margin, enough=drawn.n_participants >= MINIMUM)
    sentence = _sentence(verdict, metric, scores[TRUE], differences, margin, chance)
    return ImageUse(metric, chance, scores, differences, margin, verdict, sentence)


def _metric(draws: Sequence[np.ndarray], truth: np.ndarray) -> WeightedMetric:
    if np.asarray(draws[0]).ndim == 1:
        each = [prepare_auroc(truth, draw) for draw in draws]
        return lambda weights: np.mean([metric(weights) for metric in each], axis=0)
    correct = np.mean([correct_share(np.asarray(draw), truth) for draw in draws], axis=0)
    return lambda weights: weights @ correct / weights.sum(axis=1)


def correct_share(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether the right choice has the largest score; among m equal ones, 1 / m.

    Args:
        scores: Shape (n, choices).
        truth: Number of the right choice, shape (n,).

    >>> correct_share(np.array([[3, 1, 2], [0, 0, 0]]), np.array([0, 2])).round(3)
    array([1.   , 0.333])
    """
    first = scores == scores.max(axis=1, keepdims=True)
    right = first[np.arange(len(scores)), truth.astype(np.int64)]
    return np.asarray(right / first.sum(axis=1))


def _verdict(differences: Mapping[str, Interval], margin: float, *, enough: bool) -> Verdict:
    # An interval without ends (NaN) proves nothing either way.
    if enough and any(one.high < margin for one in differences.values()):
        return "does not depend"
    if all(one.low > 0 for one in differences.values()):
        return "depends"
    return "unclear"


def _sentence(
    verdict: Verdict,
    metric: str,
    true: Interval,
    differences: Mapping[str, Interval],
    margin: float,
    chance: float,
) -> str:
    if verdict == "depends":
        name = min(differences, key=lambda key: differences[key].value)
        said = (
            f"The score depends on the image: {metric} is {differences[name].value:.3f} higher "
            f"than with {name}, and the interval excludes 0 for every condition."
        )
    elif verdict == "does not depend":
        names = [name for name, one in differences.items() if one.high < margin]
        said = (
            f"The score does not depend on the image: {' and '.join(names)} "
            f"{'gives' if len(names) == 1 else 'give'} as much or more; the true images gain less "
            f"than {margin:g} {metric}."
        )
    else:
        names = [name for name, one in differences.items() if not one.low > 0]
        said = (
            "Whether the score depends on the image is unclear: of these "
            f"{true.n_participants} participants, the difference from {' and '.join(names)} may be "
            f"0, and may be {margin:g} or more; take more."
        )
    if math.isfinite(true.high) and true.high < chance:
        said += " With the true images it is below chance: it points the wrong way."
    elif math.isfinite(true.low) and true.low <= chance:
        said += " With the true images it is not above chance."
    return said


def _check(answers: Answers, truth: np.ndarray, people: int) -> int | None:
    """Number of choices, None where scores are yes or no."""
    if TRUE not in answers or len(answers) < 2:
        msg = f"conditions {', '.join(answers)}: give {TRUE!r} and at least one to compare it with"
        raise StageError(msg)
    shapes = {np.shape(draw) for draws in answers.values() for draw in draws}
    if len(shapes) != 1 or not all(len(draws) for draws in answers.values()):
        msg = f"scores have shapes {sorted(shapes)}: give the same shape for every condition"
        raise StageError(msg)
    (shape,) = shapes
    if len(shape) not in (1, 2) or not shape[0] == len(truth) == people:
        msg = f"scores of shape {shape} for {len(truth)} answers of {people} participants' rows"
        raise StageError(msg)
    return None if len(shape) == 1 else int(shape[1])
