"""pretrain: store and selection → bundle."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator, model_validator

from medssl.errors import StageError
from medssl.methods.config import MethodConfig, has_teacher
from medssl.stages.base import Context, Result, Stage
from medssl.training.config import FitConfig
from medssl.types import Modality, Rows

if TYPE_CHECKING:
    from torch import nn

    from medssl.encoders import EncoderConfig
    from medssl.records import Contract
    from medssl.stages.data import Corpus

BUNDLE = "bundle"
HEAD = "head.safetensors"
"""The projection head, which is not in the bundle; kept to be probed beside the encoder."""
PARTNER_BUNDLE = "partner_bundle"
"""The encoder of the second modality, where there is one."""
PARTNER_HEAD = "partner_head.safetensors"
PARTICIPANTS = "participants.json"
"""Pseudonyms of those trained on: local, for leak checks; not part of the bundle."""
_TRAINING = "training"


class PretrainConfig(MethodConfig, FitConfig):
    """What is learned, from which modality, and for how long."""

    modality: Modality
    export: Literal["student", "teacher"] = Field(
        "student", description="whose weights the bundle holds"
    )
    calibration_records: PositiveInt = Field(
        4096, description="training records that the batch-norm statistics are taken from at last"
    )

    @field_validator("export")
    @classmethod
    def _exists(cls, export: str, info: ValidationInfo) -> str:
        method = info.data.get("method")  # absent when it is itself at fault
        if export == "teacher" and method is not None and not has_teacher(method):
            msg = f"method {method.name} keeps no teacher here; use export: student"
            raise ValueError(msg)
        return export

    @model_validator(mode="after")
    def _two_modalities(self) -> PretrainConfig:
        if self.pairs.level == "moment" and self.partner is None:
            msg = (
                "pairs.level: moment needs method: multiview, and partner: {encoder: …} for the "
                f"{self.pairs.partner} records"
            )
            raise ValueError(msg)
        if self.partner is not None and self.pairs.level != "moment":
            msg = "partner belongs to pairs: {level: moment, partner: …}: set it, or drop partner"
            raise ValueError(msg)
        if self.pairs.partner == self.modality:
            msg = f"pairs.partner is {self.modality}, as modality: name another modality"
            raise ValueError(msg)
        return self


@dataclass(frozen=True)
class _Side:
    """One modality of a run: its records, and what is made of them."""

    corpus: Corpus
    contract: Contract
    encoder: EncoderConfig
    rows: Rows
    """Of training participants."""

    @property
    def trained(self) -> set[str]:
        """Training participants."""
        from medssl.store.schema import PARTICIPANT

        return set(self.corpus.store.column(PARTICIPANT, self.rows).tolist())


def run(context: Context) -> Result:
    """Train on the training participants and write a bundle."""
    import torch

    from medssl.files import digest_json, write_json
    from medssl.methods.multiview import MultiView
    from medssl.methods.registry import build_method
    from medssl.sampling.splits import VALIDATION
    from medssl.training.fit import CHECKPOINTS, METRICS, PairData, fit

    config: PretrainConfig = context.config
    side = _open(context, config.modality, config.encoder, "pretrain.encoder")
    other: _Side | None = None
    if config.partner is not None:
        assert config.pairs.partner is not None  # the configuration says so
        other = _open(
            context, config.pairs.partner, config.partner.encoder, "pretrain.partner.encoder"
        )
    method = build_method(config, seed=context.seed, steps=config.steps)
    store = side.corpus.store
    context.run.dataset("store", store.digest)
    data = PairData(
        store, side.rows, config, seed=context.seed,
        partner_rows=None if other is None else other.rows,
    )  # fmt: skip
    latest: dict[str, float] = {}

    def report(step: int, values: Mapping[str, float]) -> None:
        latest.update(values)
        context.run.metrics(values, step=step)
        context.progress(step, config.steps)

    fit(
        method, data, config, context.out / _TRAINING,
        validation=side.corpus.of(VALIDATION), report=report,
    )  # fmt: skip
    sampler = data.sampler()
    provenance: dict[str, Any] = {
        "method": method.title,
        "positive pairs": config.pairs.level,
        "training participants": sampler.n_participants,
        "steps": config.steps,
        "batch size": config.batch_size,
        "seed": context.seed,
        "weights of": config.export,
        "calibration records": config.calibration_records,
        "store digest": store.digest,
        "torch": torch.__version__,
    }
    summary: dict[str, Any] = {
        "participants": sampler.n_participants,
        "participants_left_out": sampler.n_left_out,
        "records": len(side.rows),
    }
    if data.moments is not None:
        provenance |= {
            "moments of": f"{config.modality} and {config.pairs.partner}",
            "moments": len(data.moments),
        }
        summary |= {
            "moments": len(data.moments),
            "records_without_partner": data.moments.alone[0],
            "partner_records_without_partner": data.moments.alone[1],
        }
    trained = side.trained
    encoder, head = method.exported(config.export)
    summary["parameters"] = sum(p.numel() for p in encoder.parameters())
    digest = _save(context, side, encoder, head, provenance, BUNDLE, HEAD)
    if other is not None:
        assert isinstance(method, MultiView)
        partner = method.exported_partner()
        assert partner is not None
        trained |= other.trained
        summary["partner_records"] = len(other.rows)
        summary["partner_parameters"] = sum(p.numel() for p in partner[0].parameters())
        second = _save(context, other, *partner, provenance, PARTNER_BUNDLE, PARTNER_HEAD)
        digest = digest_json([digest, second])
    write_json(context.out / PARTICIPANTS, sorted(trained))
    # Checkpoints hold optimiser state and are of no use once the bundle stands.
    shutil.move(context.out / _TRAINING / METRICS, context.out / METRICS)
    shutil.rmtree(context.out / _TRAINING / CHECKPOINTS, ignore_errors=True)
    shutil.rmtree(context.out / _TRAINING)
    return Result(digest=digest, summary={**summary, "steps": config.steps, "final": latest})


def _open(context: Context, modality: Modality, encoder: EncoderConfig, where: str) -> _Side:
    """Records of one modality, if the encoder fits them.

    Raises:
        StageError: There are none, or they have another number of channels.
    """
    from medssl.sampling.splits import TRAIN
    from medssl.stages.data import open_corpus

    corpus = open_corpus(context, modality)
    contract = corpus.store.contract(modality, corpus.rows)
    if encoder.channels != len(contract.channels):
        msg = (
            f"{where}.channels is {encoder.channels} and the {modality} records have "
            f"{len(contract.channels)}: set it to {len(contract.channels)}"
        )
        raise StageError(msg)
    return _Side(corpus, contract, encoder, corpus.of(TRAIN))


def _save(
    context: Context,
    side: _Side,
    encoder: nn.Module,
    head: nn.Module | None,
    provenance: Mapping[str, Any],
    bundle_name: str,
    head_name: str,
) -> str:
    """Calibrate an encoder on its own records and write its bundle and head; gives its digest."""
    from medssl.bundle import save_bundle
    from medssl.encoders.calibration import calibrate_batch_norm
    from medssl.evaluation.layers import save_head
    from medssl.evaluation.untrained import plain_batches

    config: PretrainConfig = context.config
    store, limit = side.corpus.store, config.calibration_records
    encoder = encoder.cpu()
    calibrate_batch_norm(encoder, plain_batches(store, side.rows, limit=limit, seed=context.seed))
    digest = save_bundle(
        context.out / bundle_name, encoder, encoder=side.encoder, contract=side.contract,
        provenance={**provenance, "training records": len(side.rows)},
    )  # fmt: skip
    if head is not None:
        save_head(context.out / head_name, head.cpu(), config.head)
    context.run.artifacts(context.out / bundle_name, bundle_name)
    return digest


STAGE = Stage(
    name="pretrain", version=3, config=PretrainConfig, run=run,
    needs=("ingest",), uses=("reduce",), reads=("seed", "split"), resumes=True,
    ignores=("log_every", "checkpoint_every", "monitor_every", "monitor_records"),
)  # fmt: skip
