"""zero_shot: images × sentences, through both encoders → scores that take no training on labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from medssl.bundle.names import BUNDLE
from medssl.config import StrictModel, nearest
from medssl.errors import ConfigError, StageError
from medssl.evaluation.image_text.prompts import PromptSet, default_prompts
from medssl.evaluation.image_text.scores import PAIRS
from medssl.evaluation.statistics import Method
from medssl.files import digest_file, digest_json, read_json, write_json
from medssl.sampling.splits import TEST, TRAIN, check_disjoint
from medssl.stages.base import Context, Result, Stage
from medssl.stages.neighbours import SplitName, metric_tag

if TYPE_CHECKING:
    import numpy as np

    from medssl.evaluation.image_text.model import ImageTextModel
    from medssl.evaluation.image_text.scored import Projections, Scored
    from medssl.evaluation.image_text.scores import ImageTextScores
    from medssl.stages.data import Corpus
    from medssl.store import Store
    from medssl.types import Rows

SCORES = "zero_shot.json"
TABLES = "zero_shot.md"
MAPS = "maps"
COUNTED = ("images", "reports", "participants")
"""Keys of the summary that say what was scored."""
PROJECTED_IMAGES = "projected_images.parquet"
PROJECTED_REPORTS = "projected_reports.parquet"
"""Projections of the pairs that are scored, for the audit: they hold pseudonyms and stay local."""


def _named(value: Any) -> Any:
    """A list of findings, whose label columns are called as they are."""
    return {str(name): name for name in value} if isinstance(value, list | tuple) else value


class ZeroShotConfig(StrictModel):
    """What images are asked, and how answers are scored."""

    findings: Annotated[dict[str, str], BeforeValidator(_named)] = Field(
        default_factory=dict,
        description="finding, as the prompts call it → its label column of 1 and 0; or a list, "
        "where both have the same name",
    )
    prompts: Path | None = Field(
        None, description="YAML file of a prompt set; none: those for chest radiographs"
    )
    score_on: tuple[SplitName, ...] = Field((TEST,), min_length=1)
    ks: tuple[PositiveInt, ...] = Field(
        (5, 10, 50), min_length=1, description="ranks at which retrieval by finding is cut"
    )
    true_pairs: bool = Field(True, description="find the report of an image, and back")
    image_use: tuple[str, ...] | None = Field(
        None,
        description="whether these need the image: findings, or pairs; none: all with an interval",
    )
    maps: int = Field(
        4, ge=0, description="findings that are drawn as a similarity map on one image each"
    )
    untrained_seeds: int = Field(
        3, ge=0, description="the same encoders with random weights, as baselines"
    )
    bootstrap: PositiveInt = 1000
    interval: Method = "bca"
    confidence: float = Field(0.95, gt=0, lt=1)

    @model_validator(mode="after")
    def _asks_something(self) -> ZeroShotConfig:
        if not self.findings and not self.true_pairs:
            msg = "name findings, or set true_pairs: true: there is nothing to score"
            raise ValueError(msg)
        known = [PAIRS, *self.findings]
        for name in self.image_use or ():
            if name not in known:
                msg = f"image_use: {name!r} is no finding, nor pairs{nearest(name, known)}"
                raise ValueError(msg)
        try:
            prompts = self.read_prompts()
            for finding in self.findings:
                _ = prompts[finding]
        except ConfigError as error:  # told with all that is wrong in the pipeline file
            raise ValueError(str(error)) from error
        return self

    def read_prompts(self) -> PromptSet:
        """The prompt set.

        Raises:
            ConfigError: The file is absent or holds something else.
        """
        return default_prompts() if self.prompts is None else PromptSet.read(self.prompts)


def run(context: Context) -> Result:
    """Score both encoders on participants that they have not seen; only the scores leave.

    Raises:
        ConfigError: A label column is absent, or not one of 1 and 0.
        LeakageError: The encoders were pretrained on participants that are scored.
        StageError: Pretraining made no image encoder with a text encoder beside it, or there is
            nothing to score.
    """
    from medssl.evaluation.image_text.evaluate import Statistics, evaluate
    from medssl.evaluation.image_text.examples import draw_examples
    from medssl.evaluation.image_text.model import ImageTextModel
    from medssl.evaluation.image_text.scored import project

    config: ZeroShotConfig = context.config
    folder = context.inputs["pretrain"]
    model = ImageTextModel.load(folder)
    corpus, scored = _scored(context, model)
    context.run.dataset("store", corpus.store.digest)
    total = 2 + config.untrained_seeds
    found = project(model, scored)
    context.progress(1, total)
    untrained = []
    for seed in range(config.untrained_seeds):
        random = _untrained(context, model, corpus, scored, seed)
        untrained.append(project(random, scored))
        context.progress(2 + seed, total)
    scores = evaluate(
        scored, found, untrained=untrained, contents=_contents(model, scored),
        blank=model.project_blank(), ks=config.ks, questions=config.image_use,
        statistics=Statistics(
            config.bootstrap, config.confidence, context.seed, config.interval
        ),
    )  # fmt: skip
    draw_examples(model, scored, context.out / MAPS, limit=config.maps, seed=context.seed)
    context.progress(total, total)
    return _leave(context, model, scored, found, scores)


def _scored(context: Context, model: ImageTextModel) -> tuple[Corpus, Scored]:
    """Images, labels and reports of the participants that are scored."""
    from medssl.evaluation.image_text.scored import gather
    from medssl.stages.data import open_corpus, read_pretraining

    config: ZeroShotConfig = context.config
    corpus = open_corpus(context, model.image.contract.modality)
    trained = read_pretraining(context.inputs["pretrain"], corpus.splits)
    rows = model.image.inputs.usable(corpus.store, corpus.of(*config.score_on))
    if len(rows) == 0:
        splits = ", ".join(config.score_on)
        msg = f"zero_shot: no participant with images is in {splits}: change score_on"
        raise StageError(msg)
    people = [name for name in corpus.splits if corpus.splits[name] in config.score_on]
    check_disjoint("pretraining and zero-shot scores", trained, people)
    return corpus, gather(
        corpus.store, rows, columns=config.findings, prompts=config.read_prompts(),
        reports=_reports(context, model, corpus.store) if config.true_pairs else None,
    )  # fmt: skip


def _reports(context: Context, model: ImageTextModel, store: Store) -> Rows:
    """Reports of scored participants that the text encoder can read; none where there are none."""
    from medssl.stages.data import open_corpus

    modality = model.text.contract.modality
    if len(none := store.rows(modality=modality)) == 0:
        return none
    corpus = open_corpus(context, modality)
    usable: Rows = model.text.inputs.usable(store, corpus.of(*context.config.score_on))
    return usable


def _untrained(
    context: Context, model: ImageTextModel, corpus: Corpus, scored: Scored, seed: int
) -> ImageTextModel:
    from medssl.evaluation.image_text.untrained import untrained_model
    from medssl.evaluation.untrained import plain_batches

    folder = context.inputs["pretrain"]
    told = read_json(folder / BUNDLE / "config.json")["provenance"]
    rows = corpus.of(TRAIN)
    batches = plain_batches(
        model.image.inputs, corpus.store, rows if len(rows) else scored.images,
        limit=told["calibration records"], seed=context.seed + seed,
    )  # fmt: skip
    return untrained_model(folder, batches, seed=context.seed + seed)


def _contents(model: ImageTextModel, scored: Scored) -> np.ndarray:
    """Equal for reports of which the text encoder reads the same words."""
    from medssl.contracts import TextContract

    contract = model.text.contract
    assert isinstance(contract, TextContract)
    return scored.contents(contract.policy)


def _leave(
    context: Context,
    model: ImageTextModel,
    scored: Scored,
    found: Projections,
    scores: ImageTextScores,
) -> Result:
    from medssl.evaluation.image_text.evaluate import paired_embeddings

    sides = ((model.image, PROJECTED_IMAGES), (model.text, PROJECTED_REPORTS))
    if scored.pairs is not None:
        about = tuple(
            {"bundle": side.digest, "modality": side.contract.modality.value} for side, _ in sides
        )
        for projected, (_, name) in zip(
            paired_embeddings(scored, found, about), sides, strict=True
        ):
            projected.write(context.out / name)
    value = {**scores.to_dict(), "bundles": [side.digest for side, _ in sides]}
    write_json(context.out / SCORES, value)
    (context.out / TABLES).write_text(scores.to_markdown(), encoding="utf-8")
    # Projections hold pseudonyms, and maps show participants: they stay here.
    context.run.artifacts(context.out / SCORES)
    context.run.artifacts(context.out / TABLES)
    files = [digest_file(file) for file in sorted(context.out.glob("*.parquet"))]
    return Result(digest=digest_json([value, *files]), summary=_summary(scores))


def _summary(scores: ImageTextScores) -> dict[str, Any]:
    """Counts, scores as MLflow keeps them, and verdicts."""
    from medssl.evaluation.retrieval_tables import metric_name

    told: dict[str, Any] = {}
    for row in scores.findings.rows if scores.findings else ():
        told[_name(row.finding, row.features, "auroc")] = _ends(row.interval, row.chance)
    for table in (scores.retrieval, scores.pairs):
        for one in table.rows if table else ():
            metric = metric_name(one.metric, one.k).replace("@", "_at_")
            told[_name(one.task, one.features, metric)] = _ends(one.interval, one.chance)
    if scores.gap is not None:
        told[_name("modality gap")] = _ends(scores.gap.distance, scores.gap.chance)
    return {
        **scores.counts, "scores": told,
        "image_use": {name: found.verdict for name, found in scores.image_use.items()},
    }  # fmt: skip


def _ends(interval: Any, chance: float) -> dict[str, float]:
    """Value and ends; numbers that are not finite are left out."""
    import math

    found = {
        "value": interval.value, "low": interval.low, "high": interval.high, "chance": chance,
        "n": interval.n_participants,
    }  # fmt: skip
    return {key: value for key, value in found.items() if math.isfinite(value)}


def _name(*words: str) -> str:
    return "/".join(metric_tag(word) for word in words)


def _sources(config: ZeroShotConfig) -> Mapping[str, str]:
    """The prompt file counts by what it holds, not by where it is."""
    return {} if config.prompts is None else {"prompts": digest_file(config.prompts)}


STAGE = Stage(
    name="zero_shot", version=2, config=ZeroShotConfig, run=run,
    needs=("ingest", "pretrain"), uses=("reduce",), reads=("seed", "split"),
    sources=_sources, ignores=("prompts",),
)  # fmt: skip
