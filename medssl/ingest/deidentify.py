"""Pseudonyms: keyed digests that replace original identifiers in every store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import pyarrow as pa

from medssl.store.schema import LINKS_SCHEMA
from medssl.types import ParticipantId

_HEX_BYTES = 6
"""12 hexadecimal characters: a chance below 2 in 10⁵ of any clash among 100,000 participants."""


def _keyed(parts: Iterable[str], key: str) -> str:
    secret = hashlib.blake2b(key.encode(), digest_size=32).digest()
    state = hashlib.blake2b(digest_size=_HEX_BYTES, key=secret)
    state.update("\0".join(parts).encode())
    return state.hexdigest()


def pseudonym(original: str, *, source: str, key: str) -> ParticipantId:
    """Pseudonym of a participant.

    Args:
        original: The identifier in the raw data.
        source: Name of the source, or of the cohort that several sources share.
        key: Secret of the installation; without it pseudonyms cannot be recomputed by guessing.

    >>> pseudonym("23", source="ppg_bp", key="medssl")
    'pb1e6ff5c28f9'
    """
    return ParticipantId("p" + _keyed(("participant", source, original), key))


def session_pseudonym(original: str, *, participant: ParticipantId, key: str) -> str:
    """Pseudonym of a session, unique inside its participant."""
    return "s" + _keyed(("session", participant, original), key)


def study_pseudonym(original: str, *, participant: ParticipantId, key: str) -> str:
    """Pseudonym of a study, unique inside its participant."""
    return "e" + _keyed(("study", participant, original), key)


def recording_pseudonym(path: str, *, source: str, key: str) -> str:
    """Pseudonym of a recording: file names often hold identifiers or dates."""
    return "f" + _keyed(("recording", source, path), key)


def links_table(links: Mapping[ParticipantId, tuple[str, str]]) -> pa.Table:
    """The table that leads from pseudonyms back to originals; local, and deletable.

    Args:
        links: Pseudonym → (source or cohort, original identifier).
    """
    rows = [
        {"participant": participant, "source": source, "original": original}
        for participant, (source, original) in sorted(links.items())
    ]
    return pa.Table.from_pylist(rows, schema=LINKS_SCHEMA)
