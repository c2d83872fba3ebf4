"""release: bundle and what is known about it → bundle with its full card, exports, registry."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import ConfigDict, Field

from medssl.bundle.card import (
    INTENDED_USE,
    Card,
    CountFacts,
    DataFacts,
    ExportFacts,
    SourceFacts,
    encoder_facts,
    pick_findings,
    pick_probes,
)
from medssl.bundle.identifiers import find_identifiers
from medssl.bundle.names import (
    BUNDLE_VERSION,
    CARD,
    CONFIG,
    CONTRACT,
    FACTS,
    TOKENIZER,
    WEIGHTS,
)
from medssl.config import StrictModel, nearest
from medssl.errors import ConfigError, StageError
from medssl.evaluation.metrics import METRICS
from medssl.files import read_json, write_json
from medssl.sampling.splits import SPLITS, assign_splits
from medssl.stages.audit import PAGE
from medssl.stages.base import MANIFEST, PARTICIPANTS, Context, Manifest, Result, Stage
from medssl.stages.ingest import store_folder
from medssl.stages.pretrain import BUNDLE
from medssl.stages.probe import PROBES

if TYPE_CHECKING:
    from medssl.bundle import Encoder
    from medssl.store import Store

FINDINGS: Final = str(Path(PAGE).with_suffix(".json"))
EXPORT: Final = "encoder"
"""Name of the exports inside the bundle, before their suffix."""
_LICENCE: Final = "licence"
_LABELS: Final = {metric.name: metric.label for several in METRICS.values() for metric in several}
"""For probe tables that were written before they had names for people."""


class ReleaseConfig(StrictModel):
    """What the card says beyond the run, and where the bundle goes."""

    # `register` is a method of every class, so the field behind it has another name.
    model_config = ConfigDict(populate_by_name=True)

    exports: tuple[Literal["onnx", "torch"], ...] = Field(
        (), description="formats for runtimes without medssl, written into the bundle"
    )
    registered_name: str | None = Field(
        None, alias="register", description="name in the MLflow model registry"
    )
    alias: str = Field("candidate", description="what the registered version is called")
    intended_use: str = INTENDED_USE
    limits: tuple[str, ...] = Field((), description="sentences for the card, besides its own")
    licences: dict[str, str] = Field(
        default_factory=dict,
        description="licence of a source's recordings, by name of the source; "
        "otherwise the `licence` of the ingest stage's source",
    )


def run(context: Context) -> Result:
    """Write the bundle with its full card, then export and register it if asked to.

    Raises:
        StageError: Scores or findings are of another encoder, the card would name somebody, or an
            export differs from the encoder.
        LeakageError: The encoder was pretrained on participants of validation or test.
    """
    from medssl.bundle import bundle_digest, load_encoder, new_bundle
    from medssl.bundle.loading import present
    from medssl.bundle.saving import write_card
    from medssl.store import Store
    from medssl.tracking import register_bundle

    config: ReleaseConfig = context.config
    trained = context.inputs["pretrain"] / BUNDLE
    encoder = load_encoder(trained, device="cpu")
    _check_origin(context, encoder.digest)
    store = Store.open(store_folder(context.inputs["ingest"]))
    out = context.out / BUNDLE
    with new_bundle(out) as folder:
        shutil.copyfile(trained / WEIGHTS, folder / WEIGHTS)
        for name in present(trained, (CONTRACT, TOKENIZER)):
            shutil.copyfile(trained / name, folder / name)
        described = {**read_json(trained / CONFIG), "version": BUNDLE_VERSION}
        write_json(folder / CONFIG, described)
        card = _card(context, encoder, store, described, exports=_export(config, encoder, folder))
        write_card(folder, card)
        texts = [(folder / name).read_text(encoding="utf-8") for name in (CARD, FACTS)]
        found = find_identifiers("\n".join(texts), store)
        if found:
            msg = (
                f"the card would name {found} participant(s), record(s) or session(s) of the "
                "store: look for them in the audit's titles, the probes' notes and release.limits"
            )
            raise StageError(msg)
    context.run.dataset("store", store.digest)
    context.run.artifacts(out / CARD)
    context.run.artifacts(out / FACTS)
    summary: dict[str, Any] = {
        "exports": {facts.format: facts.max_difference for facts in card.exports},
        "sources_without_licence": sum(s.licence is None for s in _sources(card)),
    }
    if config.registered_name is not None:
        version = register_bundle(context.run, out, config.registered_name, config.alias)
        summary["registered"] = f"{config.registered_name}@{config.alias}, version {version}"
    return Result(digest=bundle_digest(out), summary=summary)


def _sources(card: Card) -> Sequence[SourceFacts]:
    return card.data.sources if card.data else ()


def _export(config: ReleaseConfig, encoder: Encoder, folder: Path) -> tuple[ExportFacts, ...]:
    if not config.exports:
        return ()
    from medssl.bundle.exports import SUFFIXES, export_encoder

    return tuple(
        export_encoder(encoder, to, folder / f"{EXPORT}{SUFFIXES[to]}")
        for to in dict.fromkeys(config.exports)
    )


def _check_origin(context: Context, digest: str) -> None:
    """Refuse scores and findings that were not measured on this encoder's embeddings."""
    measured = [name for name in ("probe", "audit") if name in context.inputs]
    if not measured:
        return
    if "embed" not in context.inputs:
        msg = f"cannot tell whose {measured[0]} this is: name its embed output under inputs.embed"
        raise StageError(msg)
    embedded = Manifest.read(context.inputs["embed"])
    # With two encoders the stage's digest is of both bundles; the card tells of the main one.
    pretrained = context.inputs["pretrain"]
    made = Manifest.read(pretrained).digest if (pretrained / MANIFEST).is_file() else digest
    partner = embedded.parts.get("config", {}).get("encoder", "main") != "main"
    if partner or embedded.parts.get("inputs", {}).get("pretrain") != made:
        msg = "the embeddings are of another encoder: embed with this bundle, then probe and audit"
        raise StageError(msg)
    for name in measured:
        read = Manifest.read(context.inputs[name]).parts.get("inputs", {})
        if read.get("embed") != embedded.digest:
            msg = f"the {name} output looked at other embeddings: run {name} again"
            raise StageError(msg)


