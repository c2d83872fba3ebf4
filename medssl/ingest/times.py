"""When studies were made: told times as days from an origin that each participant has of its own.

Calendar dates identify people. No origin is ever stored, so that only orders and differences inside
a participant can be told from a store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Final

from medssl.ingest.config import IngestConfig
from medssl.ingest.deidentify import recording_pseudonym
from medssl.ingest.discover import Discovery, RecordingTask
from medssl.store import Store, schema
from medssl.types import ParticipantId

_DECIMALS: Final = 9
"""Of a day: a tenth of a millisecond."""


def count_from_firsts(config: IngestConfig, found: Sequence[Discovery], store: Store | None) -> int:
    """Count the times of all recordings from the first one of their participant.

    Where the store that is appended to holds a recording of the participant, times are counted
    from the same origin as there, so that old and new ones compare. Where it holds times of the
    participant, and none of the recordings at hand, nothing ties new times to old ones: they are
    left out.

    Args:
        config: What is ingested.
        found: What pass 1 found; its tasks are replaced.
        store: The store that is appended to.

    Returns:
        How many recordings lost their time because nothing ties it to those of the store.
    """
    tasks = [task for discovery in found for task in discovery.tasks]
    origins = _firsts(tasks)
    held, timed = _held(store) if store is not None and origins else ({}, set())
    tied: set[ParticipantId] = set()
    for task in tasks:
        source = config.sources[task.source]
        name = recording_pseudonym(task.path, source=source.group, key=config.pseudonym_key)
        stored = held.get((source.name, name))
        if task.time is not None and stored is not None and task.participant not in tied:
            origins[task.participant] = task.time - stored
            tied.add(task.participant)
    lost = 0
    for discovery in found:
        for place, task in enumerate(discovery.tasks):
            if task.time is None:
                continue
            loose = task.participant in timed - tied
            lost += loose
            since = round(task.time - origins[task.participant], _DECIMALS)
            discovery.tasks[place] = replace(task, time=None if loose else since)
    return lost


def _firsts(tasks: Sequence[RecordingTask]) -> dict[ParticipantId, float]:
    """Participant → its earliest time."""
    firsts: dict[ParticipantId, float] = {}
    for task in tasks:
        if task.time is not None:
            firsts[task.participant] = min(task.time, firsts.get(task.participant, task.time))
    return firsts


def _held(store: Store) -> tuple[dict[tuple[str, str], float], set[ParticipantId]]:
    """Times in a store by source and recording, and participants who have any."""
    columns = (schema.SOURCE, schema.RECORDING, schema.PARTICIPANT, schema.TIME)
    held: dict[tuple[str, str], float] = {}
    timed: set[ParticipantId] = set()
    for source, name, person, time in zip(*map(store.column, columns), strict=True):
        if time is not None and isfinite(time):
            held[source, name] = float(time)
            timed.add(ParticipantId(person))
    return held, timed
