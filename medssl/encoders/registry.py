"""Every encoder that a configuration can name."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from medssl.encoders.base import BaseEncoder
from medssl.encoders.efficientnet1d import EfficientNet1dConfig
from medssl.encoders.resnet1d import ResNet1dConfig
from medssl.encoders.resnet2d import ResNet2dConfig
from medssl.encoders.tabular import TabularTransformerConfig
from medssl.encoders.text_transformer import TextTransformerConfig
from medssl.encoders.vit1d import ViT1dConfig
from medssl.types import Kind

SignalConfig = EfficientNet1dConfig | ResNet1dConfig | ViT1dConfig
EncoderConfig = Annotated[
    SignalConfig | ResNet2dConfig | TextTransformerConfig | TabularTransformerConfig,
    Field(discriminator="name"),
]
"""A new encoder joins this union, and must then pass the contract test of all encoders."""


KINDS: Final[dict[str, Kind]] = {
    "resnet2d": Kind.IMAGE,
    "text_transformer": Kind.TEXT,
    "tabular_transformer": Kind.TABLE,
}
"""Encoders by name whose inputs are no waveforms."""


def kind_of(config: EncoderConfig) -> Kind:
    """The kind of records that an encoder takes.

    >>> kind_of(ResNet1dConfig(channels=1)).value
    'waveform'
    """
    return KINDS.get(config.name, Kind.WAVEFORM)


def build_encoder(config: EncoderConfig) -> BaseEncoder:
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
