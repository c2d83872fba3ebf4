"""How records become what an encoder takes, one module a kind of modality."""

from __future__ import annotations

from medssl.contracts import (
    Contract,
    ImageContract,
    TableContract,
    TextContract,
    WaveformContract,
)
from medssl.errors import ContractError
from medssl.inputs.base import Inputs
from medssl.text.tokenizer import Tokenizer


def make_inputs(contract: Contract, tokenizer: Tokenizer | None = None) -> Inputs:
    """The inputs of a contract's kind.

    Args:
        contract: What an encoder expects.
        tokenizer: Of a text encoder.

    Raises:
        ContractError: A text encoder has no tokenizer, or another one than the contract names.
    """
    if isinstance(contract, WaveformContract):
        from medssl.inputs.waveforms import WaveformInputs

        return WaveformInputs(contract)
    if isinstance(contract, ImageContract):
        from medssl.inputs.images import ImageInputs

        return ImageInputs(contract)
    if isinstance(contract, TextContract):
        from medssl.inputs.texts import TextInputs

        if tokenizer is None:
            msg = "a text encoder needs its tokenizer: copy the bundle again"
            raise ContractError(msg)
        return TextInputs(contract, tokenizer)
    assert isinstance(contract, TableContract)
    from medssl.inputs.tables import TableInputs

    return TableInputs(contract)


__all__ = ["Inputs", "make_inputs"]
