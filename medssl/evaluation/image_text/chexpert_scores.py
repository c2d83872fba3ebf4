"""Scores of a CheXpert protocol: retrieval by class, zero-shot accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_text.chexpert_lists import LISTS, Protocol, participant_of
from medssl.evaluation.image_text.image_use import correct_share
from medssl.evaluation.image_text.retrieval import (
    label_retrieval,
    only_precision,
    sentence_retrieval,
)
from medssl.evaluation.image_text.zero_shot import zero_shot_classes
from medssl.evaluation.image_text.zero_shot_table import shown
from medssl.evaluation.retrieval_tables import ENCODER, Ranking, RetrievalTable, tabulate
from medssl.evaluation.statistics import Interval, resample

IMAGE_TASK: Final = "image → image"
TEXT_TASK: Final = "text → image"


class ProtocolEmbeddings(NamedTuple):
    """Projected embeddings of a protocol's entries, in the order of its lists."""

    candidates: np.ndarray
    """Shape (candidates, d)."""
    image_queries: np.ndarray | None = None
    """Shape (image queries, d)."""
    text_queries: np.ndarray | None = None
    """Shape (text queries, d)."""


@dataclass(frozen=True)
class ProtocolScores:
    """What an encoder scores in a protocol.

    Args:
        protocol: The lists.
        retrieval: Precision@5/10/50 of both tasks, with chance and baselines.
        accuracy: Zero-shot accuracy of the candidates' classes by features; empty without texts.
        notes: What a reader should know.
    """

    protocol: Protocol
    retrieval: RetrievalTable
    accuracy: dict[str, Interval]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object, without the lists."""
        return {
            "variant": self.protocol.variant,
            "seed": self.protocol.seed,
            "lists": self.protocol.digest,
            "retrieval": self.retrieval.to_dict(),
            "accuracy": {name: one.to_dict() for name, one in self.accuracy.items()},
            "notes": list(self.notes),
        }

    def to_markdown(self) -> str:
        """As tables for people."""
        text = f"# CheXpert {self.protocol.variant}\n\n{self.retrieval.to_markdown()}"
        if self.accuracy:
            lines = ["| features | zero-shot accuracy | chance |", "|---|---|---|"]
            chance = 1 / len(self.protocol.classes)
            lines += [f"| {n} | {shown(one)} | {chance:.3f} |" for n, one in self.accuracy.items()]
            text += "\n" + "\n".join(lines) + "\n"
        return text + "\n" + "".join(f"- {note}\n" for note in self.notes)


def score_protocol(
    protocol: Protocol,
    found: ProtocolEmbeddings,
    *,
    baselines: Mapping[str, ProtocolEmbeddings] | None = None,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> ProtocolScores:
    """Precision@5/10/50 by class, image → image and text → image, and zero-shot accuracy.

    Each query counts once, as published. Intervals of image queries are over their participants,
    of text queries and of the accuracy over the candidates' participants.
    The accuracy is that of the most probable class of each candidate, the text queries of a class
    being its ensemble.

    Args:
        protocol: The lists.
        found: The encoder's embeddings.
        baselines: Others by name; a side that is None is left out.
        replicates: Bootstrap replicates.
        level: Confidence level.
        seed: Of the bootstrap.

    Raises:
        StageError: The embeddings are not one for each entry, or nothing asks.
    """
    sets = {ENCODER: found, **(baselines or {})}
    rankings = {name: _rankings(protocol, one) for name, one in sets.items()}
    if not rankings[ENCODER]:
        msg = "neither image queries nor text queries are embedded: there is nothing to score"
        raise StageError(msg)
    table = tabulate(
        rankings[ENCODER],
        baselines={name: rankings[name] for name in sets if name != ENCODER},
        average="record",
        replicates=replicates,
        level=level,
        seed=seed,
    )
    notes = [f"Lists {protocol.digest}: {_origin(protocol)}."]
    accuracy = _accuracy(protocol, sets, replicates, level, seed)
    return ProtocolScores(protocol, table, accuracy, tuple(notes))


def _rankings(protocol: Protocol, found: ProtocolEmbeddings) -> list[Ranking]:
    images, labels = _listed(protocol, protocol.candidates, found.candidates)
    rankings = []
    if found.image_queries is not None:
        asked, classes = _listed(protocol, protocol.image_queries, found.image_queries)
        ranking = label_retrieval(asked, classes, images, labels, task=IMAGE_TASK)
        rankings.append(only_precision(ranking))
    if found.text_queries is not None:
        _check(protocol, protocol.text_queries, found.text_queries)
        classes = _one_hot(protocol, protocol.text_queries)
        said = found.text_queries
        rankings.append(sentence_retrieval(said, classes, images, labels, task=TEXT_TASK))
    return rankings


def _listed(
    protocol: Protocol, lists: Mapping[str, tuple[str, ...]], values: np.ndarray
) -> tuple[Embeddings, np.ndarray]:
    _check(protocol, lists, values)
    names = protocol.images(lists)
    owners = np.array([participant_of(name) for name in names])
    return Embeddings(np.array(names), owners, owners, values), _one_hot(protocol, lists)


def _one_hot(protocol: Protocol, lists: Mapping[str, tuple[str, ...]]) -> np.ndarray:
    return np.asarray(np.eye(len(protocol.classes))[protocol.labels(lists)])


def _check(protocol: Protocol, lists: Mapping[str, tuple[str, ...]], values: np.ndarray) -> None:
    count = len(protocol.images(lists))
    if np.ndim(values) != 2 or len(values) != count:
        msg = f"{count} entries in a list and embeddings of shape {np.shape(values)}: one row each"
        raise StageError(msg)


def _accuracy(
    protocol: Protocol,
    sets: Mapping[str, ProtocolEmbeddings],
    replicates: int,
    level: float,
    seed: int,
) -> dict[str, Interval]:
    truth = protocol.labels(protocol.candidates)
    of = protocol.labels(protocol.text_queries)
    correct = {}
    for name, found in sets.items():
        if found.text_queries is not None:
            said = [found.text_queries[of == place] for place in range(len(protocol.classes))]
            correct[name] = correct_share(zero_shot_classes(found.candidates, said), truth)
    if not correct:
        return {}
    owners = np.array([participant_of(name) for name in protocol.images(protocol.candidates)])
    metrics = {name: _mean(hits) for name, hits in correct.items()}
    drawn = resample(metrics, owners, replicates=replicates, seed=seed)
    return {name: drawn.interval(name, level=level) for name in metrics}


def _mean(hits: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda weights: np.asarray(weights @ hits / weights.sum(axis=1))


def _origin(protocol: Protocol) -> str:
    if protocol.digest == LISTS[protocol.variant]:
        return "those of this package for CheXpert v1.0"
    if protocol.seed is None:
        return "read from files"
    return f"drawn with seed {protocol.seed}, not those of this package for CheXpert v1.0"
