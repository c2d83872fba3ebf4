"""audit: embeddings, labels and splits → one page of findings, and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medssl.audit.config import AuditConfig
from medssl.files import digest_json, read_json
from medssl.stages.base import PARTICIPANTS, Context, Manifest, Result, Stage
from medssl.stages.embed import EMBEDDINGS
from medssl.stages.pretrain import BUNDLE, PARTNER_BUNDLE
from medssl.stages.probe import PREDICTIONS, PROBES, read_untrained
from medssl.stages.zero_shot import PROJECTED_IMAGES, PROJECTED_REPORTS, SCORES

if TYPE_CHECKING:
    from medssl.bundle import Encoder
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.targets import Target

PAGE = "audit.html"
PUBLIC = "audit-public.json"
"""The findings without pseudonyms; the only file that leaves for MLflow."""
FAILS = "fails"
PROBE = "probe"
PRETRAIN = "pretrain"
ZERO_SHOT = "zero_shot"


def run(context: Context) -> Result:
    """Write the page and the findings; the caller decides what a failing audit means."""
    from medssl.audit.report import write_report
    from medssl.audit.run import run_audit
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.predictions import read_predictions
    from medssl.stages.data import open_corpus

    embeddings = Embeddings.read(context.inputs["embed"] / EMBEDDINGS)
    corpus = open_corpus(context, embeddings.metadata["modality"])
    untrained = read_untrained(context)
    probes: dict[str, Any] = {"rows": [], "differences": []}
    predictions = None
    if PROBE in context.inputs:
        probes = read_json(context.inputs[PROBE] / PROBES)
        predictions = read_predictions(context.inputs[PROBE] / PREDICTIONS)
    report = run_audit(
        corpus.store, embeddings, rows=corpus.rows, splits=corpus.splits,
        pretraining_participants=read_json(context.inputs["embed"] / PARTICIPANTS),
        untrained=untrained[0] if untrained else None,
        probe_table=probes["rows"], differences=probes["differences"], predictions=predictions,
        targets=_targets(context), encoder=_encoder(context, embeddings), config=context.config,
        **_zero_shot(context),
        meta={"bundle digest": embeddings.metadata["bundle"], "pipeline seed": context.seed},
        progress=context.progress,
    )  # fmt: skip
    write_report(report, context.out / PAGE)
    (context.out / PUBLIC).write_text(report.to_json(identifiers=False), encoding="utf-8")
    context.run.artifacts(context.out / PUBLIC)
    summary = {"findings": report.counts(), FAILS: report.fails(context.config.fail_on)}
    said = [[f.audit, f.severity.value, f.title] for f in report.findings]
    return Result(digest=digest_json(said), summary=summary)


def _encoder(context: Context, embeddings: Embeddings) -> Encoder | None:
    """The encoder that made the embeddings, that of the second modality included."""
    from medssl.bundle import load_encoder

    if PRETRAIN not in context.inputs:
        return None
    main = load_encoder(context.inputs[PRETRAIN] / BUNDLE)
    partner = context.inputs[PRETRAIN] / PARTNER_BUNDLE
    if embeddings.metadata["bundle"] == main.digest or not partner.is_dir():
        return main
    return load_encoder(partner)


def _targets(context: Context) -> tuple[Target, ...]:
    """What the probe stage was told to predict.

    Raises:
        ConfigError: Its output is of a medssl whose settings this one does not know.
    """
    from medssl.config import validate
    from medssl.evaluation.probes import ProbeConfig

    if PROBE not in context.inputs:
        return ()
    config = Manifest.read(context.inputs[PROBE]).parts["config"]
    return validate(ProbeConfig, config, where=PROBE).targets


def _zero_shot(context: Context) -> dict[str, Any]:
    """Projections and verdicts that the zero_shot stage left."""
    from medssl.evaluation.embeddings import Embeddings

    if ZERO_SHOT not in context.inputs:
        return {}
    folder = context.inputs[ZERO_SHOT]
    files = [folder / name for name in (PROJECTED_IMAGES, PROJECTED_REPORTS)]
    found = [Embeddings.read(file) for file in files if file.is_file()]
    return {
        "projected": {one.metadata["modality"]: one for one in found},
        "image_uses": read_json(folder / SCORES)["image_use"],
    }


STAGE = Stage(
    name="audit", version=4, config=AuditConfig, run=run,
    needs=("ingest", "embed"), uses=("reduce", PRETRAIN, PROBE, ZERO_SHOT), reads=("seed", "split"),
)  # fmt: skip
