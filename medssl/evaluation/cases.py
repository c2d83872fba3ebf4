"""Who is fitted and who is scored for one target, or why it cannot be probed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from medssl.evaluation.probes import ProbeConfig, Target


@dataclass(frozen=True)
class Case:
    """One target: who is fitted and scored, or why it cannot be done."""

    target: Target
    participants: np.ndarray
    truth: np.ndarray
    fitted: np.ndarray
    scored: np.ndarray
    n_records: int
    unlabelled: int
    n_pretrained: int | None
    problem: str

    @property
    def n_fit(self) -> int:
        """Participants to fit on; in cross-validation all of them, in turn."""
        return int(self.fitted.sum())

    @property
    def n_score(self) -> int:
        """Participants to score."""
        return int(self.scored.sum())

    def notes(self) -> list[str]:
        """What a reader of the table should know about who was scored."""
        notes = []
        if self.unlabelled:
            notes.append(f"{self.target.name}: {self.unlabelled} participants have no label.")
        if self.n_pretrained:
            notes.append(
                f"{self.target.name}: {self.n_pretrained} of {self.n_score} scored participants "
                "were in pretraining (without labels)."
            )
        return notes


def build_case(
    target: Target,
    names: np.ndarray,
    counts: np.ndarray,
    labels: pd.DataFrame,
    splits: Mapping[str, str],
    config: ProbeConfig,
    pretraining: Collection[str] | None,
) -> Case:
    """Find the participants of a target.

    Args:
        target: What is predicted.
        names: Participants with features, sorted, shape (p,).
        counts: Records of each, shape (p,).
        labels: Index pseudonyms, one column per label.
        splits: Participant → split.
        config: Which splits or folds.
        pretraining: Participants seen in pretraining, if known.

    Raises:
        ConfigError: The target does not fit the labels.
    """
    values = target.values(labels)
    split = np.array([splits.get(name, "") for name in names.tolist()], dtype=np.str_)
    scored = np.isin(split, config.score_on)
    fitted = scored if config.folds is not None else np.isin(split, config.fit_on)
    labelled = np.isin(names, values.index.to_numpy(dtype=np.str_))
    used = (fitted | scored) & labelled
    participants = names[used]
    truth = values.loc[participants.tolist()].to_numpy(dtype=np.float64)
    overlap = None
    if pretraining is not None:
        overlap = len(set(names[scored & labelled].tolist()) & set(pretraining))
    case = Case(
        target=target,
        participants=participants,
        truth=truth,
        fitted=fitted[used],
        scored=scored[used],
        n_records=int(counts[scored & labelled].sum()),
        unlabelled=int(((fitted | scored) & ~labelled).sum()),
        n_pretrained=overlap,
        problem="",
    )
    return replace(case, problem=_absent_category(target, labels) or _problem(case, config))


def _absent_category(target: Target, labels: pd.DataFrame) -> str:
    """A misspelt category looks like a rare one: say which there are."""
    if target.positive is None or (labels[target.column] == target.positive).any():
        return ""
    found = sorted(map(str, labels[target.column].dropna().unique()))
    shown = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
    return f"nobody has {target.column} = {target.positive}; there is {shown or 'no label'}"


def _problem(case: Case, config: ProbeConfig) -> str:
    """Why a target cannot be probed; empty when it can."""
    needed = max(config.minimum, config.folds or 0)
    if case.n_fit < needed:
        return f"{case.n_fit} participants to fit on, at least {needed} are needed"
    if case.n_score < 2:
        return f"{case.n_score} participants to score, at least 2 are needed"
    for mask, verb in ((case.fitted, "fit on"), (case.scored, "score")):
        truth = case.truth[mask]
        if case.target.kind == "regression":
            if np.ptp(truth) == 0:
                return f"every participant to {verb} has the same value"
            continue
        least, word = (2, "two") if verb == "fit on" else (1, "one")
        rarer = int(min(truth.sum(), len(truth) - truth.sum()))
        if rarer < least:
            return f"{rarer} participants of the rarer class to {verb}, at least {word} needed"
    return ""
