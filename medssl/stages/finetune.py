"""finetune: bundle × store × labels → label curve and task bundle."""

from __future__ import annotations

from typing import Any

from medssl.finetuning.config import FinetuneConfig
from medssl.stages.base import Context, Result, Stage
from medssl.stages.pretrain import BUNDLE

CURVE = "curve.json"
TABLE = "curve.md"
TASK = "task"
PREDICTIONS = "predictions.parquet"
"""Predictions of the test participants, with pseudonyms: local."""


def run(context: Context) -> Result:
    """Fine-tune at every fraction from every start, and write curve, pictures and task bundle.

    A killed run goes on with the (start, fraction, seed) that were not finished.

    Raises:
        LeakageError: The encoder was pretrained on participants of validation or test.
    """
    from medssl.evaluation.embed import check_contract
    from medssl.evaluation.predictions import write_predictions
    from medssl.files import digest_json, write_json
    from medssl.finetuning.figures import draw_curve, draw_predictions
    from medssl.finetuning.finetune import finetune_store
    from medssl.finetuning.report import render_curve
    from medssl.finetuning.runs import RunKey
    from medssl.inputs import make_inputs
    from medssl.stages.data import open_corpus, read_pretraining

    config: FinetuneConfig = context.config
    pretrained, provenance = _open_bundle(context)
    corpus = open_corpus(context, pretrained.contract.modality)
    rows = make_inputs(pretrained.contract, pretrained.tokenizer).usable(corpus.store, corpus.rows)
    check_contract(pretrained.contract, corpus.store, rows)
    read_pretraining(context.inputs["pretrain"], corpus.splits)
    context.run.dataset("store", corpus.store.digest)

    def watch(key: RunKey, step: int, loss: float) -> None:
        name = f"{key.start}/{100 * key.fraction:g} percent/seed {key.seed}/validation_loss"
        context.run.metrics({name: loss}, step=step)

    outcome = finetune_store(
        corpus.store, rows, corpus.splits, pretrained, config, context.out,
        seed=context.seed, provenance=provenance, progress=context.progress, watch=watch,
    )  # fmt: skip
    value = outcome.curve.to_dict()
    write_json(context.out / CURVE, value)
    (context.out / TABLE).write_text(render_curve(outcome.curve), encoding="utf-8")
    write_predictions(context.out / PREDICTIONS, outcome.predictions)
    draw_curve(outcome.curve, context.out)
    pictures = draw_predictions(
        outcome.chosen.natural, outcome.test, context.out,
        name=config.target.name, base=outcome.chosen.base,
    )  # fmt: skip
    for name in (CURVE, TABLE, "curve.png", "curve.svg", *pictures):
        context.run.artifacts(context.out / name)
    context.run.artifacts(context.out / TASK, TASK)
    return Result(
        digest=digest_json({"curve": value, "task": outcome.digest}),
        summary=_summarise(value, config, outcome.test.n_participants),
    )


def _open_bundle(context: Context) -> tuple[Any, dict[str, Any]]:
    """The encoder that is fine-tuned, and what its card says of the pretraining."""
    from medssl.bundle import load_encoder, read_config
    from medssl.encoders import BaseEncoder, parse_encoder_config
    from medssl.finetuning.finetune import Pretrained

    folder = context.inputs["pretrain"] / BUNDLE
    encoder = load_encoder(folder, device="cpu")
    assert isinstance(encoder.module, BaseEncoder)
    described = read_config(folder)
    pretrained = Pretrained(
        parse_encoder_config(described["encoder"]), encoder.module, encoder.contract,
        encoder.digest, getattr(encoder.inputs, "tokenizer", None),
    )  # fmt: skip
    kept = ("method", "training participants", "training records", "steps")
    given = described["provenance"]
    return pretrained, {f"pretraining {name}": given[name] for name in kept if name in given}


def _summarise(curve: dict[str, Any], config: FinetuneConfig, scored: int) -> dict[str, Any]:
    """Every score of the primary and other metrics, for the closing table and for tracking."""
    scores = {
        f"{row['start']}/{100 * row['fraction']:g} percent/{row['metric']}": {
            "value": row["value"], "low": row["low"], "high": row["high"],
            "n_fit": row["n_fit"], "n": scored,
        }
        for row in curve["rows"]
    }  # fmt: skip
    return {
        "runs": len(curve["runs"]),
        "participants_scored": scored,
        "fractions_left_out": len(curve["skipped"]),
        "seeds": config.seeds,
        "scores": scores,
    }


STAGE = Stage(
    name="finetune", version=4, config=FinetuneConfig, run=run,
    needs=("ingest", "pretrain"), uses=("reduce",), reads=("seed", "split"), resumes=True,
)  # fmt: skip
