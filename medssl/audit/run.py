"""Runs every audit on one set of embeddings and gathers findings, figures and probe rows."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from pydantic import JsonValue

from medssl.audit import figures, pictures
from medssl.audit.calls import Call
from medssl.audit.config import AuditConfig
from medssl.audit.findings import AuditReport, Figure, Finding, ProbeRow, Severity, probe_rows
from medssl.audit.image_matching import read_thumbnails
from medssl.audit.inputs import AuditInputs, NotApplicableError
from medssl.audit.map_points import map_records
from medssl.audit.occlusion import occluded_rows
from medssl.audit.registry import AUDITS, Audit
from medssl.audit.split_balance import AGE
from medssl.errors import LeakageError, MedsslError, StageError
from medssl.sampling.splits import SPLITS
from medssl.store.schema import MODALITY, PARTICIPANT, RATE, RECORD
from medssl.types import Kind, Modality
from medssl.version import __version__

if TYPE_CHECKING:
    from medssl.bundle import Encoder
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.predictions import Predictions
    from medssl.evaluation.targets import Target
    from medssl.store import Store
    from medssl.types import Rows

logger = logging.getLogger(__name__)

MAP: Final = "map"
FIGURES: Final = "figures"
"""Names under which what is drawn stands among the seconds of the audits."""


def run_audit(
    store: Store,
    embeddings: Embeddings,
    *,
    rows: Rows,
    splits: Mapping[str, str],
    pretraining_participants: Collection[str] | None = None,
    scored: Collection[str] | None = None,
    untrained: Embeddings | None = None,
    probe_table: Sequence[Mapping[str, Any]] = (),
    differences: Sequence[Mapping[str, Any]] = (),
    predictions: Mapping[tuple[str, str], Predictions] | None = None,
    targets: Sequence[Target] = (),
    encoder: Encoder | None = None,
    others: Mapping[str, Embeddings] | None = None,
    projected: Mapping[str, Embeddings] | None = None,
    image_uses: Mapping[str, Mapping[str, Any]] | None = None,
    config: AuditConfig | None = None,
    meta: Mapping[str, JsonValue] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Run every audit that the configuration does not leave out.

    Duplicates are looked for in *all* records of the audited modalities, so that what a reduction
    left out of `rows` is still reported, and judged by what is left in. An audit that cannot be run
    is a finding of its own.

    Args:
        store: The store.
        embeddings: Of the trained encoder; their participants are checked against the splits.
        rows: Records in use: those that the reduction kept.
        splits: Participant → split.
        pretraining_participants: Whose records the encoder was trained on; by default those of the
            split `train`.
        scored: Splits whose participants pretraining must not have seen; by default every split
            but `train`.
        untrained: Embeddings of the same records by the untrained encoder.
        probe_table: Rows with target, features, metric, value, low, high, n_fit, n_score, note.
        differences: Rows with target, metric, features, baseline, value, low, high, verdict.
        predictions: Out-of-sample predictions by (target, features), as in a probe table.
        targets: What probes predict; audits that probe again need them.
        encoder: The encoder of these embeddings, to see whether scores follow the records.
        others: Embeddings of other modalities in the same space, by name.
        projected: Projections of several modalities into a space of their own, by name.
        image_uses: `ImageUse.to_dict` of each score of an image–text model, by what is scored.
        config: Which audits, thresholds, seed.
        meta: More to show at the foot of the page, such as the bundle's digest.
        progress: Called with (audits done, audits in all).

    Raises:
        StageError: `rows` is empty, or an embedded record is not in the store.
    """
    if len(rows) == 0:
        msg = "audit: no record to audit; widen the selection, or ingest more recordings"
        raise StageError(msg)
    inputs = AuditInputs(
        store=store, embeddings=embeddings, rows=rows, splits=splits,
        config=config or AuditConfig(), pretraining=pretraining_participants, scored=scored,
        untrained=untrained, probes=probe_rows(probe_table), differences=differences,
        predictions=predictions or {}, targets=tuple(targets), encoder=encoder,
        others=others or {}, projected=projected or {}, image_uses=image_uses or {},
    )  # fmt: skip
    _ = inputs.embedded  # a store that is not theirs is an error, and no finding
    return _report(inputs, dict(meta or {}), progress)


