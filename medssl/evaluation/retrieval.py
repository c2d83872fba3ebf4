"""Three retrieval tasks: across modalities, same label, same participant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.retrieval_metrics import chance, columns, score_rankings
from medssl.evaluation.retrieval_search import blocks, cosine, unit_rows
from medssl.evaluation.retrieval_tables import Ranking
from medssl.evaluation.targets import category_name
from medssl.sampling.splits import check_disjoint

KS: Final = (1, 5, 10)
"""Ranks at which precision, recall and hit rate are given."""

_COPIES: Final = 8
"""Arrays of the size of one block that are alive at once."""

Judge = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From positions of queries to (relevant, eligible), bool of shape (queries, candidates)."""

Across = Literal["auto", "session", "record"]


def cross_modal_retrieval(
    left: Embeddings,
    right: Embeddings,
    *,
    left_links: Sequence[str | None] | np.ndarray,
    right_links: Sequence[str | None] | np.ndarray,
    names: tuple[str, str] = ("image", "text"),
    within: bool = False,
    ks: Sequence[int] = KS,
) -> tuple[Ranking, Ranking]:
    """Find the records of the other modality that belong to the same study, both ways.

    A query is ranked against its own study and the records of all *other* participants. Records of
    the same participant in another study are neither hit nor miss: two studies of one person look
    alike, and are no error of the encoder's. Records without a link are candidates, never queries.

    With `within` it is the other way round: the candidates are the records of the query's own
    participant, of whom there must be two or more links, and the encoder has to tell these apart.

    Args:
        left: Embeddings of one modality, in the space that both share.
        right: Embeddings of the other modality.
        left_links: Study (or whatever groups a pair) of each record of `left`; None or "" for none.
        right_links: The same for `right`.
        names: What the two are called in the table.
        within: Search among the query's own participant instead of among the others.
        ks: Ranks at which to cut.

    Returns:
        The rankings left → right and right → left.

    Raises:
        StageError: The two have different dimensions, the links are not one per record, or a link
            joins two participants.
    """
    if left.dim != right.dim:
        msg = (
            f"{names[0]} embeddings have {left.dim} dimensions and {names[1]} embeddings "
            f"{right.dim}: embed both with heads that share one space"
        )
        raise StageError(msg)
    links = [
        link_names(given, len(side), name)
        for given, side, name in ((left_links, left, names[0]), (right_links, right, names[1]))
    ]
    check_links(np.concatenate(links), np.concatenate([left.participants, right.participants]))
    there, back = (f"{a} → {b}" for a, b in (names, names[::-1]))
    if within:
        there, back = (f"{task}, own participant" for task in (there, back))
    return (
        _match(left, right, links[0], links[1], there, ks, within=within),
        _match(right, left, links[1], links[0], back, ks, within=within),
    )


