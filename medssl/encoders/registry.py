"""Every encoder that a configuration can name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from medssl.encoders.base import SignalEncoder
from medssl.encoders.efficientnet1d import EfficientNet1dConfig
from medssl.encoders.resnet1d import ResNet1dConfig
from medssl.encoders.vit1d import ViT1dConfig

EncoderConfig = Annotated[
    EfficientNet1dConfig | ResNet1dConfig | ViT1dConfig, Field(discriminator="name")
]
"""A new encoder joins this union, and must then pass the contract test of all encoders."""


def build_encoder(config: EncoderConfig) -> SignalEncoder:
    """Build an encoder with fresh weights, drawn from torch's global generator.

    >>> build_encoder(ResNet1dConfig(channels=1)).dim
    128
    """
    return config.build()


def parse_encoder_config(values: Any) -> EncoderConfig:
    """An encoder's configuration from JSON values.

    Raises:
        pydantic.ValidationError: The values describe no known encoder.

    >>> parse_encoder_config({"name": "resnet1d", "channels": 1}).width
    16
    """
    config: EncoderConfig = TypeAdapter(EncoderConfig).validate_python(values)
    return config
