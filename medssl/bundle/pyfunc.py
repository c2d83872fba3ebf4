"""What MLflow loads when a registered bundle is served; MLflow itself is not imported here."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch

from medssl.bundle.encoder import Encoder
from medssl.bundle.exports import RawEncoder, input_shape
from medssl.bundle.loading import load_encoder
from medssl.contracts import ImageContract, TextContract
from medssl.errors import ContractError
from medssl.types import EmbeddingArray

_BATCH: Final = 256


class SegmentModel:
    """Embeds raw segments, grey images or texts that keep the contract."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def predict(self, model_input: Any, params: Any = None) -> EmbeddingArray:
        """Embed inputs; rate, channels and units of segments are the caller's promise.

        Args:
            model_input: Segments in the contract's units, shape (n, channels, time); grey images in
                [0, 1], shape (n, 1, size, size); or texts, as a list or a table of one column.
            params: Ignored; MLflow passes it.

        Raises:
            ContractError: The shape is not the contract's, a sample is not finite, or a grey value
                lies outside [0, 1].
        """
        if isinstance(self.encoder.contract, TextContract):
            texts = np.asarray(model_input, dtype=object)
            if texts.ndim > 1 and texts.shape[1:] != (1,):
                msg = f"texts come as a list or a table of one column, not of shape {texts.shape}"
                raise ContractError(msg)
            return self.encoder.embed(texts.ravel().tolist())
        wanted = input_shape(self.encoder.contract)
        shown = f"(n, {', '.join(map(str, wanted))})"
        try:
            segments = np.ascontiguousarray(model_input, dtype=np.float32)
        except (TypeError, ValueError) as error:
            msg = f"give one array of shape {shown} of numbers"
            raise ContractError(msg) from error
        if segments.shape[1:] != wanted:
            msg = f"the input has shape {segments.shape}, not {shown}"
            raise ContractError(msg)
        if not np.isfinite(segments).all():
            msg = "some samples are NaN or infinite: leave those inputs out"
            raise ContractError(msg)
        grey = isinstance(self.encoder.contract, ImageContract)
        if grey and segments.size and not 0 <= segments.min() <= segments.max() <= 1:
            msg = (
                f"grey values run from {segments.min():g} to {segments.max():g}, not from 0 "
                "(black) to 1 (white): divide pixels of 8 bits by 255, of 16 bits by 65535"
            )
            raise ContractError(msg)
        encoder = self.encoder
        raw = RawEncoder(encoder.module, encoder.contract)
        with torch.inference_mode():
            pieces = [
                raw(torch.from_numpy(segments[at : at + _BATCH]).to(encoder.device)).cpu()
                for at in range(0, len(segments), _BATCH)
            ]
        return torch.cat(pieces).numpy() if pieces else np.empty((0, encoder.dim), np.float32)


def _load_pyfunc(data_path: str) -> SegmentModel:
    """MLflow's entry point: a bundle folder in, a model out; nothing is unpickled."""
    return SegmentModel(load_encoder(data_path))