def _report(
    inputs: AuditInputs, meta: dict[str, JsonValue], progress: Callable[[int, int], None] | None
) -> AuditReport:
    chosen = [audit for audit in AUDITS if audit.name not in inputs.config.skip]
    findings: list[Finding] = []
    idle: list[str] = []
    seconds: dict[str, float] = {}
    for done, audit in enumerate(chosen):
        started = time.perf_counter()
        found = run_one(audit, inputs)
        seconds[audit.name] = round(time.perf_counter() - started, 3)
        logger.debug("audit %s: %.2f s", audit.name, seconds[audit.name])
        findings += found
        if not found:
            idle.append(audit.name)
        if progress is not None:
            progress(done + 1, len(chosen))
    started = time.perf_counter()
    drawn = draw(inputs, findings)
    seconds[FIGURES] = round(time.perf_counter() - started, 3)
    started = time.perf_counter()
    records = map_records(inputs)
    seconds[MAP] = round(time.perf_counter() - started, 3)
    return AuditReport(
        findings=tuple(findings),
        figures=tuple(drawn),
        probes=inputs.probes,
        meta=_meta(inputs, idle) | meta,
        seconds=seconds,
        map=records,
    )


def run_one(audit: Audit, inputs: AuditInputs) -> list[Finding]:
    """Findings of one audit; a call that cannot be run is a finding, and the others go on."""
    keywords = audit.keywords(inputs)
    findings: list[Finding] = []
    try:
        for call in audit.ask(inputs):
            try:
                findings += audit.function(*call.arguments, **{**keywords, **call.keywords})
            except MedsslError as error:
                findings.append(_failed(audit, inputs, error, call))
    except NotApplicableError as error:
        findings.append(_not_applicable(audit, inputs, error))
    except MedsslError as error:  # nothing that could be asked
        findings.append(_failed(audit, inputs, error, Call()))
    return [finding.model_copy(update={"group": audit.group}) for finding in findings]


def _failed(audit: Audit, inputs: AuditInputs, error: MedsslError, call: Call) -> Finding:
    """A finding in place of those that an audit could not give.

    The reason may name participants and paths, so that it is no part of the title.
    """
    leaked = isinstance(error, LeakageError)
    about = f" ({call.about})" if call.about else ""
    return Finding(
        audit=audit.name,
        severity=Severity.CRITICAL if leaked else Severity.NOTE,
        title=f"{audit.name.replace('_', ' ').capitalize()}{about} could not be run"
        + (": a participant would be on both sides of a boundary" if leaked else ""),
        n_participants=len(np.unique(inputs.embeddings.participants)),
        n_records=len(inputs.embeddings),
        local=" ".join(str(error).split()),
        advice=f"Put right what the reason names, or leave the audit out: skip: [{audit.name}].",
        participants=tuple(error.participants) if isinstance(error, LeakageError) else (),
    )


def _not_applicable(audit: Audit, inputs: AuditInputs, error: NotApplicableError) -> Finding:
    return Finding(
        audit=audit.name,
        severity=Severity.NOTE,
        title=f"{audit.name.replace('_', ' ').capitalize()} does not apply: {error}",
        n_participants=len(np.unique(inputs.embeddings.participants)),
        n_records=len(inputs.embeddings),
        advice=f"Nothing to do; skip: [{audit.name}] leaves it out.",
    )


def draw(inputs: AuditInputs, findings: Sequence[Finding]) -> list[Figure]:
    """The pictures of the page, in its order."""
    embeddings, untrained = inputs.embeddings, inputs.untrained
    return [
        *_overlays(inputs.store, findings, inputs.config.overlays),
        *_heat_maps(inputs, findings),
        *_forests(inputs.probes),
        *_projections(embeddings, inputs.store.participants, inputs.config.colour_by),
        figures.spectrum(embeddings.values, None if untrained is None else untrained.values),
        *_histograms(inputs.participants, inputs.splits),
    ]


