"""pretrain: store and selection → bundle."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator, model_validator

from medssl.bundle.names import BUNDLE, HEAD, PARTNER_BUNDLE, PARTNER_HEAD
from medssl.errors import StageError
from medssl.methods.config import MethodConfig, has_teacher
from medssl.stages.base import PARTICIPANTS, Context, Result, Stage
from medssl.training.config import FitConfig
from medssl.types import Modality

if TYPE_CHECKING:
    from medssl.stages.sides import Side
    from medssl.training.pair_data import PairData

__all__ = ["BUNDLE", "HEAD", "PARTNER_BUNDLE", "PARTNER_HEAD", "STAGE"]

_TRAINING = "training"

_LEVELS: Final = {"convirt": "study", "tip": "record"}
"""The one level of pairs that a method is defined for."""


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
        pairs = self.pairs
        if pairs.partner is not None and self.partner is None:
            msg = (
                f"pairs.partner is {pairs.partner}: name its encoder, partner: {{encoder: …}}, and "
                "a method of two encoders (multiview, convirt, tip)"
            )
            raise ValueError(msg)
        if self.partner is not None and pairs.partner is None:
            msg = (
                "partner belongs to pairs: {level: moment, study or record, partner: …}: set it, "
                "or drop partner"
            )
            raise ValueError(msg)
        if pairs.partner == self.modality:
            msg = f"pairs.partner is {self.modality}, as modality: name another modality"
            raise ValueError(msg)
        level = _LEVELS.get(self.method.name)
        if level is not None and pairs.level != level:
            msg = f"method {self.method.name} needs pairs.level: {level}, not {pairs.level}"
            raise ValueError(msg)
        if self.optimiser.schedule == "plateau" and not self.validate_every:
            msg = "schedule: plateau looks at validation losses: set validate_every"
            raise ValueError(msg)
        images = getattr(self.method, "image_image", 0.0)
        if pairs.companion != "none" and not images:
            msg = "pairs.companion is read by method.image_image, which is 0: give it a weight"
            raise ValueError(msg)
        if (pairs.level == "record") != (pairs.partner is Modality.TABLE):
            msg = "pairs.level: record and pairs.partner: table belong together: set both"
            raise ValueError(msg)
        return self


def run(context: Context) -> Result:
    """Train on the training participants and write a bundle, or two."""
    import torch

    from medssl.files import digest_json, write_json
    from medssl.methods.registry import build_method
    from medssl.sampling.splits import TRAIN, VALIDATION
    from medssl.stages.sides import open_side, save_side
    from medssl.training.fit import CHECKPOINTS, fit
    from medssl.training.monitors import METRICS
    from medssl.training.warm_up import warm_up_text

    config: PretrainConfig = context.config
    side = open_side(context, config.modality, config, "pretrain", rows_of=config.modality)
    settings, other = config.model_copy(update={"encoder": side.start}), None
    if config.partner is not None:
        assert config.pairs.partner is not None  # the configuration says so
        other = open_side(
            context, config.pairs.partner, config.partner, "pretrain.partner",
            rows_of=config.modality,
        )  # fmt: skip
        partner = config.partner.model_copy(update={"encoder": other.start})
        settings = settings.model_copy(update={"partner": partner})
    data = _pairs(context, side, other, TRAIN)
    method = build_method(
        settings, seed=context.seed, steps=config.steps, inputs=side.inputs,
        partner_inputs=None if other is None else other.inputs,
    )  # fmt: skip
    method.meet(data.facts())
    store = side.corpus.store
    context.run.dataset("store", store.digest)
    latest: dict[str, float] = {}

    def report(step: int, values: Mapping[str, float]) -> None:
        latest.update(values)
        context.run.metrics(values, step=step)
        context.progress(step, config.steps)

    held_out = _validation_pairs(context, side, other)
    told = warm_up_text(method, data, context.out / _TRAINING, seed=context.seed, held_out=held_out)
    fit(
        method, data, config, context.out / _TRAINING,
        validation=side.rows_of(VALIDATION), validation_pairs=held_out, report=report,
    )  # fmt: skip
    sampler = data.sampler()
    provenance: dict[str, Any] = {
        "method": method.title,
        "positive pairs": config.pairs.level,
        "training participants": sampler.n_participants,
        "steps": config.steps,
        "batch size": config.batch_size,
        "seed": context.seed,
        "weights of": config.export if config.keep == "last" else "lowest validation loss",
        "calibration records": config.calibration_records,
        "store digest": store.digest,
        "torch": torch.__version__,
        **_pairs_told(data, config),
        **_warm_up_told(told),
    }
    summary: dict[str, Any] = {
        "participants": sampler.n_participants,
        "participants_left_out": sampler.n_left_out,
        "records": len(side.rows),
        **_links_told(data),
        **told,
    }
    trained = side.trained
    encoder, head = method.exported(config.export)
    summary["parameters"] = sum(p.numel() for p in encoder.parameters())
    limits: dict[str, Any] = {"limit": config.calibration_records, "head_config": config.head}
    digest = save_side(context, side, encoder, head, provenance, BUNDLE, HEAD, **limits)
    if other is not None:
        exported = method.exported_partner()
        assert exported is not None
        trained |= other.trained
        summary["partner_records"] = len(other.rows)
        summary["partner_parameters"] = sum(p.numel() for p in exported[0].parameters())
        second = save_side(
            context, other, *exported, provenance, PARTNER_BUNDLE, PARTNER_HEAD, **limits
        )
        digest = digest_json([digest, second])
    write_json(context.out / PARTICIPANTS, sorted(trained))
    # Checkpoints hold optimiser state and are of no use once the bundle stands.
    shutil.move(context.out / _TRAINING / METRICS, context.out / METRICS)
    shutil.rmtree(context.out / _TRAINING / CHECKPOINTS, ignore_errors=True)
    shutil.rmtree(context.out / _TRAINING)
    return Result(digest=digest, summary={**summary, "steps": config.steps, "final": latest})


def _pairs(context: Context, side: Side, other: Side | None, split: str) -> PairData:
    """Pairs of the participants of a split."""
    from medssl.training.pair_data import PairData

    return PairData(
        side.corpus.store, side.rows_of(split), context.config, seed=context.seed,
        partner_rows=None if other is None else other.rows_of(split), inputs=side.inputs,
        partner_inputs=None if other is None else other.inputs,
    )  # fmt: skip


def _validation_pairs(context: Context, side: Side, other: Side | None) -> PairData | None:
    """Pairs of validation participants; None where there is none, or nobody asks for them."""
    from medssl.sampling.splits import VALIDATION

    config: PretrainConfig = context.config
    if not config.validate_every and getattr(config.method, "warm_up", None) is None:
        return None
    try:
        return _pairs(context, side, other, VALIDATION)
    except StageError:  # no two records of theirs belong together
        return None


def _pairs_told(data: PairData, config: PretrainConfig) -> dict[str, Any]:
    """What the card tells of pairs of two modalities."""
    if data.links is None:
        return {}
    noun = "moments" if config.pairs.level == "moment" else "image-report pairs"
    return {f"{noun} of": f"{config.modality} and {config.pairs.partner}", noun: len(data.links)}


def _warm_up_told(told: Mapping[str, Any]) -> dict[str, str]:
    """What the card tells of a warm-up that was measured."""
    found = told.get("warm_up", {})
    if "perplexity" not in found:
        return {}
    said = f"{found['perplexity']:.1f} (word frequencies alone: {found['unigram_perplexity']:.1f})"
    return {"perplexity of the warm-up on validation reports": said}


def _links_told(data: PairData) -> dict[str, int]:
    """What the summary tells of pairs of two modalities."""
    from medssl.sampling.studies import Studies

    if data.links is None:
        return {}
    counts = {
        "records_without_partner": data.links.alone[0],
        "partner_records_without_partner": data.links.alone[1],
    }
    if isinstance(data.links, Studies):
        return {"pairs": len(data.links), "studies": data.facts().studies, **counts}
    return {"moments": len(data.links), **counts}


def _digest_files(config: PretrainConfig) -> dict[str, str]:
    """Digests of the weights that training starts from, and of a loss's reference."""
    from medssl.files import digest_content

    named: dict[str, Path | None] = {}
    for where, side in (("", config), ("partner.", config.partner)):
        for name in ("folder", "weights"):
            encoder = None if side is None else side.encoder
            named[f"{where}encoder.{name}"] = getattr(encoder, name, None)
    loss = getattr(config.method, "loss", None)
    named["method.loss.reference"] = getattr(loss, "reference", None)
    return {name: digest_content(path) for name, path in named.items() if path is not None}


STAGE = Stage(
    name="pretrain", version=5, config=PretrainConfig, run=run, sources=_digest_files,
    needs=("ingest",), uses=("reduce",), reads=("seed", "split"), resumes=True,
    ignores=("log_every", "checkpoint_every", "monitor_every", "monitor_records"),
)  # fmt: skip
