"""Low-rank adapters on the layers of an encoder, through peft."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from medssl.config import StrictModel
from medssl.errors import StageError, require
from medssl.views.seeds import derive_seed


class LoraConfig(StrictModel):
    """Adapters W + (α/r)·BA on every linear layer and convolution (Hu et al., arXiv 2106.09685)."""

    rank: PositiveInt = Field(4, description="r: rank of the update")
    alpha: PositiveFloat = Field(8.0, description="α: the update is scaled by α/r")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the adapters' input")


def find_targets(encoder: nn.Module) -> list[str]:
    """Names of the layers that get an adapter: linear, and convolutions that mix channels.

    Depthwise convolutions are left out: a low-rank update of one would be larger than itself.

    >>> from medssl.encoders import ResNet1dConfig
    >>> find_targets(ResNet1dConfig(channels=1, stages=1).build())
    ['stem.0', 'blocks.0.body.0', 'blocks.0.body.3']
    """
    return [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear)
        or (isinstance(module, nn.Conv1d | nn.Conv2d) and module.groups == 1)
    ]


def add_adapters(encoder: nn.Module, config: LoraConfig, *, seed: int) -> Any:
    """Put adapters into an encoder and freeze everything else; its outputs stay as they are.

    Args:
        encoder: Changed in place.
        config: Rank and scale.
        seed: Of the adapters' initial weights.

    Returns:
        What `merge_adapters` takes.

    Raises:
        MissingExtraError: peft is not installed.
        StageError: The encoder has no layer that takes an adapter.
    """
    peft = require("peft", extra="lora", purpose="low-rank adapters (finetune.lora)")
    targets = find_targets(encoder)
    if not targets:
        msg = "finetune.lora: the encoder has no linear layer or convolution; remove lora"
        raise StageError(msg)
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        bias="none",
    )
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", module="peft")
        torch.manual_seed(derive_seed(seed, "adapters"))
        return peft.get_peft_model(encoder, settings)


def merge_adapters(adapted: Any) -> nn.Module:
    """Add the adapters to the weights they stand beside; gives the plain encoder."""
    merged: nn.Module = adapted.merge_and_unload()
    return merged.requires_grad_(True)
