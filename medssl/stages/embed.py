"""embed: bundle × store → embeddings, of the trained encoder and of untrained ones."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, PositiveInt

from medssl.config import StrictModel
from medssl.errors import StageError
from medssl.files import digest_file, digest_json, read_json, write_json
from medssl.stages.base import PARTICIPANTS, Context, Result, Stage
from medssl.stages.pretrain import (
    BUNDLE,
    HEAD,
    PARTNER_BUNDLE,
    PARTNER_HEAD,
)
from medssl.types import Kind

EMBEDDINGS = "embeddings.parquet"
UNTRAINED = "untrained-{seed}.parquet"
LAYER = "layer-{number}.parquet"
RANK_GAIN = "effective_rank_gain"
"""Key of the summary: centred effective rank of the encoder minus that of the untrained ones."""

_FILES: Final = {"main": (BUNDLE, HEAD), "partner": (PARTNER_BUNDLE, PARTNER_HEAD)}


class EmbedConfig(StrictModel):
    """How embeddings are computed."""

    encoder: Literal["main", "partner"] = Field(
        "main", description="partner: that of the second modality of pairs"
    )
    batch_size: PositiveInt = 256
    untrained_seeds: int = Field(
        3, ge=0, description="encoders with random weights, embedded beside as baselines"
    )
    layers: int = Field(
        0, ge=0, description="earlier layers to embed too, and the head after the last, for probes"
    )


def run(context: Context) -> Result:
    """Embed the kept records of all participants.

    Raises:
        LeakageError: The encoder was pretrained on participants of validation or test.
        StageError: There is no partner's encoder.
    """
    from medssl.bundle import load_encoder
    from medssl.encoders import parse_encoder_config
    from medssl.evaluation.embed import embed_store
    from medssl.evaluation.layers import embed_layers, load_head
    from medssl.evaluation.rank import effective_rank_difference
    from medssl.evaluation.representation import summarise
    from medssl.evaluation.untrained import untrained_encoder
    from medssl.sampling.splits import TRAIN
    from medssl.stages.data import open_corpus, read_pretraining

    config: EmbedConfig = context.config
    bundle, head = (context.inputs["pretrain"] / name for name in _FILES[config.encoder])
    if config.encoder == "partner" and not bundle.is_dir():
        msg = "embed.encoder is partner and pretrain made one encoder: set it to main"
        raise StageError(msg)
    encoder = load_encoder(bundle)
    modality = encoder.contract.modality
    if modality.kind is Kind.TABLE:  # rows of a table belong to the records of the main modality
        modality = load_encoder(context.inputs["pretrain"] / BUNDLE).contract.modality
    corpus = open_corpus(context, modality)
    rows = encoder.inputs.usable(corpus.store, corpus.rows)
    if len(rows) == 0:
        msg = f"none of {len(corpus.rows)} {modality} records can be read by the encoder's contract"
        raise StageError(msg)
    trained = read_pretraining(context.inputs["pretrain"], corpus.splits)
    write_json(context.out / PARTICIPANTS, trained)
    context.run.dataset("store", corpus.store.digest)
    total = len(rows) * (1 + config.untrained_seeds)
    embeddings = embed_store(
        encoder, corpus.store, rows, batch_size=config.batch_size,
        metadata={"bundle": encoder.digest}, progress=lambda done, _: context.progress(done, total),
    )  # fmt: skip
    embeddings.write(context.out / EMBEDDINGS)
    if config.layers:
        layers = embed_layers(
            encoder, corpus.store, rows, count=config.layers,
            head=load_head(head, encoder.dim) if head.is_file() else None,
            batch_size=config.batch_size,
            metadata={"bundle": encoder.digest, "modality": corpus.modality},
        )  # fmt: skip
        for number, layer in enumerate(layers.values()):
            layer.write(context.out / LAYER.format(number=f"{number:02d}"))
    described = read_json(bundle / "config.json")
    others = []
    for seed in range(config.untrained_seeds):
        random = untrained_encoder(
            parse_encoder_config(described["encoder"]), encoder.contract, corpus.store,
            corpus.of(TRAIN), limit=described["provenance"]["calibration records"],
            seed=context.seed + seed, tokenizer=getattr(encoder.inputs, "tokenizer", None),
        )  # fmt: skip
        other = embed_store(
            random, corpus.store, rows, batch_size=config.batch_size,
            metadata={"bundle": random.digest},
        )  # fmt: skip
        other.write(context.out / UNTRAINED.format(seed=seed))
        others.append(other.values)
        context.progress((seed + 2) * len(rows), total)
    summary = {
        "records": len(rows),
        "records_unusable": len(corpus.rows) - len(rows),
        **summarise(embeddings, context.seed),
    }
    if others:
        gain = effective_rank_difference(
            embeddings.values, others, embeddings.participants, centred=True, seed=context.seed
        )
        summary[RANK_GAIN] = gain.to_dict()
    files = sorted(context.out.glob("*.parquet"))
    return Result(digest=digest_json([digest_file(f) for f in files]), summary=summary)


STAGE = Stage(
    name="embed", version=2, config=EmbedConfig, run=run,
    needs=("ingest", "pretrain"), uses=("reduce",), reads=("seed", "split"),
)  # fmt: skip
