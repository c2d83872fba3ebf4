"""Batch-norm statistics taken from the data that an encoder will see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from medssl.batches import ModelInput


def calibrate_batch_norm(encoder: nn.Module, batches: Iterable[ModelInput]) -> None:
    """Replace running means and variances by their averages over `batches`.

    While training, the running statistics follow augmented views and weights that keep moving, so
    an encoder evaluated with them sees features that are off. One more pass over plain segments
    mends that ("precise batch norm", Wu & Johnson, arXiv 2105.07576). The untrained baseline gets
    the same treatment, so that it is not beaten by its default statistics alone.

    Args:
        encoder: Changed in place, and left in evaluation mode.
        batches: Normalised inputs, such as segments of shape (batch, channels, time).
    """
    with torch.inference_mode():
        update_bn(cast(Iterable[Any], batches), encoder)
    encoder.eval()