def _card(
    context: Context,
    encoder: Encoder,
    store: Store,
    described: Mapping[str, Any],
    *,
    exports: tuple[ExportFacts, ...],
) -> Card:
    config: ReleaseConfig = context.config
    inputs = context.inputs
    probes = None
    if "probe" in inputs:
        table = read_json(inputs["probe"] / PROBES)
        named = [{"label": _LABELS.get(row["metric"], ""), **row} for row in table["rows"]]
        probes = pick_probes({**table, "rows": named})
    findings = None
    if "audit" in inputs:
        findings = pick_findings(read_json(inputs["audit"] / FINDINGS)["findings"])
    data = _data(context, store, encoder.contract.modality)
    return Card(
        encoder=encoder_facts(described, dim=encoder.dim),
        contract=encoder.contract,
        training=described["provenance"],
        data=data,
        probes=probes,
        audit=findings,
        exports=exports,
        intended_use=config.intended_use,
        limits=(
            *_limits(probes is not None, findings is not None, data.trained_on is not None),
            *config.limits,
        ),
    )  # fmt: skip


def _data(context: Context, store: Store, modality: str) -> DataFacts:
    """Counts by split and modality, and the licences of the sources of this modality.

    Raises:
        LeakageError: The encoder was pretrained on participants of validation or test.
    """
    import numpy as np
    import pandas as pd

    from medssl.stages.data import read_pretraining
    from medssl.store.schema import MODALITY, PARTICIPANT, SOURCE

    splits = assign_splits(store.participants, context.split, previous=context.assigned)
    trained = None
    if (context.inputs["pretrain"] / PARTICIPANTS).is_file():
        trained = len(read_pretraining(context.inputs["pretrain"], splits))
    columns = (MODALITY, PARTICIPANT, SOURCE)
    frame = pd.DataFrame({name: store.column(name) for name in columns})
    frame["split"] = frame[PARTICIPANT].map(splits)
    groups = frame.groupby([MODALITY, "split"])[PARTICIPANT].agg(["nunique", "size"])
    counts = tuple(
        CountFacts(
            modality=kind, split=split, participants=int(groups.loc[(kind, split), "nunique"]),
            records=int(groups.loc[(kind, split), "size"]),
        )
        for kind in sorted(frame[MODALITY].unique()) for split in SPLITS
        if (kind, split) in groups.index
    )  # fmt: skip
    names = np.unique(frame.loc[frame[MODALITY] == modality, SOURCE].to_numpy(dtype=str))
    licences = _licences(context, sorted(set(frame[SOURCE])))
    return DataFacts(
        digest=store.digest,
        trained_on=trained,
        participants=len(store.participants),
        records=len(store),
        counts=counts,
        sources=tuple(SourceFacts(name=name, licence=licences.get(name)) for name in names),
    )


def _licences(context: Context, sources: Sequence[str]) -> dict[str, str]:
    """What this stage is told, over what ingest was told; a bare store tells nothing.

    Raises:
        ConfigError: This stage is told of a source that the store does not have.
    """
    stated: dict[str, str] = {}
    folder = context.inputs["ingest"]
    if (folder / MANIFEST).is_file():
        config = Manifest.read(folder).parts.get("config", {})
        stated = {
            source["name"]: source[_LICENCE]
            for source in config.get("sources", ())
            if source.get(_LICENCE)
        }
    config_here: ReleaseConfig = context.config
    for name in config_here.licences:
        if name not in sources:
            msg = f"release.licences.{name}: the store has no such source{nearest(name, sources)}"
            raise ConfigError(msg)
    return {**stated, **config_here.licences}


def _limits(probed: bool, audited: bool, origin_known: bool) -> tuple[str, ...]:
    limits = ["Nothing here was measured on recordings of other sources than those named above."]
    if not origin_known:
        limits.append("Whom the encoder was trained on is not known: it may have seen anybody.")
    if probed:
        limits.append(
            "Intervals are over the scored participants; they do not cover another seed of "
            "training or another split."
        )
    else:
        limits.append("What the embeddings are good for was not measured.")
    if not audited:
        limits.append("Leakage, duplicates, subgroups and batch effects were not audited.")
    return tuple(limits)


STAGE = Stage(
    name="release", version=2, config=ReleaseConfig, run=run,
    needs=("ingest", "pretrain"), uses=("embed", "probe", "audit"), reads=("split",),
)  # fmt: skip
