"""Fitting probes: predictions of participants that were not fitted."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from medssl.evaluation.models.bags import Bags
from medssl.evaluation.models.settings import ModelConfig, ModelName
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.statistics import Method
from medssl.evaluation.targets import Kind, Target
from medssl.sampling.splits import SPLITS, TEST, TRAIN, VALIDATION, check_disjoint

Split = Literal["train", "validation", "test"]


class ProbeConfig(ModelConfig):
    """How embeddings are probed."""

    targets: tuple[Target, ...]
    models: tuple[ModelName, ...] = Field(
        ("linear",),
        min_length=1,
        description="probes of the encoder; the first one is compared with every baseline",
    )
    fit_on: tuple[Split, ...] = Field((TRAIN, VALIDATION), description="holdout: fitted splits")
    score_on: tuple[Split, ...] = Field((TEST,), min_length=1, description="scored splits")
    folds: int | None = Field(
        None,
        ge=2,
        description="none: fit on fit_on, score on score_on; a number: cross-validate in score_on",
    )
    repeats: int = Field(5, ge=1, description="cross-validation: dealings of the folds")
    minimum: int = Field(10, ge=4, description="fewest participants to fit on")
    demographics: tuple[str, ...] = Field(
        ("age", "sex"), description="label columns of the demographics baseline, where present"
    )
    bootstrap: int = Field(1000, ge=100, description="replicates over participants")
    interval: Method = Field(
        "bca", description="bca corrects bias and skewness, which partial AUROC needs; percentile"
    )
    level: float = Field(0.95, gt=0.5, lt=1)
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> ProbeConfig:
        if not self.targets:
            msg = "name at least one of targets"
            raise ValueError(msg)
        names = [target.name for target in self.targets]
        if len(set(names)) != len(names):
            msg = "two targets have the same name"
            raise ValueError(msg)
        shared = [split for split in SPLITS if split in self.fit_on and split in self.score_on]
        if self.folds is None and shared:
            msg = f"{', '.join(shared)} is in fit_on and in score_on: keep it in one of them"
            raise ValueError(msg)
        if len(set(self.models)) != len(self.models):
            msg = "a model is named twice in models"
            raise ValueError(msg)
        times = [target.name for target in self.targets if target.kind == "survival"]
        if times and self.models[0] == "knn":
            msg = f"knn cannot vote on the censored times of {times[0]!r}: name another model first"
            raise ValueError(msg)
        return self


def holdout(
    fit: tuple[np.ndarray | Bags, np.ndarray, np.ndarray],
    score: tuple[np.ndarray | Bags, np.ndarray, np.ndarray],
    *,
    kind: Kind,
    config: ProbeConfig,
    model: ModelName = "linear",
    classes: int = 0,
) -> Predictions:
    """Fit on some participants and predict others.

    Args:
        fit: Features (n, d) or bags, targets and participants (n,) to fit on.
        score: The same to predict.
        kind: What is predicted.
        config: How.
        model: Which model.
        classes: Number of classes of a multiclass or ordinal target.

    Raises:
        LeakageError: A participant is on both sides.
    """
    from medssl.evaluation.models import fit_predict

    x, y, participants = fit
    new, truth, scored = score
    check_disjoint("fitted and scored participants of a probe", participants, scored)
    found = fit_predict(
        x, y, participants, new,
        kind=kind, model=model, config=config, classes=classes, seed=config.seed,
    )  # fmt: skip
    return Predictions(
        kind=kind,
        participants=scored,
        truth=truth,
        scores=found.scores[None],
        folds=np.zeros((1, len(truth)), dtype=np.int64),
        base=found.base[None],
        penalties=_known(np.array([found.penalty])),
        n_fit=len(np.unique(participants)),
        n_records=len(truth),
    )


def cross_validate(
    x: np.ndarray | Bags,
    y: np.ndarray,
    participants: np.ndarray,
    *,
    kind: Kind,
    config: ProbeConfig,
    model: ModelName = "linear",
    classes: int = 0,
) -> Predictions:
    """Predict every row from models that were fitted on other participants, `repeats` times.

    Args:
        x: Features, shape (n, d), NaN is missing; or bags.
        y: Targets, as in `Truth.values`.
        participants: Participant of each row, shape (n,).
        kind: What is predicted.
        config: `folds` must be a number.
        model: Which model.
        classes: Number of classes of a multiclass or ordinal target.

    Raises:
        ValueError: `config.folds` is not a number.
    """
    from medssl.evaluation.folds import grouped_folds
    from medssl.evaluation.models import nested_cross_validate

    if config.folds is None:
        msg = "cross-validation needs config.folds"
        raise ValueError(msg)
    people = np.unique(participants, return_inverse=True)[1]
    scores, bases, dealt, penalties, sizes = [], [], [], [], []
    for repeat in range(config.repeats):
        seed = dealing_seed(config, repeat)
        folds = grouped_folds(participants, y, folds=config.folds, seed=seed)
        found, base, penalty = nested_cross_validate(
            x, y, participants, folds,
            kind=kind, model=model, config=config, classes=classes, seed=seed,
        )  # fmt: skip
        scores.append(found)
        bases.append(base)
        dealt.append(folds)
        penalties.append(penalty)
        sizes += [len(np.unique(people[folds != fold])) for fold in np.unique(folds)]
    return Predictions(
        kind=kind,
        participants=participants,
        truth=y,
        scores=np.stack(scores),
        folds=np.stack(dealt),
        base=np.stack(bases),
        penalties=_known(np.concatenate(penalties)),
        n_fit=min(sizes),
        n_records=len(y),
    )


def dealing_seed(config: ProbeConfig, repeat: int) -> int:
    """Of the folds of a repeat; spaced so that no inner dealing shares the seed of another."""
    return config.seed + 1_000_003 * repeat


def _known(penalties: np.ndarray) -> np.ndarray:
    """Penalties of models that have one."""
    return np.asarray(penalties[np.isfinite(penalties)])
