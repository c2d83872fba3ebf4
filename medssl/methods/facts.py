"""What a method may know of a run before it starts: how many records there are, and their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RunFacts:
    """Facts of the training records.

    Args:
        records: How many records of the first modality are drawn from; `Batch.places` counts them.
        studies: How many studies they belong to; `Batch.studies` counts them.
        reports: Gives the stored report of each study, in the order of their numbers.
    """

    records: int
    studies: int
    reports: Callable[[], Sequence[str]]
