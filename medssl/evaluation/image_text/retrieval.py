"""Retrieval between images and texts: by shared label, and of the true pair."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np
from scipy.sparse import csr_array

from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.gallery import Gallery
from medssl.evaluation.retrieval import check_links, link_names, rank_candidates, shared_codes
from medssl.evaluation.retrieval_metrics import PRECISION
from medssl.evaluation.retrieval_search import cosine, unit_rows
from medssl.evaluation.retrieval_tables import Ranking
from medssl.sampling.splits import check_disjoint

LABEL_KS: Final = (5, 10, 50)
"""Ranks of Precision@k in ConVIRT."""
PAIR_KS: Final = (1, 5, 10)

Overlap = Literal["leave_out", "error"]


def label_retrieval(
    queries: Embeddings,
    query_labels: np.ndarray,
    candidates: Embeddings,
    candidate_labels: np.ndarray,
    *,
    task: str,
    overlap: Overlap = "leave_out",
    ks: Sequence[int] = LABEL_KS,
) -> Ranking:
    """Find candidates that share a label with the query: Precision@k = c_k / k.

    c_k of the first k candidates share at least one label that is 1 with the query. Candidates of
    the query's own participant are never ranked. Chance is R / N over each query's own candidates.
    Image → image, text → image and image → text differ only in what is passed.

    Args:
        queries: What asks; for texts of nobody see `sentence_retrieval`.
        query_labels: 1 where a query has a label, anything else where not, shape (q, labels).
        candidates: What is found, projected into the same space.
        candidate_labels: The same of the candidates, shape (n, labels).
        task: Name of the task, such as `"image → image"`.
        overlap: What to do about candidates of a query's own participant: leave them out and count
            those queries in the note, or refuse, for a protocol whose lists should be disjoint.
        ks: Ranks at which to cut.

    Returns:
        A ranking for `retrieval_tables.tabulate`, which adds the intervals.

    Raises:
        LeakageError: A participant is among queries and candidates, and `overlap` is `"error"`.
        StageError: Dimensions or labels do not fit.

    >>> images = Embeddings(["a", "b"], ["p1", "p2"], ["", ""], np.eye(2))
    >>> texts = Embeddings(["t"], ["p3"], [""], np.eye(2)[:1])
    >>> found = label_retrieval(
    ...     texts, np.array([[1, 0]]), images, np.eye(2), task="text → image", ks=[1]
    ... )
    >>> found.values[0, 0], found.chance[0, 0]
    (np.float64(1.0), np.float64(0.5))
    """
    _check_space(queries, candidates, task)
    wanted, given = (
        _positive(query_labels, queries, task),
        _positive(candidate_labels, candidates, task),
    )
    if wanted.shape[1] != given.shape[1]:
        msg = f"{task}: queries have {wanted.shape[1]} labels and candidates {given.shape[1]}"
        raise StageError(msg)
    if overlap == "error":
        check_disjoint(
            f"queries and candidates of {task}",
            queries.participants.tolist(),
            candidates.participants.tolist(),
        )
    own, others = shared_codes(queries.participants, candidates.participants)

    def judge(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        eligible = own[rows, None] != others
        return ((wanted[rows] @ given.T) > 0) & eligible, eligible

    ranking = rank_candidates(task, queries, candidates, judge, ks)
    count = int(np.isin(own, others).sum())
    if count:
        note = f"{count} queries have candidates of their own participant, which are not ranked."
        ranking = replace(ranking, note=note)
    return ranking


def sentences(values: np.ndarray) -> Embeddings:
    """Embeddings of sentences that belong to no participant, each named by its place.

    Args:
        values: Projected sentences, shape (n, d).
    """
    names = np.array([f"sentence {place + 1:05d}" for place in range(len(values))], dtype=np.str_)
    return Embeddings(names, names, names, np.asarray(values))


def sentence_retrieval(
    values: np.ndarray,
    labels: np.ndarray,
    candidates: Embeddings,
    candidate_labels: np.ndarray,
    *,
    task: str,
    ks: Sequence[int] = LABEL_KS,
) -> Ranking:
    """Precision@k of written sentences, such as prompts, which belong to no participant.

    As `label_retrieval`, but intervals resample the participants of the candidates.

    Args:
        values: Projected sentences, shape (q, d).
        labels: 1 where a sentence asks for a label, shape (q, labels).
        candidates: What is found.
        candidate_labels: 1 where a candidate has a label, shape (n, labels).
        task: Name of the task, such as `"text → image"`.
        ks: Ranks at which to cut.

    Raises:
        StageError: Dimensions or labels do not fit.
    """
    queries = sentences(values)
    found = only_precision(
        label_retrieval(queries, labels, candidates, candidate_labels, task=task, ks=ks)
    )
    wanted, given = (
        _positive(labels, queries, task),
        _positive(candidate_labels, candidates, task),
    )
    asked, there = unit_rows(queries.values), unit_rows(candidates.values)
    gallery = Gallery.rank(
        lambda part: cosine(asked[part], there), lambda part: (wanted[part] @ given.T) > 0,
        len(queries), candidates.participants, max(ks),
    )  # fmt: skip
    return replace(found, galleries=(gallery,))


def pair_retrieval(
    images: Embeddings,
    texts: Embeddings,
    *,
    image_links: Sequence[str | None] | np.ndarray,
    text_links: Sequence[str | None] | np.ndarray,
    contents: Sequence[str] | np.ndarray | None = None,
    names: tuple[str, str] = ("image", "text"),
    ks: Sequence[int] = PAIR_KS,
) -> tuple[Ranking, Ranking]:
    """Find the report of an image and the images of a report; equal reports are one report.

    Many normal reports read alike, letter by letter. An image whose report stands in the gallery
    forty times would else have one right answer and 39 wrong ones that are equal to it. Therefore:

    - image → text: equal texts are one candidate, the one whose record's name is first; the query's
      own text is the right answer, whoever else has it.
    - text → image: images of *other* participants whose report is equal are right answers too.

    Other studies of the query's own participant are neither hit nor miss, and are not ranked. What
    papers call R@k is `hit@k` here: whether a right answer is among the first k. Chance is that of
    a random order of each query's own candidates.

    Args:
        images: Projected embeddings of the images.
        texts: Projected embeddings of the reports or sentences.
        image_links: Study of each image; None or "" for none.
        text_links: Study of each text.
        contents: Equal for texts that are to count as equal, such as the digest of the normalised
            text, one per text; None when all differ.
        names: What the two are called in the table.
        ks: Ranks at which to cut.

    Returns:
        The rankings image → text and text → image.

    Raises:
        StageError: Dimensions, links or contents do not fit, or a link joins two participants.
    """
    there, back = (f"{a} → {b}" for a, b in (names, names[::-1]))
    _check_space(images, texts, there)
    links = [
        link_names(given, len(side), name)
        for given, side, name in ((image_links, images, names[0]), (text_links, texts, names[1]))
    ]
    check_links(np.concatenate(links), np.concatenate([images.participants, texts.participants]))
    keys = _keys(texts, contents)
    image_link, text_link = shared_codes(*links)
    unlinked = "" in links[0] or "" in links[1]
    if unlinked:  # "" sorts before every name
        image_link, text_link = image_link - 1, text_link - 1
    held = _held(text_link, keys, int(max(image_link.max(initial=-1), text_link.max(initial=-1))))
    note = _note(keys, names[1])
    return (
        replace(_to_text(images, texts, image_link, keys, held, there, ks), note=note),
        replace(_to_image(images, texts, image_link, text_link, keys, held, back, ks), note=note),
    )


def only_precision(ranking: Ranking) -> Ranking:
    """The same ranking with its Precision@k columns alone."""
    return only_metrics(ranking, (PRECISION,))


def only_metrics(ranking: Ranking, metrics: Collection[str]) -> Ranking:
    """The same ranking with the columns of some metrics alone."""
    kept = [place for place, (metric, _) in enumerate(ranking.columns) if metric in metrics]
    return replace(
        ranking,
        columns=tuple(ranking.columns[place] for place in kept),
        values=ranking.values[:, kept],
        chance=ranking.chance[:, kept],
    )


def _to_text(
    images: Embeddings,
    texts: Embeddings,
    links: np.ndarray,
    keys: np.ndarray,
    held: csr_array,
    task: str,
    ks: Sequence[int],
) -> Ranking:
    """Candidates are the distinct texts; column g of `held` is the text with key g."""
    _, first = np.unique(keys[np.argsort(texts.records, kind="stable")], return_index=True)
    gallery = texts.take(np.argsort(texts.records, kind="stable")[first])
    linked = links >= 0
    ask = images.take(linked)
    asked = links[linked]
    own, others = shared_codes(ask.participants, texts.participants)
    owner = _only_owner(keys, others)

    def judge(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        relevant = held[asked[rows]].toarray() > 0
        return relevant, relevant | (own[rows, None] != owner)

    return rank_candidates(task, ask, gallery, judge, ks)


def _to_image(
    images: Embeddings,
    texts: Embeddings,
    image_links: np.ndarray,
    text_links: np.ndarray,
    keys: np.ndarray,
    held: csr_array,
    task: str,
    ks: Sequence[int],
) -> Ranking:
    linked = text_links >= 0
    ask = texts.take(linked)
    asked, said = text_links[linked], keys[linked]
    own, others = shared_codes(ask.participants, images.participants)
    holders = held.T.tocsr()  # keys × links

    def judge(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mine = asked[rows, None] == image_links
        stranger = own[rows, None] != others
        # The last column stands for images without a link (−1), whose report is not known.
        alike = np.pad(holders[said[rows]].toarray() > 0, ((0, 0), (0, 1)))[:, image_links]
        return mine | (alike & stranger), mine | stranger

    return rank_candidates(task, ask, images, judge, ks)


def _held(links: np.ndarray, keys: np.ndarray, last: int) -> csr_array:
    """Which link has which text, shape (links, distinct texts)."""
    linked = links >= 0
    ones = np.ones(int(linked.sum()))
    shape = (last + 1, int(keys.max(initial=-1)) + 1)
    return csr_array((ones, (links[linked], keys[linked])), shape=shape)


def _only_owner(keys: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """The participant of each distinct text that one participant alone has, else −1."""
    count = int(keys.max(initial=-1)) + 1
    least, most = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(least, keys, owners)
    np.maximum.at(most, keys, owners)
    return np.where(least == most, most, -1)


def _keys(texts: Embeddings, contents: Sequence[str] | np.ndarray | None) -> np.ndarray:
    given = texts.records if contents is None else np.asarray(contents, dtype=np.str_)
    if given.shape != (len(texts),):
        msg = f"{len(given)} contents for {len(texts)} texts: give one per text"
        raise StageError(msg)
    return np.asarray(np.unique(given, return_inverse=True)[1].reshape(-1))


def _note(keys: np.ndarray, name: str) -> str:
    distinct = len(np.unique(keys))
    if distinct == len(keys):
        return ""
    return f"{len(keys)} {name}s, of which {distinct} differ; equal ones count as one."


def _positive(labels: np.ndarray, of: Embeddings, task: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.ndim != 2 or len(array) != len(of):
        msg = f"{task}: labels of shape {array.shape} for {len(of)} records: give (records, labels)"
        raise StageError(msg)
    return np.asarray(array == 1, dtype=np.float32)


def _check_space(left: Embeddings, right: Embeddings, task: str) -> None:
    if left.dim != right.dim:
        msg = (
            f"{task}: embeddings have {left.dim} and {right.dim} dimensions: "
            "project both into the space that they share"
        )
        raise StageError(msg)
