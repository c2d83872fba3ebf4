"""Nearest cases as prompts: demonstrations for in-context learning, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from pydantic import Field, PositiveInt

from medssl.config import StrictModel
from medssl.evaluation.demonstration_parts import Part, PartConfig, describe
from medssl.evaluation.neighbours import (
    CASE,
    PERCENTILE,
    QUERY,
    RANK,
    SIMILARITY,
    Neighbours,
    holds_numbers,
)
from medssl.evaluation.targets import category_name
from medssl.evaluation.units import Units

if TYPE_CHECKING:
    from medssl.store import Store

Order = Literal["most_similar_first", "most_similar_last"]
Label = int | float | str

VERSION: Final = 1


class DemonstrationConfig(PartConfig):
    """How prompts are written."""

    order: Order = Field(
        "most_similar_first", description="of the demonstrations, before the query"
    )
    identifiers: bool = Field(
        False, description="name records and participants; otherwise cases are numbered"
    )
    expected: bool = Field(False, description="add the query's own label, beside the messages")
    instruction: str | None = Field(
        None, description="system message; {target} and {order} are filled in; default: a plain one"
    )
    question: str = Field(
        "What is the {target} of this case?", description="closes each case; {target} is filled in"
    )


class Case(StrictModel):
    """What a prompt says about a case."""

    name: str
    parts: tuple[Part, ...]
    participant: str | None = None
    records: tuple[str, ...] = ()


class Demonstration(Case):
    """A case with its label."""

    label: Label
    similarity: float
    percentile: float


class Message(StrictModel):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(StrictModel):
    """A query and its demonstrations, apart and as a conversation."""

    query: Case
    demonstrations: tuple[Demonstration, ...]
    messages: tuple[Message, ...]
    expected: Label | None = None


class DemonstrationSet(StrictModel):
    """The prompts of one target."""

    target: str
    order: Order
    instruction: str
    question: str
    answer_format: str
    answers: tuple[str, ...] = Field((), description="the classes; empty for numbers")
    prompts: tuple[Prompt, ...]
    left_out: int = Field(0, ge=0, description="queries for which there was no labelled case")


class Demonstrations(StrictModel):
    """What stands in a file of demonstrations."""

    version: Literal[1] = VERSION
    level: str
    encoder: str = Field("", description="digest of the bundle that found the cases")
    k: PositiveInt
    sets: tuple[DemonstrationSet, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As JSON text; `model_validate_json` reads it."""
        return self.model_dump_json(indent=2) + "\n"


def build_demonstrations(
    neighbours: Neighbours,
    units: Units,
    labels: pd.Series[Any],
    store: Store,
    config: DemonstrationConfig,
    *,
    numbers: bool | None = None,
) -> DemonstrationSet:
    """Write a prompt for each query: retrieved cases with their labels, then the query without.

    A conversational prompt, as in retrieval-augmented in-context learning (RAICL, Zhan et al.,
    arXiv 2505.02087): every retrieved case is a question of the user and its label the answer of
    the assistant, and the query is the last question. Cases stand in the order of their similarity,
    the most similar first (as in Liu et al., "What makes good in-context examples for GPT-3?",
    arXiv 2101.06804) or last.

    Arrays cannot be written into a prompt. Signals are given as a summary with heart-rate features,
    images as their size and view (with `identifiers` the record can be attached), reports as their
    sections' names, or their text where that is asked for.

    Args:
        neighbours: Cases with this one label, from `nearest_cases`.
        units: What the cases are, from `pool`.
        labels: The label of every unit, by unit; its name is the target's.
        store: Where the records are.
        config: How prompts are written.
        numbers: Whether the label is a quantity and not a class; None to tell by its values.
    """
    target = str(labels.name)
    known = labels.dropna()
    numbers = holds_numbers(labels) if numbers is None else numbers
    answers = () if numbers else tuple(sorted({category_name(value) for value in known}))
    answer_format = (
        f"Answer with one of: {', '.join(answers)}." if answers else ("Answer with one number.")
    )
    first = config.order == "most_similar_first"
    spoken = "the most similar first" if first else "the most similar last"
    # Not str.format: a label or an instruction may hold braces of its own.
    instruction = config.instruction or _INSTRUCTION
    instruction = instruction.replace("{order}", spoken).replace("{target}", target)
    question = config.question.replace("{target}", target)
    members = _members(units)
    owners = dict(zip(units.names.tolist(), units.participants.tolist(), strict=True))
    frame = neighbours.frame
    used = {name: members[name] for name in pd.unique(pd.concat([frame[QUERY], frame[CASE]]))}
    parts = describe(store, used, config)

    def case(unit: str, name: str) -> dict[str, Any]:
        given: dict[str, Any] = {"name": name, "parts": parts[unit]}
        if config.identifiers:
            given |= {"participant": owners[unit], "records": members[unit]}
        return given

    prompts = []
    for number, (unit, rows) in enumerate(frame.groupby(QUERY, sort=True), start=1):
        shown = [
            Demonstration(
                **case(str(row[CASE]), f"case {row[RANK]}"),
                label=_label(labels[row[CASE]], numbers=numbers),
                similarity=float(row[SIMILARITY]), percentile=float(row[PERCENTILE]),
            )
            for row in rows.sort_values(RANK, ascending=first).to_dict(orient="records")
        ]  # fmt: skip
        query = Case(**case(str(unit), f"query {number}"))
        own = labels[str(unit)]
        prompts.append(
            Prompt(
                query=query, demonstrations=tuple(shown),
                messages=_conversation(f"{instruction} {answer_format}", question, shown, query),
                expected=_label(own, numbers=numbers)
                if config.expected and pd.notna(own) else None,
            )
        )  # fmt: skip
    return DemonstrationSet(
        target=target, order=config.order, instruction=instruction, question=question,
        answer_format=answer_format, answers=answers, prompts=tuple(prompts),
        left_out=neighbours.n_queries - len(prompts),
    )  # fmt: skip


_INSTRUCTION: Final = (
    "You are shown cases whose {target} is known, each with its answer, and then one case whose "
    "{target} is not. The known cases are those of other people that an encoder finds most similar "
    "to it, {order}. Give the {target} of the last case."
)


def _members(units: Units) -> dict[str, tuple[str, ...]]:
    """Names of the records of each unit, sorted."""
    order = np.lexsort((units.records, units.owner))
    parts = np.split(units.records[order], np.cumsum(units.counts)[:-1])
    return {
        unit: tuple(part.tolist()) for unit, part in zip(units.names.tolist(), parts, strict=True)
    }


def _conversation(
    system: str, question: str, shown: Sequence[Demonstration], query: Case
) -> tuple[Message, ...]:
    turns = [Message(role="system", content=system)]
    for one in shown:
        turns.append(Message(role="user", content=f"{_spoken(one)}\n{question}"))
        turns.append(Message(role="assistant", content=category_name(one.label)))
    return (*turns, Message(role="user", content=f"{_spoken(query)}\n{question}"))


def _spoken(case: Case) -> str:
    return "\n".join(part.spoken() for part in case.parts)


def _label(value: object, *, numbers: bool) -> Label:
    if not numbers:
        return category_name(value)
    number = float(np.float64(value))  # type: ignore[arg-type]
    return int(number) if number.is_integer() else number
