"""Contracts: what an encoder expects of its input, one module a kind of modality."""

from __future__ import annotations

from typing import Any, Final

from medssl.contracts.base import Contract
from medssl.contracts.image import ImageContract
from medssl.contracts.table import CategoryColumn, NumberColumn, TableContract
from medssl.contracts.text import TextContract
from medssl.contracts.waveform import WaveformContract
from medssl.types import Kind, Modality

CONTRACTS: Final[dict[Kind, type[Contract]]] = {
    Kind.WAVEFORM: WaveformContract,
    Kind.IMAGE: ImageContract,
    Kind.TEXT: TextContract,
    Kind.TABLE: TableContract,
}


def parse_contract(values: Any) -> Contract:
    """A contract from JSON values.

    Raises:
        ValueError: They are no contract (`pydantic.ValidationError` names the field).

    >>> parse_contract({"modality": "radiograph", "edge": 256, "size": 224}).noun
    'images of 224 x 224 pixels'
    """
    if not isinstance(values, dict):
        msg = "a contract is a mapping"
        raise ValueError(msg)
    kind = Modality(values.get("modality", "")).kind
    if kind not in CONTRACTS:
        msg = f"{kind} has no contract yet"
        raise ValueError(msg)
    return CONTRACTS[kind].model_validate(values)


__all__ = [
    "CONTRACTS",
    "CategoryColumn",
    "Contract",
    "ImageContract",
    "NumberColumn",
    "TableContract",
    "TextContract",
    "WaveformContract",
    "parse_contract",
]