def _overlays(store: Store, findings: Sequence[Finding], limit: int) -> list[Figure]:
    """Pairs of the findings on duplicates, laid over each other or side by side, in their order."""
    position = {name: row for row, name in enumerate(store.column(RECORD).tolist())}
    people = store.column(PARTICIPANT)
    drawn: list[Figure] = []
    for finding in findings:
        for place, pair in enumerate(finding.pairs[: limit - len(drawn)]):
            left, right = position[pair.left], position[pair.right]
            names = (people[left], people[right])
            name = f"{finding.figure}-{place}" if place else str(finding.figure)
            kind = Modality(store.column(MODALITY)[left]).kind
            if kind not in (Kind.IMAGE, Kind.WAVEFORM):
                continue
            records = [np.asarray(store.read_record(row)) for row in (left, right)]
            if kind is Kind.IMAGE:
                drawn.append(pictures.image_pair(*records, names=names, name=name))
            else:
                rate = float(store.column(RATE)[left])
                waves = (record[0] for record in records)
                drawn.append(
                    figures.overlay(*waves, names=names, rate=rate, lag=pair.lag, name=name)
                )
    return drawn


def _heat_maps(inputs: AuditInputs, findings: Sequence[Finding]) -> list[Figure]:
    """Where scores are read, over the mean of the occluded images."""
    mapped = [(one, one.cells) for one in findings if one.cells is not None]
    if not mapped:
        return []
    held = occluded_rows(inputs)
    mean = (read_thumbnails(inputs.store, held) / 255).mean(axis=0)
    return [
        pictures.heat_map(
            mean, np.array(cells.movement), target=cells.subject, name=str(one.figure)
        )
        for one, cells in mapped
    ]


def _forests(probes: Sequence[ProbeRow]) -> list[Figure]:
    """One figure a target, of its first metric."""
    first: dict[str, str] = {}
    for row in probes:
        first.setdefault(row.target, row.metric)
    drawn = (
        figures.forest([r for r in probes if (r.target, r.metric) == chosen])
        for chosen in first.items()
    )
    return [figure for figure in drawn if figure is not None]


def _projections(
    embeddings: Embeddings, participants: pd.DataFrame, labels: Sequence[str]
) -> list[Figure]:
    names, means = embeddings.participant_means()
    if len(names) < 3:
        return []
    drawn = []
    for label in labels:
        if label in participants and participants[label].notna().any():
            known = participants[label].dropna()
            values = dict(zip(known.index.astype(str), known.tolist(), strict=True))
            drawn.append(figures.projection(names, means, values, label=label))
    return drawn


def _histograms(participants: pd.DataFrame, splits: Mapping[str, str]) -> list[Figure]:
    if AGE not in participants:
        return []
    ages = participants[AGE].to_numpy(dtype=np.float64, na_value=np.nan)
    of = np.array([splits.get(str(name), "") for name in participants.index])
    found = figures.split_histograms({s: ages[of == s] for s in SPLITS}, label=AGE)
    return [] if found is None else [found]


def _meta(inputs: AuditInputs, idle: Sequence[str]) -> dict[str, JsonValue]:
    people = set(inputs.people.tolist())
    counts = Counter(inputs.splits.get(name, "none") for name in people)
    config = inputs.config
    more = {"skip", "seed"}
    left: dict[str, JsonValue] = {}
    if idle:
        left["audits with nothing to look at"] = list(idle)
    if config.skip:
        left["audits left out"] = list(config.skip)
    return {
        "participants": len(people),
        "records": len(inputs.rows),
        "splits": {name: counts[name] for name in (*SPLITS, "none") if counts[name]},
        "embedding dimensions": inputs.embeddings.dim,
        "store digest": inputs.store.digest,
        "store version": inputs.store.version,
        "embeddings": dict(inputs.embeddings.metadata),
        **left,
        "seed": config.seed,
        "settings": config.model_dump(mode="json", exclude=more),
        "medssl": __version__,
    }
