"""rivals: store × labels → one table of what an encoder must beat, each rival at its best."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import Field, PositiveInt

from medssl.config import StrictModel
from medssl.encoders import EncoderConfig
from medssl.errors import ConfigError, StageError
from medssl.evaluation.probes import ProbeConfig
from medssl.finetuning.config import SupervisedConfig
from medssl.stages.base import Context, Manifest, Result, Stage
from medssl.types import Kind, Modality

if TYPE_CHECKING:
    from medssl.evaluation.baselines import FeatureTable
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.probe import Rival
    from medssl.evaluation.units import Records
    from medssl.inputs import Inputs
    from medssl.stages.data import Corpus
    from medssl.types import Rows

RIVALS: Final = "rivals.json"
TABLE: Final = "rivals.md"
_RUNS: Final = ".runs"
_CALIBRATION: Final = 4096


class RivalsConfig(StrictModel):
    """Which rivals stand in the table, and who is scored how."""

    probe: ProbeConfig | None = Field(
        None, description="targets, folds, intervals; none: those of the pipeline's probe stage"
    )
    modality: Modality | None = Field(
        None, description="none: that of the encoder, or the only one in the store"
    )
    encoder: EncoderConfig | None = Field(
        None,
        description="what is trained from scratch and left untrained; none: the pretrain stage's",
    )
    untrained_seeds: int = Field(
        3, ge=0, description="encoders with random weights; those of the embed stage come first"
    )
    heart_rate_variability: bool = Field(True, description="of PPG and ECG alone")
    minirocket: int = Field(
        9_996, ge=0, description="features of MiniRocket, of waveforms alone; 0 leaves it out"
    )
    supervised: SupervisedConfig | None = Field(
        SupervisedConfig(), description="the encoder trained with labels; null leaves it out"
    )
    workers: PositiveInt = Field(1, description="processes that look for heart beats")


@dataclass(frozen=True)
class _Ground:
    """What all rivals are measured on."""

    corpus: Corpus
    probe: ProbeConfig
    records: Embeddings | Records
    rows: Rows
    modality: Modality
    encoder: EncoderConfig | None
    inputs: Inputs | None
    """How records become what the encoder takes; None where no tokenizer is known."""

    @property
    def untrainable(self) -> str | None:
        """Why no encoder can be trained or left untrained, if so."""
        if self.encoder is None:
            return "which encoder is not known: set rivals.encoder"
        if self.inputs is None:
            return (
                f"{self.modality} records need the tokenizer of an encoder that was pretrained on "
                "them"
            )
        return None


def run(context: Context) -> Result:
    """Score every rival, and the pretrained encoder where there is one, on the same participants.

    A killed stage goes on with the trainings that were not finished.

    Raises:
        ConfigError: No targets.
        LeakageError: The encoder was pretrained on participants of validation or test.
        StageError: The store holds several modalities and none is named, or the encoder takes
            others.
    """
    import shutil

    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.probe import probe_store
    from medssl.stages.data import read_pretraining
    from medssl.stages.probe import leave_table, read_layers

    ground = _open(context)
    context.run.dataset("store", ground.corpus.store.digest)
    embedded = isinstance(ground.records, Embeddings)
    steps = _steps(context.config, ground)
    done = 0

    def advance() -> None:
        nonlocal done
        done = min(done + 1, steps)
        context.progress(done, steps)

    features = _features(context, ground)
    advance()
    rivals = _rivals(context, ground, [table.name for table in features], advance)
    table = probe_store(
        ground.records, ground.corpus.store, ground.probe, ground.corpus.splits,
        baselines=features,
        untrained=_untrained(context, ground),
        layers=read_layers(context) if embedded else None,
        rivals=rivals,
        pretraining=(
            read_pretraining(context.inputs["embed"], ground.corpus.splits) if embedded else None
        ),
    )  # fmt: skip
    shutil.rmtree(context.out / _RUNS, ignore_errors=True)
    return leave_table(context, table, RIVALS, TABLE)


def _open(context: Context) -> _Ground:
    import numpy as np

    from medssl.encoders import kind_of
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.probe import rows_of
    from medssl.evaluation.units import Records
    from medssl.inputs import make_inputs
    from medssl.stages.data import open_corpus
    from medssl.stages.embed import EMBEDDINGS

    config: RivalsConfig = context.config
    probe = _settings(context)
    found = None
    if "embed" in context.inputs:
        found = Embeddings.read(context.inputs["embed"] / EMBEDDINGS)
    named = found.metadata["modality"] if found is not None else config.modality
    modality = Modality(named or _only_modality(context))
    corpus = open_corpus(context, modality)
    rows = np.asarray(corpus.rows if found is None else rows_of(found, corpus.store))
    pretrained, inputs = _pretrained(context, modality)
    encoder = config.encoder or pretrained
    if encoder is not None and kind_of(encoder) is not modality.kind:
        msg = (
            f"rivals.encoder is {encoder.name}, which takes no {modality} records: name an encoder "
            f"of {modality.kind}s, or leave it out"
        )
        raise StageError(msg)
    if inputs is None and encoder is not None and modality.kind in (Kind.WAVEFORM, Kind.IMAGE):
        inputs = make_inputs(corpus.store.contract(modality, rows))
    encoder = _without_weights(encoder, inputs)
    if inputs is not None and found is None:
        rows = inputs.usable(corpus.store, rows)
    records = Records.of(corpus.store, rows) if found is None else found
    return _Ground(corpus, probe, records, rows, modality, encoder, inputs)


def _settings(context: Context) -> ProbeConfig:
    config: RivalsConfig = context.config
    if config.probe is not None:
        return config.probe
    if "probe" not in context.inputs:
        msg = (
            "rivals: no targets: add a probe stage to the pipeline, or rivals: {probe: {targets: "
            "[…]}}"
        )
        raise ConfigError(msg)
    return ProbeConfig.model_validate(Manifest.read(context.inputs["probe"]).parts["config"])


def _only_modality(context: Context) -> str:
    from medssl.stages.ingest import store_folder
    from medssl.store import Store

    there = sorted(set(Store.open(store_folder(context.inputs["ingest"])).column("modality")))
    if len(there) != 1:
        msg = f"rivals: the store holds {', '.join(there)}: set rivals.modality to one of them"
        raise StageError(msg)
    return str(there[0])


def _pretrained(context: Context, modality: Modality) -> tuple[EncoderConfig | None, Inputs | None]:
    """How the pretrained encoder of a modality was built, and what it takes, if there is one."""
    from medssl.bundle import load_encoder, read_config
    from medssl.encoders import parse_encoder_config
    from medssl.stages.pretrain import BUNDLE, PARTNER_BUNDLE

    if "pretrain" not in context.inputs:
        return None, None
    for name in (BUNDLE, PARTNER_BUNDLE):
        folder = context.inputs["pretrain"] / name
        if not folder.is_dir():
            continue
        encoder = load_encoder(folder, device="cpu")
        if encoder.contract.modality is modality:
            return parse_encoder_config(read_config(folder)["encoder"]), encoder.inputs
    return None, None


def _without_weights(encoder: EncoderConfig | None, inputs: Inputs | None) -> EncoderConfig | None:
    """A configuration that starts from random weights, whatever file or folder it names."""
    if encoder is not None and encoder.name == "text_transformer":
        tokenizer = getattr(inputs, "tokenizer", None)
        return encoder if tokenizer is None else encoder.resolved(tokenizer.size)
    if encoder is not None and getattr(encoder, "weights", None) is not None:
        return encoder.model_copy(update={"weights": None})
    return encoder


def _steps(config: RivalsConfig, ground: _Ground) -> int:
    """Of the progress bar: the feature tables, and every training."""
    if config.supervised is None or ground.untrainable is not None:
        return 2
    folds = ground.probe.folds or 1
    return 2 + config.supervised.seeds * folds * len(ground.probe.targets)


def _features(context: Context, ground: _Ground) -> list[FeatureTable]:
    """Feature tables that the probe stage does not make itself."""
    import numpy as np

    from medssl.evaluation.heart_rate_variability import heart_rate_variability_features

    config: RivalsConfig = context.config
    if config.heart_rate_variability and _has_beats(ground):
        single = any(target.level != "participant" for target in ground.probe.targets)
        table = heart_rate_variability_features(
            ground.corpus.store, ground.rows, ground.modality,
            per_participant=None if single else 16, workers=config.workers,
        )  # fmt: skip
        if np.isfinite(table.values).any():
            return [table]
    return []


def _rivals(
    context: Context, ground: _Ground, given: Collection[str], advance: Callable[[], None]
) -> dict[str, Rival]:
    """Rivals that are more than a table of features, and those that there cannot be."""
    from medssl.evaluation.baselines import MINIROCKET, SUPERVISED, VARIABILITY
    from medssl.evaluation.minirocket import minirocket_features, ridge_rival
    from medssl.finetuning.supervised import supervised_rival
    from medssl.sampling.splits import TRAIN

    config: RivalsConfig = context.config
    corpus, found = ground.corpus, {}
    if config.heart_rate_variability and _has_beats(ground) and VARIABILITY not in given:
        found[VARIABILITY] = _absent("no recording has beats over 10 s without a gap")
    if config.minirocket and ground.modality.kind is Kind.WAVEFORM:
        table = minirocket_features(
            corpus.store, ground.rows, corpus.of(TRAIN), context.seed, config.minirocket
        )
        found[MINIROCKET] = ridge_rival(table, ground.records, ground.probe)
    advance()
    if config.supervised is not None and ground.untrainable is not None:
        found[SUPERVISED] = _absent(ground.untrainable)
    elif config.supervised is not None and ground.encoder is not None:
        found[SUPERVISED] = supervised_rival(
            corpus.store, ground.rows, corpus.splits, ground.probe,
            encoder=ground.encoder, config=config.supervised, seed=context.seed,
            inputs=ground.inputs, folder=context.out / _RUNS, report=advance,
        )  # fmt: skip
    return found


def _has_beats(ground: _Ground) -> bool:
    return ground.modality in (Modality.PPG, Modality.ECG)


def _absent(reason: str) -> Rival:
    """A row that says why it has no value."""
    from medssl.evaluation.probe import Rival

    return Rival(lambda case: reason)


def _untrained(context: Context, ground: _Ground) -> list[Embeddings]:
    """Embeddings by untrained encoders: those of the embed stage, or made here."""
    from medssl.evaluation.embed import embed_store
    from medssl.evaluation.untrained import untrained_encoder
    from medssl.sampling.splits import TRAIN
    from medssl.stages.probe import read_untrained

    given = read_untrained(context) if "embed" in context.inputs else []
    if given or ground.encoder is None or ground.inputs is None:
        return given
    corpus, inputs = ground.corpus, ground.inputs
    return [
        embed_store(
            untrained_encoder(
                ground.encoder, inputs.contract, corpus.store,
                inputs.usable(corpus.store, corpus.of(TRAIN)),
                limit=_CALIBRATION, seed=context.seed + seed,
                tokenizer=getattr(inputs, "tokenizer", None),
            ),
            corpus.store, ground.rows,
        )
        for seed in range(context.config.untrained_seeds)
    ]  # fmt: skip


STAGE = Stage(
    name="rivals", version=4, config=RivalsConfig, run=run,
    needs=("ingest",), uses=("reduce", "pretrain", "embed", "probe"), reads=("seed", "split"),
    resumes=True, ignores=("workers",),
)  # fmt: skip
