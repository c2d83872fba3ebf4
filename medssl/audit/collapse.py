"""Audit: do the embeddings use their dimensions, and do they tell participants apart?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medssl.audit.findings import Finding, Severity, Table
from medssl.evaluation.representation import dead_dimensions, summarise

if TYPE_CHECKING:
    from medssl.evaluation.embeddings import Embeddings

AUDIT: Final = "collapse"
OFFSET: Final = 0.5
"""Uncentred over centred effective rank below which the mean vector is said to dominate."""


def collapse(
    embeddings: Embeddings,
    *,
    untrained: Embeddings | None = None,
    min_rank_fraction: float = 0.05,
    max_dead_fraction: float = 0.1,
    seed: int = 0,
) -> list[Finding]:
    """Effective rank, dead dimensions, alignment, uniformity and participant dispersion.

    Args:
        embeddings: Embeddings of the trained encoder, before its head.
        untrained: Embeddings of the same records from the same encoder before training.
        min_rank_fraction: Centred effective rank, over the largest possible min(n - 1, d), below
            which the encoder is called collapsed.
        max_dead_fraction: Share of constant dimensions at which a warning is given.
        seed: Of the subsamples and resamples.

    Returns:
        Five findings; those on pairs say so when no participant has two records.
    """
    if len(embeddings) < 2:
        return [_nothing(embeddings)]
    trained = summarise(embeddings, seed)
    # The effective rank grows with n and depends on d: other sizes are no comparison.
    same = untrained is not None and untrained.values.shape == embeddings.values.shape
    other = summarise(untrained, seed) if untrained is not None and same else None
    return [
        _rank(trained, other, min_rank_fraction),
        _offset(trained),
        _dead(trained, embeddings, max_dead_fraction),
        _pairs(trained, other),
        _dispersion(trained, other),
    ]


def _nothing(embeddings: Embeddings) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=Severity.WARNING,
        title="Too few embeddings to look at",
        n_participants=len(set(embeddings.participants.tolist())),
        n_records=len(embeddings),
        advice="Embed at least two records.",
    )


def _rank(trained: dict[str, Any], other: dict[str, Any] | None, fraction: float) -> Finding:
    rank = trained["centred"]["effective_rank"]
    value = rank["value"] or 1.0
    largest = min(trained["n"] - 1, trained["d"])
    threshold = max(2.0, fraction * largest)
    before = other["centred"]["effective_rank"]["value"] if other else None
    of = f"{value:.1f} of {largest} possible"
    if trained["collapsed"] or value < threshold:
        severity, title = Severity.CRITICAL, f"The embeddings have collapsed: effective rank {of}"
        advice = (
            "Do not use this encoder: lower the learning rate, raise the weight of the spread "
            "term (KoLeo) or the batch size, and look at the losses by step."
        )
    elif before is not None and (rank["high"] or value) < before:
        severity = Severity.WARNING
        title = f"Effective rank {of}, less than before training ({before:.1f})"
        advice = "Train longer or spread more: the encoder narrowed what its random start offered."
    else:
        severity, title = Severity.OK, f"The embeddings are spread out: effective rank {of}"
        advice = "Nothing to do."
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=title,
        measure="effective rank, centred",
        value=value,
        low=rank["low"],
        high=rank["high"],
        threshold=threshold,
        n_participants=trained["participants"],
        n_records=trained["n"],
        detail=(
            "Exponential of the entropy of the normalised singular values (Roy & Vetterli 2007). "
            "It grows with n: compare only equal n and d. Interval: delete-group jackknife over "
            "participants."
        ),
        advice=advice,
        table=_comparison(trained, other),
        figure="spectrum",
    )


def _comparison(trained: dict[str, Any], other: dict[str, Any] | None) -> Table:
    def numbers(summary: dict[str, Any] | None) -> list[float | int | None]:
        if summary is None:
            return [None] * 8
        centred, uncentred = summary["centred"], summary["uncentred"]
        return [
            centred["effective_rank"]["value"],
            uncentred["effective_rank"]["value"],
            centred["rankme"],
            uncentred["rankme"],
            uncentred["alignment"]["value"],
            uncentred["uniformity"],
            summary["participant_dispersion_ratio"]["value"],
            summary["dead_dimensions"],
        ]

    names = (
        "effective rank, centred",
        "effective rank, uncentred",
        "RankMe, centred",
        "RankMe, uncentred",
        "alignment (lower: tighter pairs)",
        "uniformity (lower: more spread)",
        "dispersion, inside / between participants",
        "dead dimensions",
    )
    columns = ("measure", "encoder") if other is None else ("measure", "encoder", "untrained")
    rows = zip(names, numbers(trained), numbers(other), strict=True)
    return Table(
        title=f"Representation, n = {trained['n']:,}, d = {trained['d']:,}",
        columns=columns,
        rows=tuple(row[: len(columns)] for row in rows),
    )


def _offset(trained: dict[str, Any]) -> Finding:
    rank = trained["uncentred"]["effective_rank"]
    centred = trained["centred"]["effective_rank"]["value"]
    value = rank["value"]
    dominated = value is not None and centred is not None and value < OFFSET * centred
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE if dominated else Severity.OK,
        title="One shared direction, the mean embedding, dominates"
        if dominated
        else "No single shared direction dominates",
        measure="effective rank, uncentred",
        value=value,
        low=rank["low"],
        high=rank["high"],
        threshold=None if centred is None else OFFSET * centred,
        n_participants=trained["participants"],
        n_records=trained["n"],
        advice="Subtract the mean embedding before cosine similarities or neighbour searches."
        if dominated
        else "Nothing to do.",
    )


def _dead(trained: dict[str, Any], embeddings: Embeddings, limit: float) -> Finding:
    dead = dead_dimensions(embeddings.values)
    share = float(dead.mean())
    spread = np.sort(embeddings.values.std(axis=0, dtype=np.float64))
    severity = Severity.OK
    if dead.any():
        severity = Severity.WARNING if share >= limit else Severity.NOTE
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=f"{int(dead.sum())} of {trained['d']} dimensions are constant"
        if dead.any()
        else f"All {trained['d']} dimensions vary",
        measure="share of constant dimensions",
        value=share,
        threshold=limit,
        n_participants=trained["participants"],
        n_records=trained["n"],
        detail=(
            "Standard deviations of the dimensions: smallest "
            f"{spread[0]:.3g}, median {np.median(spread):.3g}, largest {spread[-1]:.3g}."
        ),
        advice="Shrink the embedding, or look for units that an activation has switched off."
        if dead.any()
        else "Nothing to do.",
    )


def _pairs(trained: dict[str, Any], other: dict[str, Any] | None) -> Finding:
    alignment = trained["uncentred"]["alignment"]
    uniformity = trained["uncentred"]["uniformity"]
    if alignment["value"] is None:
        return _without_pairs(trained, "Alignment")
    before = other["uncentred"]["alignment"]["value"] if other else None
    compared = f", {before:.3f} before training" if before is not None else ""
    return Finding(
        audit=AUDIT,
        severity=Severity.OK,
        title=f"Alignment {alignment['value']:.3f}{compared}; uniformity {uniformity:.2f}",
        measure="alignment",
        value=alignment["value"],
        low=alignment["low"],
        high=alignment["high"],
        n_participants=alignment["n_participants"],
        n_records=alignment["n_records"],
        detail=(
            "Mean squared distance of two records of one participant on unit vectors (0: equal), "
            "and log mean exp(-2·distance²) over all records (0: all equal, lower: more spread); "
            "Wang & Isola 2020. Judge the two together: collapse makes both 0."
        ),
        advice="Nothing to do.",
    )


def _dispersion(trained: dict[str, Any], other: dict[str, Any] | None) -> Finding:
    ratio = trained["participant_dispersion_ratio"]
    if ratio["value"] is None:
        return _without_pairs(trained, "Participant dispersion")
    scattered = ratio["value"] >= 1
    before = other["participant_dispersion_ratio"]["value"] if other else None
    compared = f" ({before:.2f} before training)" if before is not None else ""
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE if scattered else Severity.OK,
        title=f"Records of one participant are {'no closer' if scattered else 'closer'} together "
        f"than participants are: ratio {ratio['value']:.2f}{compared}",
        measure="spread inside over spread between participants",
        value=ratio["value"],
        low=ratio["low"],
        high=ratio["high"],
        threshold=1.0,
        n_participants=ratio["n_participants"],
        n_records=ratio["n_records"],
        detail="medssl's own ratio of variances; not comparable with ratios of other papers.",
        advice="Average more records a participant, or train longer on participant pairs."
        if scattered
        else "Nothing to do.",
    )


def _without_pairs(trained: dict[str, Any], what: str) -> Finding:
    return Finding(
        audit=AUDIT,
        severity=Severity.NOTE,
        title=f"{what} cannot be computed: no two participants with two records each",
        n_participants=trained["participants_with_pairs"],
        n_records=trained["n"],
        advice="Embed at least two records of each of several participants.",
    )
