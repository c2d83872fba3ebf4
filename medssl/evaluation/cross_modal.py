"""Is a moment of one modality found by what another modality recorded at the same time?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from medssl.errors import StageError
from medssl.evaluation.embed import check_contract
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.layers import HEAD, embed_layers
from medssl.evaluation.retrieval import KS, cross_modal_retrieval
from medssl.evaluation.retrieval_tables import Average, Ranking, RetrievalTable, tabulate
from medssl.evaluation.statistics import Method
from medssl.sampling.moments import Moments
from medssl.types import Rows

if TYPE_CHECKING:
    from medssl.bundle import Encoder
    from medssl.store import Store

Projector = tuple["Encoder", nn.Module]
"""A loaded bundle and the projection head that was trained behind it."""


def moment_retrieval(
    first: Projector,
    second: Projector,
    store: Store,
    moments: Moments,
    *,
    ks: Sequence[int] = KS,
    batch_size: int = 256,
    average: Average = "participant",
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    method: Method = "bca",
) -> RetrievalTable:
    """Project the records of moments and look for each moment in the other modality, both ways.

    Two questions are asked apart, because an encoder may answer the first by recognising people:

    - among the query's own moment and the moments of all *other* participants;
    - among the moments of the query's *own* participant.

    Take moments of participants that the encoders were not trained on. The scores stand beside what
    a random order of the same candidates scores, exactly; intervals are over participants.

    Args:
        first: Encoder and head of the first modality.
        second: Encoder and head of the second modality; the heads share one space.
        store: Where the records are.
        moments: See `medssl.sampling.moments.match_moments`.
        ks: Ranks at which to cut.
        batch_size: Records embedded at once.
        average: What counts once: a participant, or a query.
        replicates: Bootstrap replicates.
        level: Confidence level.
        seed: Of the bootstrap.
        method: How intervals are made.

    Raises:
        ContractError: The records break an encoder's contract.
        StageError: The heads' spaces have different dimensions.
    """
    rankings = moment_rankings(first, second, store, moments, ks=ks, batch_size=batch_size)
    return tabulate(
        rankings, average=average, replicates=replicates, level=level, seed=seed, method=method
    )


def moment_rankings(
    first: Projector,
    second: Projector,
    store: Store,
    moments: Moments,
    *,
    ks: Sequence[int] = KS,
    batch_size: int = 256,
) -> list[Ranking]:
    """What each moment scores as a query, both ways and for both questions; see `moment_retrieval`.

    Args:
        first: Encoder and head of the first modality.
        second: Encoder and head of the second modality; the heads share one space.
        store: Where the records are.
        moments: See `medssl.sampling.moments.match_moments`.
        ks: Ranks at which to cut.
        batch_size: Records embedded at once.
    """
    sides = (
        _project(*first, store, moments.first, batch_size),
        _project(*second, store, moments.second, batch_size),
    )
    names = (first[0].contract.modality.value, second[0].contract.modality.value)
    links = np.arange(len(moments)).astype(np.str_)
    return [
        ranking
        for within in (False, True)
        for ranking in cross_modal_retrieval(
            *sides, left_links=links, right_links=links, names=names, within=within, ks=ks
        )
    ]


def _project(
    encoder: Encoder, head: nn.Module, store: Store, rows: Rows, batch_size: int
) -> Embeddings:
    if len(rows) == 0:
        msg = "there is no moment to look for: take more participants"
        raise StageError(msg)
    check_contract(encoder.contract, store, rows)
    found = embed_layers(encoder, store, rows, count=0, head=head, batch_size=batch_size)
    return found[HEAD]
