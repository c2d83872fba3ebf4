"""An image–text model with random weights: what the trained one must beat."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from medssl.batches import ModelInput
from medssl.bundle import Encoder, load_encoder, read_config
from medssl.bundle.names import BUNDLE, HEAD, PARTNER_BUNDLE, PARTNER_HEAD
from medssl.encoders import build_encoder, parse_encoder_config
from medssl.encoders.calibration import calibrate_batch_norm
from medssl.evaluation.image_text.model import ImageTextModel
from medssl.evaluation.layers import fresh_head


def untrained_model(
    folder: str | Path,
    batches: Iterable[ModelInput],
    *,
    seed: int,
    device: str | None = None,
) -> ImageTextModel:
    """Encoders and heads of the same shape as trained ones, with random weights.

    Args:
        folder: Output of the pretrain stage, as for `ImageTextModel.load`.
        batches: Images as the encoder takes them, that its batch norm is fitted to: those of
            training participants, or, where there are none, those that are scored.
        seed: Of the weights.
        device: As for `ImageTextModel.load`.
    """
    root = Path(folder)
    image, image_head = _fresh(root / BUNDLE, root / HEAD, seed, device)
    text, text_head = _fresh(root / PARTNER_BUNDLE, root / PARTNER_HEAD, seed, device)
    calibrate_batch_norm(image.module, (_moved(batch, image) for batch in batches))
    return ImageTextModel(image, image_head, text, text_head)


def _fresh(bundle: Path, head: Path, seed: int, device: str | None) -> tuple[Encoder, nn.Module]:
    trained = load_encoder(bundle, device=device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_encoder(parse_encoder_config(read_config(bundle)["encoder"]))
        new_head = fresh_head(head, trained.dim)
    encoder = Encoder(
        module, trained.contract, digest=f"untrained-{seed}", device=device,
        tokenizer=getattr(trained.inputs, "tokenizer", None),
    )  # fmt: skip
    return encoder, new_head.to(encoder.device)


def _moved(batch: ModelInput, encoder: Encoder) -> torch.Tensor:
    assert isinstance(batch, torch.Tensor)
    return batch.to(encoder.device)
