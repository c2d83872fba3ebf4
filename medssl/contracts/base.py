"""What every contract of an encoder's input says: its modality, and how it is told to people."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import model_validator

from medssl.config import StrictModel
from medssl.contracts.grey_scale import GreyScale
from medssl.filters import Filter
from medssl.types import Kind, Modality


class Contract(StrictModel):
    """What an encoder expects of its input; saved inside every bundle.

    Input that breaks it is refused, never silently repaired. A subclass is the contract of one
    kind of modality.
    """

    kind: ClassVar[Kind]
    """Of the modalities that the contract can be about."""
    fixed_by_store: ClassVar[tuple[str, ...]] = ()
    """Fields that records of a store must share with an encoder's contract."""

    modality: Modality

    @model_validator(mode="after")
    def _of_its_kind(self) -> Contract:
        if self.modality.kind is not self.kind:
            msg = f"{self.modality} is no {self.kind}"
            raise ValueError(msg)
        return self

    @property
    def noun(self) -> str:
        """What one input is, such as "segments of 5 s"."""
        raise NotImplementedError

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """All that it says, as names and values for people."""
        raise NotImplementedError

    def usage(self, call: str = "embeddings = encoder.embed") -> str:
        """Lines of Python that give one raw input to a model, such as `"found = model.predict"`."""
        raise NotImplementedError

    @property
    def preparation(self) -> str:
        """What `encoder.prepare` does to a raw input, in a sentence."""
        raise NotImplementedError

    def differences(self, found: Contract) -> list[str]:
        """How records of a store, as their contract says, differ from what this one expects."""
        return [
            f"{name} {_shown(getattr(found, name))} instead of {_shown(getattr(self, name))}"
            for name in self.fixed_by_store
            if not _equal(getattr(found, name), getattr(self, name))
        ]


def owner(call: str) -> str:
    """What a call belongs to.

    >>> owner("embeddings = encoder.embed")
    'encoder'
    """
    return call.rpartition("= ")[2].partition(".")[0]


def _equal(left: object, right: object) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return bool(np.isclose(left, right, rtol=1e-6))
    return left == right


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, Filter | GreyScale):
        return value.label
    return f"{value:g}" if isinstance(value, float) else str(value)
