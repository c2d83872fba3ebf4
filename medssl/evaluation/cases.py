"""Who is fitted and who is scored for one target, or why it cannot be probed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.probes import ProbeConfig
from medssl.evaluation.targets import Target, category_name
from medssl.evaluation.units import Records, Units, agreed_labels, gather_units

MIN_EVENTS = 5
"""Events that a survival model needs."""

RARE = 5
"""A class with fewer scored participants is named in a note."""

SHOWN = 5
"""Names listed in a note, at most."""


@dataclass(frozen=True, eq=False)
class Case:
    """One target: who is fitted and scored, or why it cannot be done.

    Args:
        target: What is predicted.
        units: All rows that could be probed.
        rows: Which of them have a label and are fitted or scored, shape (n,).
        participants: Participant of each of `rows`.
        truth: Their targets, as in `Truth.values`.
        classes: Names of the classes.
        fitted: Which of `rows` are fitted; in cross-validation all of them, in turn.
        scored: Which of `rows` are scored.
        notes: What a reader of the table should know about who was scored.
        n_pretrained: Scored participants that were in pretraining; None when not known.
        problem: Why the target cannot be probed; empty when it can.
    """

    target: Target
    units: Units
    rows: np.ndarray
    participants: np.ndarray
    truth: np.ndarray
    classes: tuple[str, ...]
    fitted: np.ndarray
    scored: np.ndarray
    notes: tuple[str, ...]
    n_pretrained: int | None
    problem: str = ""

    @property
    def n_fit(self) -> int:
        """Participants to fit on; in cross-validation all of them, in turn."""
        return len(np.unique(self.participants[self.fitted]))

    @property
    def n_score(self) -> int:
        """Participants to score."""
        return len(np.unique(self.participants[self.scored]))

    @property
    def n_records(self) -> int:
        """Records behind the scored rows."""
        return int(self.units.counts[self.rows[self.scored]].sum())


def build_case(
    target: Target,
    embeddings: Embeddings | Records,
    labels: pd.DataFrame,
    record_labels: pd.DataFrame,
    splits: Mapping[str, str],
    config: ProbeConfig,
    pretraining: Collection[str] | None,
) -> Case:
    """Find the rows of a target.

    Args:
        target: What is predicted.
        embeddings: Their records, or records without embeddings, are probed.
        labels: Index pseudonyms, one column per label.
        record_labels: Index record names, one column per label.
        splits: Participant → split.
        config: Which splits or folds.
        pretraining: Participants seen in pretraining, if known.

    Raises:
        ConfigError: The target does not fit the labels.
    """
    units = gather_units(embeddings, target.level)
    frame, disagree = agreed_labels(target, units, labels, record_labels)
    if frame.columns.empty or any(name not in frame for name in target.sources):
        # Shows every label there is to whoever misspelt one.
        frame = pd.concat([labels.iloc[:0], record_labels.iloc[:0], frame.iloc[:0]], axis=1)
    truth = target.truth(frame)
    split = np.array([splits.get(name, "") for name in units.participants.tolist()], dtype=np.str_)
    scored = np.isin(split, config.score_on)
    fitted = scored if config.folds is not None else np.isin(split, config.fit_on)
    place = pd.Index(truth.units).get_indexer(pd.Index(units.names))
    rows = np.flatnonzero((fitted | scored) & (place >= 0))
    overlap = None
    if pretraining is not None:
        tested = units.participants[rows[scored[rows]]]
        overlap = len(set(tested.tolist()) & set(pretraining))
    case = Case(
        target=target,
        units=units,
        rows=rows,
        participants=units.participants[rows],
        truth=truth.values[place[rows]],
        classes=truth.classes,
        fitted=fitted[rows],
        scored=scored[rows],
        notes=(),
        n_pretrained=overlap,
    )
    wanted, absent = fitted | scored, place < 0
    counts = (wanted & absent & ~disagree, wanted & absent & disagree, wanted & ~absent & disagree)
    problem = _absent(target, frame) or _problem(case, config)
    if len(truth.units) == 0 and not disagree.any():
        problem = "none of these records has this label"
    notes = _notes(case, *(int(mask.sum()) for mask in counts))
    return replace(case, notes=notes if problem else (*notes, *_rare(case)), problem=problem)


def _notes(case: Case, unlabelled: int, disagree: int, partly: int) -> tuple[str, ...]:
    name, level = case.target.name, case.target.level
    notes = []
    if unlabelled:
        notes.append(f"{name}: {unlabelled} {level}s have no label.")
    if disagree:
        notes.append(
            f"{name}: {disagree} {level}s were left out, their records disagree "
            "(level: record keeps them)."
        )
    if partly:
        notes.append(f"{name}: {partly} {level}s lack a label on which their records disagree.")
    if case.n_pretrained:
        notes.append(
            f"{name}: {case.n_pretrained} of {case.n_score} scored participants were in "
            "pretraining (without labels)."
        )
    return tuple(notes)


def _rare(case: Case) -> tuple[str, ...]:
    """Which classes or labels the means over them leave out, or know hardly anything of."""
    truth, people = case.truth[case.scored], case.participants[case.scored]
    kind, name = case.target.kind, case.target.name
    if kind not in ("multiclass", "ordinal", "multilabel"):
        return ()
    counts = [
        _people(people, truth == place)
        if truth.ndim == 1
        else min(_people(people, truth[:, place] == value) for value in (0, 1))
        for place in range(len(case.classes))
    ]
    absent = [name for name, count in zip(case.classes, counts, strict=True) if count == 0]
    rare = [
        f"{name} ({count})"
        for name, count in zip(case.classes, counts, strict=True)
        if 0 < count < RARE
    ]
    notes = []
    if absent:
        why = "have not both values" if kind == "multilabel" else "are nobody's"
        notes.append(
            f"{name}: {_listed(absent)} {why} among those scored; means over "
            f"{'labels' if kind == 'multilabel' else 'classes'} leave them out."
        )
    if rare:
        notes.append(f"{name}: few scored participants decide over {_listed(rare)}.")
    return tuple(notes)


def _listed(names: list[str]) -> str:
    """The first few of some names."""
    more = len(names) - SHOWN
    return ", ".join(" ".join(name.split()) for name in names[:SHOWN]) + (
        f" and {more} more" if more > 0 else ""
    )


def _absent(target: Target, labels: pd.DataFrame) -> str:
    """A misspelt category looks like a rare one: say which there are."""
    if target.positive is None:
        return ""
    found = sorted(set(map(category_name, labels[target.column].dropna().unique())))
    if category_name(target.positive) in found:
        return ""
    said = f"nobody has {target.column} = {target.positive}; there is "
    said += _listed(found) if found else "no label"
    # YAML reads a bare yes, no, on or off as true or false.
    return said + ("; write text in quotes" if isinstance(target.positive, bool) else "")


def _problem(case: Case, config: ProbeConfig) -> str:
    """Why a target cannot be probed; empty when it can."""
    needed = max(config.minimum, config.folds or 0)
    if case.n_fit < needed:
        return f"{case.n_fit} participants to fit on, at least {needed} are needed"
    if case.n_score < 2:
        return f"{case.n_score} participants to score, at least 2 are needed"
    for mask, verb in ((case.fitted, "fit on"), (case.scored, "score")):
        reason = _uniform(case, mask, verb)
        if reason:
            return reason
    return ""


def _uniform(case: Case, mask: np.ndarray, verb: str) -> str:
    """Why the targets of some rows tell nothing; empty when they do."""
    truth, people = case.truth[mask], case.participants[mask]
    least, word = (2, "two") if verb == "fit on" else (1, "one")
    match case.target.kind:
        case "regression" | "ordinal":
            return f"every participant to {verb} has the same value" if np.ptp(truth) == 0 else ""
        case "binary":
            rarer = min(_people(people, truth == value) for value in (0, 1))
            if rarer < least:
                return f"{rarer} participants of the rarer class to {verb}, at least {word} needed"
        case "multiclass":
            common = sum(_people(people, truth == value) >= least for value in np.unique(truth))
            if common < 2:
                return f"{common} classes with {word} participants to {verb}, at least 2 needed"
        case "multilabel":
            told = [
                min(_people(people, column == value) for value in (0, 1)) >= least
                for column in truth.T
            ]
            if not any(told):
                return f"no label has both values in {word} participants to {verb}"
        case "survival":
            events = _people(people, truth[:, 1] == 1)
            if events < (MIN_EVENTS if verb == "fit on" else 1):
                return f"{events} participants with an event to {verb}, too few"
    return ""


def _people(participants: np.ndarray, mask: np.ndarray) -> int:
    return len(np.unique(participants[mask]))
