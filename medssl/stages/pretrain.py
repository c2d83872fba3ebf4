"""pretrain: store and selection → bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, PositiveInt

from medssl.errors import StageError
from medssl.methods.config import MethodConfig
from medssl.stages.base import Context, Result, Stage
from medssl.training.config import FitConfig
from medssl.types import Modality

BUNDLE = "bundle"
HEAD = "head.safetensors"
"""The projection head, which is not in the bundle; kept to be probed beside the encoder."""
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


def run(context: Context) -> Result:
    """Train on the training participants and write a bundle."""
    import shutil

    import numpy as np
    import torch

    from medssl.bundle import save_bundle
    from medssl.encoders.calibration import calibrate_batch_norm
    from medssl.evaluation.layers import save_head
    from medssl.evaluation.untrained import plain_batches
    from medssl.files import write_json
    from medssl.methods.registry import build_method
    from medssl.sampling.splits import TRAIN, VALIDATION
    from medssl.stages.data import open_corpus
    from medssl.training.fit import CHECKPOINTS, METRICS, PairData, fit

    config: PretrainConfig = context.config
    corpus = open_corpus(context, config.modality)
    contract = corpus.store.contract(config.modality, corpus.rows)
    if config.encoder.channels != len(contract.channels):
        msg = (
            f"pretrain.encoder.channels is {config.encoder.channels} and the {config.modality} "
            f"records have {len(contract.channels)}: set it to {len(contract.channels)}"
        )
        raise StageError(msg)
    method = build_method(config, seed=context.seed, steps=config.steps)
    rows = corpus.of(TRAIN)
    context.run.dataset("store", corpus.store.digest)
    data = PairData(corpus.store, rows, config, seed=context.seed)
    latest: dict[str, float] = {}

    def report(step: int, values: Mapping[str, float]) -> None:
        latest.update(values)
        context.run.metrics(values, step=step)
        context.progress(step, config.steps)

    fit(
        method, data, config, context.out / _TRAINING,
        validation=corpus.of(VALIDATION), report=report,
    )  # fmt: skip
    encoder, head = (module.cpu() for module in method.exported(config.export))
    calibrate_batch_norm(
        encoder,
        plain_batches(corpus.store, rows, limit=config.calibration_records, seed=context.seed),
    )
    sampler = data.sampler()
    provenance = {
        "method": method.title,
        "positive pairs": config.pairs.level,
        "training participants": sampler.n_participants,
        "training records": len(rows),
        "steps": config.steps,
        "batch size": config.batch_size,
        "seed": context.seed,
        "weights of": config.export,
        "calibration records": config.calibration_records,
        "store digest": corpus.store.digest,
        "torch": torch.__version__,
    }
    digest = save_bundle(
        context.out / BUNDLE, encoder,
        encoder=config.encoder, contract=contract, provenance=provenance,
    )  # fmt: skip
    save_head(context.out / HEAD, head, config.head)
    trained = sorted(set(corpus.participants[np.isin(corpus.rows, rows)].tolist()))
    write_json(context.out / PARTICIPANTS, trained)
    # Checkpoints hold optimiser state and are of no use once the bundle stands.
    shutil.move(context.out / _TRAINING / METRICS, context.out / METRICS)
    shutil.rmtree(context.out / _TRAINING / CHECKPOINTS, ignore_errors=True)
    shutil.rmtree(context.out / _TRAINING)
    context.run.artifacts(context.out / BUNDLE, BUNDLE)
    summary = {
        "participants": sampler.n_participants,
        "participants_left_out": sampler.n_left_out,
        "records": len(rows),
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "steps": config.steps,
        "final": latest,
    }
    return Result(digest=digest, summary=summary)


STAGE = Stage(
    name="pretrain", version=3, config=PretrainConfig, run=run,
    needs=("ingest",), uses=("reduce",), reads=("seed", "split"), resumes=True,
    ignores=("log_every", "checkpoint_every", "monitor_every", "monitor_records"),
)  # fmt: skip
