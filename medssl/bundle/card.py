"""The facts of a model card: what a bundle holds, was made from, and is known to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, Field, JsonValue, SerializeAsAny, ValidationError

from medssl.bundle.manifest import read_object
from medssl.bundle.names import CONFIG, CONTRACT, FACTS, TASK, TASK_FORMAT
from medssl.config import StrictModel
from medssl.contracts import Contract, parse_contract
from medssl.errors import StoreError
from medssl.version import __version__

M = TypeVar("M", bound=StrictModel)

MAIN_METRICS: Final = frozenset({"mae", "r2", "auroc", "macro_auroc", "quadratic_kappa", "c_index"})
"""Metrics that people are shown for every set of features; of a kind of target one or two."""

INTENDED_USE: Final = (
    "Research. Embeddings are inputs to models that are fitted and validated on the user's own "
    "labels; they are not a diagnosis."
)


def _contract(value: Any) -> Contract:
    """A contract of whichever kind."""
    return value if isinstance(value, Contract) else parse_contract(value)


class EncoderFacts(StrictModel):
    """What is in the weights."""

    name: str
    parameters: int
    dim: int | None = None
    weights_digest: str
    created_with: str


class SourceFacts(StrictModel):
    """Where recordings came from, and under which licence."""

    name: str
    licence: str | None = None


class CountFacts(StrictModel):
    """Participants and records of one modality in one split."""

    modality: str
    split: str
    participants: int
    records: int


class DataFacts(StrictModel):
    """The data that the encoder was trained and scored on."""

    digest: str
    participants: int
    records: int
    trained_on: int | None = None
    """Participants of the training split that the encoder saw; None when that is not known."""
    counts: tuple[CountFacts, ...] = ()
    sources: tuple[SourceFacts, ...] = ()


class ScoreFacts(StrictModel):
    """One probe score with its interval over participants."""

    target: str
    features: str
    metric: str
    label: str = ""
    """The metric as people write it; empty in older cards."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n_participants: int | None = None
    n_records: int | None = None
    note: str = ""


class DifferenceFacts(StrictModel):
    """How much the encoder differs from a baseline on the same participants."""

    target: str
    metric: str
    features: str
    baseline: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str = "unclear"


class ProbeFacts(StrictModel):
    """Probe scores, the encoder's and the baselines'."""

    rows: tuple[ScoreFacts, ...]
    differences: tuple[DifferenceFacts, ...] = ()
    notes: tuple[str, ...] = ()

    def is_own(self, row: ScoreFacts) -> bool:
        """Whether a score is the encoder's, and not a baseline's."""
        own = {difference.features for difference in self.differences}
        return not own or row.features in own

    def is_main(self, row: ScoreFacts) -> bool:
        """Whether it is of a main metric of its target, or of the first where there is none."""
        metrics = list(dict.fromkeys(r.metric for r in self.rows if r.target == row.target))
        return row.metric in ([m for m in metrics if m in MAIN_METRICS] or metrics[:1])


class FindingFacts(StrictModel):
    """What an audit found, without whom it was found on."""

    severity: str
    title: str


class ExportFacts(StrictModel):
    """An export, and how far its outputs were from the encoder's."""

    file: str
    format: str
    sha256: str
    opset: int | None = None
    written_with: str
    checked_with: str
    segments_checked: int
    max_difference: float
    relative_tolerance: float
    absolute_tolerance: float


class Card(StrictModel):
    """Everything the card says; a part that is None was not measured."""

    encoder: EncoderFacts
    contract: Annotated[SerializeAsAny[Contract], BeforeValidator(_contract)]
    task: str | None = None
    """What a task bundle predicts; None for an encoder."""
    training: dict[str, JsonValue] = Field(default_factory=dict)
    data: DataFacts | None = None
    probes: ProbeFacts | None = None
    audit: tuple[FindingFacts, ...] | None = None
    exports: tuple[ExportFacts, ...] = ()
    intended_use: str = INTENDED_USE
    limits: tuple[str, ...] = ()


def pick_probes(table: Mapping[str, Any]) -> ProbeFacts:
    """What a card tells of a probe table (`probes.json`); other keys are dropped."""
    rows = [{**row, "n_participants": _scored(row)} for row in table["rows"]]
    return ProbeFacts(
        rows=_pick(ScoreFacts, rows),
        differences=_pick(DifferenceFacts, table.get("differences", ())),
        notes=tuple(table.get("notes", ())),
    )


def pick_findings(findings: Sequence[Mapping[str, Any]]) -> tuple[FindingFacts, ...]:
    """Severity and title of every finding (`audit.json`): nothing that names anybody."""
    return _pick(FindingFacts, findings)


def read_card(folder: Path) -> Card:
    """The card of a bundle; of a task or of version 1, what its configuration tells.

    Raises:
        StoreError: The folder is not a bundle, or its card does not fit this medssl.
    """
    try:
        if (folder / FACTS).is_file():
            return Card.model_validate(read_object(folder, FACTS))
        config = read_object(folder, CONFIG)
        contract = parse_contract(read_object(folder, CONTRACT))
        return Card(
            encoder=encoder_facts(config), contract=contract, training=config["provenance"],
            task=_task(folder) if config.get("format") == TASK_FORMAT else None,
        )  # fmt: skip
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        msg = f"the card of {folder} does not fit medssl {__version__}: is it a newer bundle?"
        raise StoreError(msg) from error


def encoder_facts(config: Mapping[str, Any], *, dim: int | None = None) -> EncoderFacts:
    """What a bundle's configuration tells of its encoder."""
    return EncoderFacts(
        name=config["encoder"]["name"], parameters=config["parameters"], dim=dim,
        weights_digest=config["weights_digest"], created_with=config["created_with"],
    )  # fmt: skip


def _task(folder: Path) -> str:
    """The target and its classes."""
    task = read_object(folder, TASK)
    classes = ", ".join(map(str, task["scale"]["classes"]))
    return f"{task['target']['name']} ({classes or task['scale']['kind']})"


def _scored(row: Mapping[str, Any]) -> Any:
    scored = row.get("n_score")
    return row.get("n_participants") if scored is None else scored


def _pick(model: type[M], rows: Sequence[Mapping[str, Any]]) -> tuple[M, ...]:
    known = model.model_fields
    return tuple(
        model.model_validate({key: value for key, value in row.items() if key in known})
        for row in rows
    )
