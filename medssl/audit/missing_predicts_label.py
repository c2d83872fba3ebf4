"""Audit: does what is missing about a participant predict its label?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from medssl.audit.findings import Finding, Severity, Table
from medssl.audit.out_of_fold import chance_level, judged_metric, out_of_fold
from medssl.evaluation.metrics import weighted_metric
from medssl.evaluation.statistics import Interval, bootstrap
from medssl.evaluation.targets import Target, Truth
from medssl.store.schema import (
    ADDED,
    DEVICE,
    MODALITY,
    PARTICIPANT,
    QUALITY,
    RATE,
    SITE,
    STUDY,
    TIME,
    UNITS,
    VIEW,
    presence,
)

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

AUDIT: Final = "missing_predicts_label"
ACQUISITION: Final = (STUDY, RATE, UNITS, SITE, DEVICE, QUALITY, VIEW, TIME)
"""Columns of the records table in which a value can be missing."""
FOLDS: Final = 5
REPEATS: Final = 5
MIN_CLASS: Final = 10
"""Participants of each class (or label, or with an event) that are needed."""
MIN_PARTICIPANTS: Final = 30


def missing_predicts_label(
    store: Store,
    rows: Rows,
    targets: Sequence[Target],
    *,
    max_auroc: float = 0.6,
    max_r2: float = 0.05,
    seed: int = 0,
) -> list[Finding]:
    """Predict each target from the pattern of what is missing, and from nothing else.

    The pattern of a participant: which labels (other than the target's own) are missing, which
    modalities are there, how many records of each, and for which share of them study, rate, units,
    site, device, quality, view or time is unknown. Predictions are out of fold, folds over
    participants. A pattern that predicts a label is a shortcut for every model that sees how much
    data there is.

    Args:
        store: The store.
        rows: Records in use, of all modalities of the participants that are scored. Participants
            of several sources differ in what is missing and in who they are: with all of them, that
            is what is found.
        targets: Targets at the level of participants; others give no finding.
        max_auroc: AUROC or C-index at which a warning is given when its interval excludes 0.5.
        max_r2: R² or kappa at which a warning is given when its interval excludes 0.
        seed: Of folds and bootstrap.

    Returns:
        One finding a target. Intervals are Bonferroni-corrected for the number of targets.
    """
    judged = [one for one in targets if one.level == "participant"]
    people, counts = np.unique(store.column(PARTICIPANT, rows).astype(str), return_counts=True)
    labels = store.participants.loc[people.tolist()]
    acquisition = _acquisition(store, rows, people)
    level = 1 - 0.05 / max(len(judged), 1)
    findings = []
    for target in judged:
        truth = target.truth(labels)
        absent = _absent(labels, without=target.sources)
        pattern = pd.concat([absent, acquisition], axis=1).loc[truth.units.tolist()]
        pattern = pattern.loc[:, pattern.nunique() > 1]
        n_records = int(counts[np.isin(people, truth.units)].sum())
        limit = max_r2 if chance_level(target.kind) == 0 else max_auroc
        findings.append(_judge(_Case(target, truth, pattern, n_records), limit, level, seed))
    return findings


@dataclass(frozen=True, eq=False)
class _Case:
    """One target and the pattern of its participants."""

    target: Target
    truth: Truth
    pattern: pd.DataFrame
    n_records: int

    @property
    def measure(self) -> str:
        """What is judged."""
        return f"{judged_metric(self.target.kind).label} of the missing pattern"

    @property
    def enough(self) -> bool:
        """Whether there are labels enough to predict them."""
        values, kind = self.truth.values, self.target.kind
        if len(values) < MIN_PARTICIPANTS:
            return False
        if kind == "regression":
            return bool(np.ptp(values) > 0)
        if kind == "survival":
            return bool(values[:, 1].sum() >= MIN_CLASS)
        if kind == "multilabel":
            rarer = np.minimum((values == 0).sum(axis=0), (values == 1).sum(axis=0))
            return bool(rarer.min() >= MIN_CLASS)
        sizes = np.unique(values, return_counts=True)[1]
        return len(sizes) > 1 and bool(sizes.min() >= MIN_CLASS)


def _absent(labels: pd.DataFrame, *, without: Sequence[str]) -> pd.DataFrame:
    """1 where a label is missing, and 1 where a modality is there."""
    columns: dict[str, Any] = {}
    for name in labels.columns:
        if str(name).startswith(presence("")):
            columns[f"{str(name).removeprefix(presence(''))} is there"] = (
                labels[name].fillna(value=False).astype(np.float64)
            )
        elif name != ADDED and name not in without:
            columns[f"{name} missing"] = labels[name].isna().astype(np.float64)
    return pd.DataFrame(columns, index=labels.index)


def _acquisition(store: Store, rows: Rows, people: np.ndarray) -> pd.DataFrame:
    """Records of each modality (log of 1 + count), and shares of them without metadata."""
    owners = store.column(PARTICIPANT, rows).astype(str)
    modalities = store.column(MODALITY, rows).astype(str)
    place = np.searchsorted(people, owners)
    total = np.bincount(place, minlength=len(people))
    columns = {
        f"{name} records": np.log1p(np.bincount(place[modalities == name], minlength=len(people)))
        for name in sorted(set(modalities.tolist()))
    }
    for name in ACQUISITION:
        unknown = pd.isna(store.column(name, rows)).astype(np.float64)
        sums = np.bincount(place, weights=unknown, minlength=len(people))
        columns[f"{name} unknown"] = sums / total
    return pd.DataFrame(columns, index=people)


def _judge(case: _Case, limit: float, level: float, seed: int) -> Finding:
    name = case.target.name
    if not case.enough:
        return _without_number(
            case, Severity.NOTE, f"{name}: too few labels to see whether gaps predict it",
            f"Label at least {MIN_PARTICIPANTS} participants, {MIN_CLASS} of each class.",
        )  # fmt: skip
    if case.pattern.shape[1] == 0:
        return _without_number(
            case, Severity.OK, f"{name}: nothing is missing for some and there for others",
            "Nothing to do.",
        )  # fmt: skip
    found = _predict(case, level, seed)
    chance = chance_level(case.target.kind)
    severity = Severity.OK
    if found.low > chance:
        severity = Severity.WARNING if found.value >= limit else Severity.NOTE
    predicts = severity is not Severity.OK
    label = judged_metric(case.target.kind).label
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=f"{name}: what is missing predicts it, {label} {found.value:.2f}"
        if predicts
        else f"{name}: what is missing does not predict it",
        measure=case.measure,
        value=found.value,
        low=found.low,
        high=found.high,
        threshold=limit,
        n_participants=found.n_participants,
        n_records=case.n_records,
        detail=(
            f"Linear model on {case.pattern.shape[1]} columns, {REPEATS} × {FOLDS} folds over "
            f"participants; {chance:g} is chance. Interval: participant bootstrap at {level:.1%}."
        ),
        advice="Find out why these data are missing; score the encoder on participants with equal "
        "patterns, and show this row beside its own."
        if predicts
        else "Nothing to do.",
        table=_table(case),
    )


def _without_number(case: _Case, severity: Severity, title: str, advice: str) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=title,
        measure=case.measure,
        n_participants=len(case.truth.units),
        n_records=case.n_records,
        advice=advice,
    )


def _predict(case: _Case, level: float, seed: int) -> Interval:
    """The metric over repeated cross-validations, with its interval."""
    runs = [
        out_of_fold(
            case.pattern.to_numpy(dtype=np.float64), case.truth.values, case.truth.units,
            kind=case.target.kind, folds=FOLDS, classes=len(case.truth.classes),
            seed=seed + 1_000_003 * repeat,
        )
        for repeat in range(REPEATS)
    ]  # fmt: skip
    together = replace(
        runs[0],
        scores=np.concatenate([run.scores for run in runs]),
        folds=np.concatenate([run.folds for run in runs]),
        base=np.concatenate([run.base for run in runs]),
    )
    metric = weighted_metric(judged_metric(case.target.kind), together)
    return bootstrap(metric, case.truth.units, level=level, seed=seed)


def _table(case: _Case) -> Table:
    """What the pattern consists of; its rank correlation with the label where that has an order."""
    ordered = case.target.kind in ("regression", "binary", "ordinal")
    found: dict[str, float | None] = {}
    for name, column in case.pattern.items():
        both = (rankdata(column), rankdata(case.truth.values)) if ordered else None
        found[str(name)] = None if both is None else float(np.corrcoef(*both)[0, 1])
    return Table(
        title=f"{case.target.name}: what differs between participants",
        columns=("what", "rank correlation with the label"),
        rows=tuple(sorted(found.items(), key=lambda item: -abs(item[1] or 0.0))),
    )
