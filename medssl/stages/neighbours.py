"""neighbours: embeddings × labels → nearest cases, demonstrations for prompts, retrieval scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from medssl.config import StrictModel, nearest
from medssl.errors import ConfigError, StageError
from medssl.evaluation.baselines import UNTRAINED
from medssl.evaluation.demonstrations import DemonstrationConfig
from medssl.evaluation.retrieval import KS
from medssl.evaluation.retrieval_metrics import HIT
from medssl.evaluation.retrieval_tables import Average
from medssl.evaluation.statistics import Method
from medssl.evaluation.targets import Level
from medssl.files import digest_file, digest_json, write_json
from medssl.sampling.splits import TEST, TRAIN, VALIDATION, assign_splits
from medssl.stages.base import Context, Result, Stage
from medssl.stages.embed import EMBEDDINGS
from medssl.stages.ingest import store_folder
from medssl.stages.probe import read_untrained

if TYPE_CHECKING:
    import pandas as pd

    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.retrieval_tables import Ranking, RetrievalTable
    from medssl.evaluation.units import Units
    from medssl.store import Store

NEIGHBOURS = "neighbours.parquet"
TABLE = "neighbours.md"
DEMONSTRATIONS = "demonstrations.json"
RETRIEVAL = "retrieval.json"
RETRIEVAL_TABLE = "retrieval.md"

MOST_CLASSES = 50
"""A text label with more different values than this is a name or a note, not a class."""

SplitName = Literal["train", "validation", "test"]


class NeighboursConfig(StrictModel):
    """Which cases are looked for, and how retrieval is scored."""

    k: PositiveInt = Field(5, description="cases per query")
    labels: tuple[str, ...] = Field((), description="label columns; none: all that the store has")
    level: Level = Field("participant", description="what is a case: participant, session, record")
    queries: tuple[SplitName, ...] = (TEST,)
    candidates: tuple[SplitName, ...] = (TRAIN, VALIDATION)
    one_per_participant: bool = Field(True, description="only the nearest case of each participant")
    centre: bool = Field(False, description="subtract the candidates' mean before the cosine")
    widths: dict[str, PositiveFloat] = Field(
        default_factory=dict, description="labels that are numbers: the difference that counts as 0"
    )
    ks: tuple[PositiveInt, ...] = Field(KS, min_length=1, description="ranks at which to cut")
    identification: bool = Field(True, description="find participants by their other sessions")
    enrolment: PositiveInt | None = Field(
        None, description="identification: most records enrolled per participant; none: all"
    )
    draws: PositiveInt = Field(5, description="identification: how often the gallery is drawn")
    max_records: PositiveInt = Field(
        50_000, description="identification: of more, each participant gives an equal number"
    )
    demonstrations: DemonstrationConfig = DemonstrationConfig()
    average: Average = Field("participant", description="what counts once: participant or record")
    bootstrap: PositiveInt = 1000
    interval: Method = "bca"
    confidence: float = Field(0.95, gt=0, lt=1)

    @model_validator(mode="after")
    def _apart(self) -> NeighboursConfig:
        shared = sorted(set(self.queries) & set(self.candidates))
        if shared:
            msg = f"{shared[0]} is among both queries and candidates: name it in one of them"
            raise ValueError(msg)
        if not self.queries or not self.candidates:
            msg = "name at least one split for queries and one for candidates"
            raise ValueError(msg)
        if self.labels and (unused := sorted(set(self.widths) - set(self.labels))):
            msg = f"widths.{unused[0]}: add {unused[0]} to labels, or remove its width"
            raise ValueError(msg)
        return self


def run(context: Context) -> Result:
    """Write the nearest cases, the prompts and the retrieval scores; only the scores leave.

    Raises:
        ConfigError: There is no such label column.
        LeakageError: The encoder was pretrained on participants of validation or test.
        StageError: No participant of the queries or candidates has embeddings.
    """
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.neighbours import case_labels, nearest_cases, pool
    from medssl.evaluation.probe import rows_of
    from medssl.evaluation.study_labels import study_labels
    from medssl.evaluation.units import gather_units
    from medssl.stages.data import read_pretraining
    from medssl.store import Store

    config: NeighboursConfig = context.config
    store = Store.open(store_folder(context.inputs["ingest"]))
    embeddings = Embeddings.read(context.inputs["embed"] / EMBEDDINGS)
    splits = assign_splits(store.participants, context.split, previous=context.assigned)
    read_pretraining(context.inputs["embed"], splits)
    asking = _participants(embeddings, splits, config.queries, "queries")
    found = _participants(embeddings, splits, config.candidates, "candidates")
    units = gather_units(embeddings, config.level)
    pooled = pool(embeddings, units)
    names = config.labels or _every_label(store)
    for name in config.widths:
        if name not in names:
            msg = f"neighbours.widths.{name}: no label column {name!r}{nearest(name, names)}"
            raise ConfigError(msg)
    of_records, _ = study_labels(store, rows_of(embeddings, store))
    labels, torn = case_labels(units, names, participants=store.participants, records=of_records)
    empty = [name for name in labels.columns if labels[name].isna().all()]
    labels = labels.drop(columns=empty)
    table, notes = _retrieval(context, embeddings, units, labels, asking, found)
    if torn:
        notes.append(f"{torn} {config.level}s have a label on which their records disagree.")
    notes += [f"{name}: no embedded {config.level} has this label." for name in empty]
    options: dict[str, Any] = {
        "queries": asking, "candidates": found, "k": config.k, "centre": config.centre,
        "one_per_participant": config.one_per_participant, "seed": context.seed,
    }  # fmt: skip
    cases = nearest_cases(pooled, labels, **options)
    cases.frame.to_parquet(context.out / NEIGHBOURS)
    (context.out / TABLE).write_text(cases.to_markdown(), encoding="utf-8")
    _write_demonstrations(context, units, pooled, labels, store, options)
    value = table.to_dict() | {"notes": [*table.notes, *notes]}
    write_json(context.out / RETRIEVAL, value)
    markdown = table.to_markdown() + "".join(f"- {note}\n" for note in notes)
    (context.out / RETRIEVAL_TABLE).write_text(markdown, encoding="utf-8")
    # Cases and prompts hold pseudonyms or what people said: they stay here.
    context.run.artifacts(context.out / RETRIEVAL)
    context.run.artifacts(context.out / RETRIEVAL_TABLE)
    files = [digest_file(context.out / name) for name in (NEIGHBOURS, DEMONSTRATIONS)]
    return Result(
        digest=digest_json([value, *files]),
        summary={
            "queries": cases.n_queries, "candidates": cases.n_candidates, "far": len(cases.far),
            "retrieval": _scores(table),
        },
    )  # fmt: skip


def _participants(
    embeddings: Embeddings, splits: dict[str, str], wanted: Sequence[str], role: str
) -> list[str]:
    found = sorted(
        {name for name in embeddings.participants.tolist() if splits.get(name) in wanted}
    )
    if not found:
        msg = f"neighbours: no embedded participant is in {', '.join(wanted)}: change {role}"
        raise StageError(msg)
    return found


def _every_label(store: Store) -> tuple[str, ...]:
    """All label columns, those of participants first."""
    from medssl.store.schema import ADDED, presence

    given = [
        str(name)
        for name in store.participants.columns
        if name != ADDED and not str(name).startswith(presence(""))
    ]
    more = [str(name) for name in store.record_labels.columns if name not in given]
    return (*given, *more)


def _retrieval(
    context: Context,
    embeddings: Embeddings,
    units: Units,
    labels: pd.DataFrame,
    asking: Sequence[str],
    found: Sequence[str],
) -> tuple[RetrievalTable, list[str]]:
    from medssl.evaluation.neighbours import pool
    from medssl.evaluation.retrieval_tables import tabulate

    config: NeighboursConfig = context.config
    untrained = read_untrained(context)
    tasks, notes = _tasks(labels, config)

    def rankings(features: Embeddings) -> list[Ranking]:
        from medssl.evaluation.retrieval import identification, same_label_retrieval

        pooled = pool(features, units)
        ranked = [
            same_label_retrieval(
                pooled, labels[name], name=name, width=width, queries=asking,
                candidates=found, centre=config.centre, ks=config.ks,
            )
            for name, width in tasks.items()
        ]  # fmt: skip
        if config.identification:
            ranked.append(
                identification(
                    features.take(_spread(features, asking, config.max_records)),
                    enrolment=config.enrolment, draws=config.draws, centre=config.centre,
                    ks=config.ks, seed=context.seed,
                )
            )  # fmt: skip
        return ranked

    given = rankings(embeddings)
    context.progress(1, 1 + len(untrained))
    others: list[Ranking] = []
    for done, one in enumerate(untrained):
        if not np.array_equal(one.records, embeddings.records):
            msg = "an untrained encoder embedded other records: run the embed stage again"
            raise StageError(msg)
        others += rankings(one)
        context.progress(2 + done, 1 + len(untrained))
    if config.identification and (left := _thinned(embeddings, asking, config.max_records)):
        notes.append(f"identification: {left} records were left out (max_records).")
    table = tabulate(
        given, baselines={UNTRAINED: others}, average=config.average, level=config.confidence,
        replicates=config.bootstrap, seed=context.seed, method=config.interval,
    )  # fmt: skip
    return table, notes


def _tasks(
    labels: pd.DataFrame, config: NeighboursConfig
) -> tuple[dict[str, float | None], list[str]]:
    """Labels whose retrieval is scored, with the width of numbers, and why others are not."""
    from medssl.evaluation.neighbours import holds_numbers

    tasks: dict[str, float | None] = {}
    notes = []
    for name in labels.columns:
        if name in config.widths:
            tasks[name] = config.widths[name]
        elif holds_numbers(labels[name]):
            notes.append(f"same {name}: not scored; widths.{name} says which numbers are the same.")
        elif _is_free_text(labels[name]):
            notes.append(f"same {name}: not scored; it has more than {MOST_CLASSES} classes.")
        else:
            tasks[name] = None
    return tasks, notes


def _is_free_text(label: pd.Series[Any]) -> bool:
    from medssl.evaluation.neighbours import holds_numbers

    return not holds_numbers(label) and label.nunique() > MOST_CLASSES


def _spread(embeddings: Embeddings, participants: Sequence[str], limit: int) -> np.ndarray:
    """Positions of records of these participants: of too many, an equal number of each."""
    rows = np.flatnonzero(np.isin(embeddings.participants, np.array(participants)))
    if len(rows) <= limit:
        return rows
    rows = rows[np.argsort(embeddings.participants[rows], kind="stable")]
    counts = np.unique(embeddings.participants[rows], return_counts=True)[1]
    share = max(1, limit // len(counts))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    count = np.repeat(counts, counts)
    # Evenly spaced: of c records, those where the running share passes a whole number.
    step = np.minimum(share, count)
    return np.sort(rows[(place + 1) * step // count > place * step // count])


def _thinned(embeddings: Embeddings, participants: Sequence[str], limit: int) -> int:
    everything = len(_spread(embeddings, participants, len(embeddings)))
    return everything - len(_spread(embeddings, participants, limit))


def _write_demonstrations(
    context: Context,
    units: Units,
    pooled: Embeddings,
    labels: pd.DataFrame,
    store: Store,
    options: dict[str, Any],
) -> None:
    """One set of prompts per label, of cases that have that label.

    Prompts are made to be sent away: a label of many texts is told only when it is asked for.
    """
    from medssl.evaluation.demonstrations import Demonstrations, build_demonstrations
    from medssl.evaluation.neighbours import nearest_cases

    config: NeighboursConfig = context.config
    private = [
        name for name in labels.columns
        if name not in (*config.labels, *config.widths) and _is_free_text(labels[name])
    ]  # fmt: skip
    sets = tuple(
        build_demonstrations(
            nearest_cases(pooled, labels[[name]], **options), units, labels[name], store,
            config.demonstrations, numbers=True if name in config.widths else None,
        )
        for name in labels.columns if name not in private
    )  # fmt: skip
    whole = Demonstrations(
        level=config.level, k=config.k, sets=sets,
        encoder=pooled.metadata.get("bundle", ""),
        notes=tuple(
            f"{name}: no prompts; it has more than {MOST_CLASSES} different texts, which may be "
            "names or notes. To have them all the same, list it under neighbours.labels."
            for name in private
        ),
    )  # fmt: skip
    (context.out / DEMONSTRATIONS).write_text(whole.to_json(), encoding="utf-8")


def _scores(table: RetrievalTable) -> dict[str, Any]:
    scores = {}
    for row in table.rows:
        if row.metric == HIT:
            continue  # retrieval.json has it
        metric = row.metric if row.k is None else f"{row.metric}_at_{row.k}"
        prefix = "/".join(metric_tag(word) for word in (row.task, row.features, metric))
        scores[prefix] = {
            "value": row.interval.value, "low": row.interval.low, "high": row.interval.high,
            "chance": row.chance, "n": row.n_participants,
        }  # fmt: skip
    return scores


def metric_tag(text: str) -> str:
    """A name that MLflow takes as part of a metric's name."""
    return "".join(c if (c.isascii() and c.isalnum()) or c in "_-. " else "_" for c in text)


STAGE = Stage(
    name="neighbours", version=4, config=NeighboursConfig, run=run,
    needs=("ingest", "embed"), reads=("seed", "split"),
)  # fmt: skip