def same_label_retrieval(
    embeddings: Embeddings,
    labels: Sequence[Any] | np.ndarray | pd.Series[Any],
    *,
    name: str,
    width: float | None = None,
    queries: Collection[str] | None = None,
    candidates: Collection[str] | None = None,
    centre: bool = False,
    ks: Sequence[int] = KS,
) -> Ranking:
    """Find records of other participants that have the same label.

    Records of the query's own participant are never candidates, whatever their label.

    Args:
        embeddings: Of records, or of the sessions or participants that they were averaged to.
        labels: Label of each row, shape (n,); None, NaN and "" are neither asked nor found.
        name: Name of the label.
        width: Numbers: |Δy| up to which two count as the same, in units of the label. Without it
            labels are classes.
        queries: Participants that ask; None for all.
        candidates: Participants that are found; None for all.
        centre: Subtract the mean of the candidates before the cosine.
        ks: Ranks at which to cut.

    Raises:
        LeakageError: A participant is among both `queries` and `candidates`.
        StageError: The labels are not one per row, or not numbers when `width` is given.
    """
    if queries is not None and candidates is not None:
        check_disjoint("queries and candidates", queries, candidates)
    known, values = _labels(labels, len(embeddings), name, numbers=width is not None)
    ask = embeddings.take(known & _among(embeddings.participants, queries))
    find = embeddings.take(known & _among(embeddings.participants, candidates))
    asked = values[known & _among(embeddings.participants, queries)]
    given = values[known & _among(embeddings.participants, candidates)]
    own, others = shared_codes(ask.participants, find.participants)

    def judge(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        eligible = own[rows, None] != others
        distance = np.abs(asked[rows, None] - given)
        return (distance <= (width or 0.0)) & eligible, eligible

    task = f"same {name}" if width is None else f"same {name} (±{width:g})"
    return rank_candidates(task, ask, find, judge, ks, centre=centre)


def identification(
    embeddings: Embeddings,
    *,
    participants: Collection[str] | None = None,
    enrolment: int | None = None,
    across: Across = "auto",
    draws: int = 5,
    centre: bool = False,
    ks: Sequence[int] = KS,
    seed: int = 0,
) -> Ranking:
    """Find the participant of a record by records of another session.

    In each draw one session of every participant is enrolled: its records are the gallery. Records
    of the other sessions ask; a query's score is its mean over the draws in which it asks. The
    sessions of a participant take turns, in random order.
    Participants with one session stand in the gallery and never ask. When nobody has two sessions,
    records take their place: what one sitting leaves in all of its records then helps, and the
    scores tell little about recognition.

    Args:
        embeddings: Of records.
        participants: Who takes part; None for all. Take those that the encoder did not see: it may
            have been trained to tell the others apart.
        enrolment: Records enrolled per participant, at most; None for all of the session.
        across: What differs between query and gallery; `"auto"`: sessions, if anyone has two.
        draws: How often the gallery is drawn.
        centre: Subtract the mean of the gallery before the cosine.
        ks: Ranks at which to cut.
        seed: Of the draws.
    """
    everyone = embeddings.take(_among(embeddings.participants, participants))
    # The draw must not depend on the order of the records.
    everyone = everyone.take(np.argsort(everyone.records, kind="stable"))
    owners = np.unique(everyone.participants, return_inverse=True)[1].reshape(-1)
    sittings = _sittings(owners, everyone.sessions)
    if across == "auto":
        pairs = len(np.unique(sittings))
        across = "session" if pairs > len(np.unique(owners)) else "record"
    if across == "record":
        sittings = np.arange(len(everyone))
    scores = np.zeros((2, len(everyone), len(columns(ks))))
    asked = np.zeros(len(everyone))
    sizes = []
    for draw in range(draws):
        enrolled, gallery = _enrol(owners, sittings, enrolment, seed=seed, draw=draw)
        rows = np.flatnonzero(~enrolled)
        part = _identify(everyone, rows, gallery, owners, ks, centre=centre)
        scores[:, rows] += np.stack([part.values, part.chance])
        asked[rows] += 1
        sizes.append(len(gallery))
    found = np.flatnonzero(asked)
    values, expected = scores[:, found] / asked[found, None]
    return Ranking(
        task=f"identification across {across}s",
        queries=everyone.records[found],
        participants=everyone.participants[found],
        columns=columns(ks),
        values=values,
        chance=expected,
        n_candidates=round(float(np.mean(sizes))) if sizes else 0,
        note=f"mean of {draws} draws of the enrolled {across}; the gallery holds "
        f"{len(np.unique(owners))} participants.",
    )


def _identify(
    everyone: Embeddings,
    rows: np.ndarray,
    gallery: np.ndarray,
    owners: np.ndarray,
    ks: Sequence[int],
    *,
    centre: bool,
) -> Ranking:
    asking, enrolled = owners[rows], owners[gallery]

    def judge(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        same = asking[block, None] == enrolled
        return same, np.ones_like(same)

    return rank_candidates(
        "", everyone.take(rows), everyone.take(gallery), judge, ks, centre=centre
    )


def _enrol(
    owners: np.ndarray, sittings: np.ndarray, limit: int | None, *, seed: int, draw: int
) -> tuple[np.ndarray, np.ndarray]:
    """Records whose sitting is drawn, as a mask, and the positions of those that are enrolled.

    The sittings of a participant are shuffled once and take turns, so that in two draws everybody
    with two sittings asks with every record.
    """
    kinds, first = np.unique(sittings, return_index=True)
    turns, counts = _places(owners[first], np.random.default_rng(seed))
    enrolled = np.isin(sittings, kinds[turns == draw % counts])
    gallery = np.flatnonzero(enrolled)
    if limit is not None:
        places, _ = _places(owners[gallery], np.random.default_rng([seed, draw]))
        gallery = gallery[places < limit]
    return enrolled, gallery


def _places(owners: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random place of each item among those of its owner, from 0, and how many these are."""
    names, inverse = np.unique(owners, return_inverse=True)
    counts = np.bincount(inverse.reshape(-1), minlength=len(names))
    order = np.lexsort((generator.random(len(owners)), owners))
    places = np.empty(len(owners), dtype=np.int64)
    places[order] = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places, counts[inverse.reshape(-1)]


def _match(
    left: Embeddings,
    right: Embeddings,
    left_links: np.ndarray,
    right_links: np.ndarray,
    task: str,
    ks: Sequence[int],
    *,
    within: bool,
) -> Ranking:
    linked = left_links != ""
    ask = left.take(linked)
    own, others = shared_codes(ask.participants, right.participants)
    wanted, given = shared_codes(left_links[linked], right_links)

    def judge(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        relevant = wanted[rows, None] == given
        same = own[rows, None] == others
        if within:
            # A query whose every candidate is a right answer asks nothing.
            return relevant & (same & ~relevant).any(axis=1, keepdims=True), same
        return relevant, relevant | ~same

    return rank_candidates(task, ask, right, judge, ks)


def rank_candidates(
    task: str,
    queries: Embeddings,
    candidates: Embeddings,
    judge: Judge,
    ks: Sequence[int],
    *,
    centre: bool = False,
) -> Ranking:
    """Score every query against all candidates by their cosine, in blocks of bounded memory.

    Args:
        task: Name of the task.
        queries: What asks.
        candidates: What is found, of the same dimension.
        judge: Which candidates are right answers, and which are ranked at all.
        ks: Ranks at which to cut.
        centre: Subtract the mean of the candidates before the cosine.
    """
    origin = None
    if centre and len(candidates):
        origin = candidates.values.mean(axis=0, dtype=np.float64)
    asked = unit_rows(queries.values, origin=origin)
    found = unit_rows(candidates.values, origin=origin)
    width = len(columns(ks))
    values, expected = np.full((2, len(queries), width), np.nan)
    for part in blocks(len(queries), _COPIES * len(candidates)):
        rows = np.arange(part.start, part.stop)
        relevant, eligible = judge(rows)
        values[part] = score_rankings(cosine(asked[part], found), relevant, eligible, ks)
        expected[part] = chance(eligible.sum(axis=1), relevant.sum(axis=1), ks)
    answerable = ~np.isnan(values[:, 0])
    return Ranking(
        task=task,
        queries=queries.records[answerable],
        participants=queries.participants[answerable],
        columns=columns(ks),
        values=values[answerable],
        chance=expected[answerable],
        n_candidates=len(candidates),
        unanswerable=int((~answerable).sum()),
    )


def _among(participants: np.ndarray, wanted: Collection[str] | None) -> np.ndarray:
    if wanted is None:
        return np.ones(len(participants), dtype=np.bool_)
    return np.isin(participants, np.array(sorted(wanted), dtype=np.str_))


def shared_codes(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers in place of names, from 0 in their order, the same in both."""
    inverse = np.unique(np.concatenate([left, right]), return_inverse=True)[1].reshape(-1)
    return inverse[: len(left)], inverse[len(left) :]


def _sittings(owners: np.ndarray, sessions: np.ndarray) -> np.ndarray:
    """A whole number for each (participant, session): session names may repeat."""
    names = np.unique(sessions, return_inverse=True)[1].reshape(-1)
    combined = owners.astype(np.int64) * (int(names.max(initial=0)) + 1) + names
    sittings: np.ndarray = np.unique(combined, return_inverse=True)[1].reshape(-1)
    return sittings


def link_names(given: Sequence[str | None] | np.ndarray, count: int, name: str) -> np.ndarray:
    """Links as texts, "" for none, shape (count,).

    Raises:
        StageError: They are not one per record.
    """
    column = pd.Series(list(given), dtype=object)
    if len(column) != count:
        msg = f"{len(column)} links for {count} {name} embeddings: give one per record"
        raise StageError(msg)
    texts: np.ndarray = column.where(column.notna(), "").astype(str).to_numpy(dtype=np.str_)
    return texts


def check_links(links: np.ndarray, participants: np.ndarray) -> None:
    """Refuse links that join records of two participants.

    Raises:
        StageError: There are such links.
    """
    linked = links != ""
    pairs = np.unique(np.stack([links[linked], participants[linked]], axis=1), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    torn = int((counts > 1).sum())
    if torn:
        msg = (
            f"{torn} of {len(names)} links join records of two participants: "
            "a study belongs to one participant; correct the links"
        )
        raise StageError(msg)


def _labels(
    labels: Sequence[Any] | np.ndarray | pd.Series[Any], count: int, name: str, *, numbers: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows have a label, and the labels as numbers (of their class, or themselves)."""
    column = pd.Series(list(labels), dtype=object)
    if len(column) != count:
        msg = f"label {name!r}: {len(column)} values for {count} embeddings: give one per row"
        raise StageError(msg)
    known = (column.notna() & (column.astype(str) != "")).to_numpy(dtype=np.bool_)
    values = np.full(count, np.nan)
    if not numbers:
        texts = column[known].map(category_name).to_numpy(dtype=np.str_)
        values[known] = np.unique(texts, return_inverse=True)[1].reshape(-1)
        return known, values
    try:
        values[known] = column[known].astype(np.float64)
    except (TypeError, ValueError) as error:
        msg = f"label {name!r} holds text: leave out width, and it is compared as classes"
        raise StageError(msg) from error
    return known & np.isfinite(values), values
