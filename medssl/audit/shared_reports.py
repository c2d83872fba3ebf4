"""Reports that say the same words under several participants: common, and worth a count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.findings import Finding, Severity, Table, plural
from medssl.store.schema import PARTICIPANT
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_text, text_digest

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

SHOWN: Final = 10
"""Shared texts in the table, which tells their sizes and never what they say."""


def shared_reports(
    store: Store, rows: Rows, *, audit: str, modality: str, splits: Mapping[str, str]
) -> list[Finding]:
    """Count texts that reports of several participants share.

    Compared are the words of findings and impression, without case and punctuation
    (`medssl.text.reading.normalised`). Radiologists write the same sentences about many people, so
    that this is nothing to put right; but the reports of two participants are then false negatives
    of each other, and a retrieved report may be right without being the participant's own.

    Args:
        store: The store.
        rows: Reports to compare, shape (records,).
        audit: Name of the audit that asks.
        modality: Name of their modality.
        splits: Participant → split.

    Returns:
        One finding, a note where texts are shared; its value is the share of pairs of participants'
        reports with the same words.
    """
    policy = TextPolicy()
    texts = [chosen_text(str(store.read_record(int(row))), policy) for row in rows]
    known = np.array([text is not None for text in texts], dtype=bool)
    people = store.column(PARTICIPANT, rows).astype(str)[known]
    digests = np.array([text_digest(text) for text in texts if text is not None], dtype=np.int64)
    # One of each participant: who repeats themselves shares nothing.
    pairs = np.unique(np.stack([digests.astype(str), people]), axis=1)
    codes, sizes = np.unique(pairs[0], return_counts=True)
    shared = np.sort(sizes[sizes > 1])[::-1]
    involved = pairs[1][np.isin(pairs[0], codes[sizes > 1])]
    total = len(pairs[0])
    chance = float((shared * (shared - 1)).sum()) / max(total * (total - 1), 1)
    of_splits = _in_several_splits(pairs, codes[sizes > 1], splits)
    empty = int((~known).sum())
    title = (
        f"Identical reports: {plural(len(shared), 'text')} shared by "
        f"{plural(len(set(involved.tolist())), 'participant')}"
        if len(shared)
        else f"{modality}: no two participants share a report"
    )
    return [
        Finding(
            audit=audit,
            severity=Severity.NOTE if len(shared) else Severity.OK,
            title=title,
            measure="share of pairs of participants' texts with the same words",
            value=chance,
            n_participants=len(set(people.tolist())),
            n_records=len(people),
            detail="Words of findings and impression, without case and punctuation"
            + (f"; {plural(empty, 'report')} without either left out" if empty else "")
            + f". {plural(of_splits, 'text')} in more than one split. Nothing has to be put right.",
            advice="Mask or join identical reports where pairs are contrasted, and count them once "
            "in retrieval."
            if len(shared)
            else "Nothing to do.",
            table=Table(
                title="Texts of the most participants",
                columns=("text", "participants"),
                rows=tuple((f"number {n}", int(s)) for n, s in enumerate(shared[:SHOWN], start=1)),
            )
            if len(shared)
            else None,
        )
    ]


def _in_several_splits(pairs: np.ndarray, shared: np.ndarray, splits: Mapping[str, str]) -> int:
    of: dict[str, set[str]] = {code: set() for code in shared.tolist()}
    for code, person in pairs.T.tolist():
        if code in of:
            of[code].add(splits.get(person, ""))
    return sum(len(found) > 1 for found in of.values())
