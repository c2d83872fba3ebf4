"""Audit: does how a record was made already give the label away?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from medssl.audit.findings import Finding, Severity, Table
from medssl.audit.out_of_fold import (
    MAX_ROWS,
    chance_level,
    judged_metric,
    out_of_fold,
    subsample,
)
from medssl.evaluation.metrics import weighted_metric
from medssl.evaluation.statistics import Interval, Replicates, WeightedMetric, resample
from medssl.evaluation.targets import Kind

AUDIT: Final = "shortcut_metadata"
METADATA: Final = "metadata"
ENCODER: Final = "encoder"
MAX_COLUMNS: Final = 20


def shortcut_metadata(
    metadata: np.ndarray,
    truth: np.ndarray,
    participants: np.ndarray,
    *,
    kind: Kind,
    target: str,
    columns: Sequence[str] = (),
    embeddings: np.ndarray | None = None,
    classes: int = 0,
    max_r2: float = 0.1,
    max_auroc: float = 0.65,
    min_participants: int = 20,
    max_rows: int = MAX_ROWS,
    n_records: int | None = None,
    seed: int = 0,
) -> list[Finding]:
    """Predict a label from acquisition metadata alone, on participants not fitted on.

    Rate, length, shape, view, site, device, source, quality, number of records, time: a label that
    these predict can be learned without looking at the record itself. The score is R² of numbers,
    quadratic kappa of grades, AUROC or C-index of the others, beside chance and beside the
    encoder's on the same folds, and once for each column alone.

    Args:
        metadata: Features of each row (a participant, session or record), shape (n, d); NaN is
            missing.
        truth: The label, as in `Truth.values` for the kind.
        participants: Participant of each row, shape (n,).
        kind: What kind of label.
        target: Its name.
        columns: Names of the features; those of one categorical column, such as `site=A` and
            `site=B`, are taken together.
        embeddings: Embeddings of the same rows, shape (n, D).
        classes: Number of classes of a multiclass or ordinal label.
        max_r2: R² or kappa at which there is a finding, if the interval leaves chance out.
        max_auroc: The same for AUROC and C-index.
        min_participants: Fewer participants are not judged.
        max_rows: More rows are subsampled by participant.
        n_records: Records behind the rows; as many as rows by default.
        seed: Of subsample, folds and bootstrap.

    Returns:
        One finding: a warning when metadata predict the label and the encoder is not clearly better
        (or is not given), a note when it is, or when the threshold may be reached by chance; none
        without metadata that vary.

    Raises:
        ValueError: The arrays differ in length.
    """
    if len({len(metadata), len(truth), len(participants)}) != 1:
        msg = "give metadata, a label and a participant for each row"
        raise ValueError(msg)
    if metadata.shape[1] == 0:
        return []
    people = np.asarray(participants)
    count = len(people) if n_records is None else n_records
    rows = subsample(people, max_rows, seed=seed)
    if len(np.unique(people)) < min_participants:
        return [_too_few(target, people, count, min_participants)]
    if len(rows) < len(people):
        count = len(rows)
    x, y, people = metadata[rows], truth[rows], people[rows]

    def score(features: np.ndarray) -> WeightedMetric:
        predicted = out_of_fold(features, y, people, kind=kind, classes=classes, seed=seed)
        return weighted_metric(judged_metric(kind), predicted)

    scored = {METADATA: score(x)}
    if embeddings is not None:
        scored[ENCODER] = score(embeddings[rows])
    parts = _columns(columns, x.shape[1])
    scored |= {f"{METADATA}: {name}": score(x[:, at]) for name, at in parts.items()}
    drawn = resample(scored, people, seed=seed, n_records=count)
    limit = max_r2 if chance_level(kind) == 0 else max_auroc
    return [_judge(drawn, kind, target, list(parts), limit)]


def _columns(names: Sequence[str], count: int) -> dict[str, list[int]]:
    """Places of the features of each column, where there are several columns with a name."""
    parts: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        parts.setdefault(name.split("=")[0], []).append(place)
    known = len(names) == count and 1 < len(parts) <= MAX_COLUMNS
    return parts if known else {}


def _too_few(target: str, people: np.ndarray, n_records: int, least: int) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE,
        title=f"{target}: too few participants to tell whether metadata predict it",
        n_participants=len(np.unique(people)),
        n_records=n_records,
        detail=f"It needs {least} labelled participants.",
        advice=f"Label {target} of more participants.",
    )


def _judge(drawn: Replicates, kind: Kind, target: str, parts: list[str], limit: float) -> Finding:
    label, chance = judged_metric(kind).label, chance_level(kind)
    metadata = drawn.interval(METADATA)
    rows: list[tuple[str, Interval, float]] = [("all metadata", metadata, chance)]
    gain = None
    if ENCODER in drawn.values:
        gain = drawn.difference(ENCODER, METADATA)
        rows += [("embeddings", drawn.interval(ENCODER), chance)]
        rows += [("embeddings minus metadata", gain, 0.0)]
    alone = [(name, drawn.interval(f"{METADATA}: {name}")) for name in parts]
    rows += [(f"{name} alone", one, chance) for name, one in alone]
    severity, title = Severity.OK, f"Acquisition metadata do not predict {target}"
    advice = "Nothing to do."
    if metadata.value >= limit:
        found = f"Acquisition metadata alone predict {target}: {label} {metadata.value:.2f}"
        first = max(alone, key=lambda item: item[1].value)[0] if alone else "them"
        if metadata.low <= chance:
            severity, title = Severity.NOTE, f"{found}, perhaps by chance"
            advice = "Repeat with more participants."
        elif gain is not None and gain.low > 0:
            severity, title = Severity.NOTE, f"{found}; embeddings do better"
            advice = (
                f"Report the score of metadata beside the encoder's, and score {target} among "
                f"records that are alike in {first}."
            )
        else:
            severity = Severity.WARNING
            title = found if gain is None else f"{found}, and embeddings are not clearly better"
            advice = (
                f"Do not claim that {target} is read from the record itself: balance or "
                f"match participants on {first}, and probe again."
            )
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=title,
        measure=f"{label} of {target} from metadata",
        value=metadata.value,
        low=metadata.low,
        high=metadata.high,
        threshold=limit,
        n_participants=drawn.n_participants,
        n_records=drawn.n_records,
        detail="Linear probe, 5 folds over participants, the same for metadata and embeddings. The "
        "differences between columns are not corrected for their number.",
        advice=advice,
        table=Table(
            title=f"{target} from how records were made",
            columns=("features", label, "95 % low", "high", "by chance"),
            rows=tuple((name, one.value, one.low, one.high, none) for name, one, none in rows),
        ),
    )
