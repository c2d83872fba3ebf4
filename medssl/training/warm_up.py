"""The masked-language warm-up inside a pretraining run: done once, kept for a resumed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file, save_file

from medssl.encoders.text_transformer import TextTransformer
from medssl.files import read_json, write_json
from medssl.inputs.texts import TextInputs
from medssl.methods.base import PretrainingMethod
from medssl.methods.convirt import ConVIRT
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_sentences
from medssl.training.language import warm_up
from medssl.training.pair_data import PairData

_WEIGHTS: Final = "warm_up.safetensors"
_TOLD: Final = "warm_up.json"


def warm_up_text(
    method: PretrainingMethod,
    data: PairData,
    folder: Path,
    *,
    seed: int,
    held_out: PairData | None = None,
) -> dict[str, Any]:
    """Warm the text encoder up on training reports, where the method asks for it.

    Args:
        method: Its text encoder is trained in place.
        data: Training pairs.
        folder: Keeps the result, so that a run that was killed goes on after it.
        seed: Of masks and order.
        held_out: Pairs of validation participants, to measure perplexity on.

    Returns:
        What to tell of it, under `warm_up`; nothing when there was none.
    """
    if not isinstance(method, ConVIRT) or method.settings.warm_up is None:
        return {}
    encoder, inputs = method.partner_encoder, method.partner_inputs
    assert isinstance(encoder, TextTransformer)
    assert isinstance(inputs, TextInputs)
    if (folder / _TOLD).is_file():
        encoder.load_state_dict(load_file(folder / _WEIGHTS), strict=True)
        found: dict[str, Any] = read_json(folder / _TOLD)
        return {"warm_up": found}
    settings = method.settings.warm_up
    policy = inputs.contract.policy
    told = warm_up(
        encoder,
        inputs.tokenizer,
        _sentences(data, policy),
        steps=settings.steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        share=settings.share,
        seed=seed,
        held_out=[] if held_out is None else _sentences(held_out, policy),
    )
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().contiguous() for name, value in encoder.state_dict().items()}
    save_file(state, folder / _WEIGHTS)
    write_json(folder / _TOLD, told)  # last: its presence says that the weights are whole
    return {"warm_up": told}


def _sentences(data: PairData, policy: TextPolicy) -> list[str]:
    """Sentences of all reports: they teach more in a step than whole reports, which are cut off."""
    return [text for stored in data.reports() for text in chosen_sentences(stored, policy)]
