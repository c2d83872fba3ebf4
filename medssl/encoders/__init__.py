"""Encoders: networks from inputs to vectors, built from their configuration."""

from medssl.encoders.base import (
    BaseEncoder,
    ImageEncoder,
    SignalEncoder,
    TableEncoder,
    TextEncoder,
)
from medssl.encoders.efficientnet1d import EfficientNet1dConfig
from medssl.encoders.head import ProjectionHeadConfig
from medssl.encoders.registry import (
    EncoderConfig,
    build_encoder,
    kind_of,
    parse_encoder_config,
)
from medssl.encoders.resnet1d import ResNet1dConfig
from medssl.encoders.resnet2d import ResNet2dConfig
from medssl.encoders.tabular import TabularTransformerConfig
from medssl.encoders.text_transformer import TextTransformerConfig
from medssl.encoders.vit1d import ViT1dConfig

__all__ = [
    "BaseEncoder",
    "EfficientNet1dConfig",
    "EncoderConfig",
    "ImageEncoder",
    "ProjectionHeadConfig",
    "ResNet1dConfig",
    "ResNet2dConfig",
    "SignalEncoder",
    "TableEncoder",
    "TabularTransformerConfig",
    "TextEncoder",
    "TextTransformerConfig",
    "ViT1dConfig",
    "build_encoder",
    "kind_of",
    "parse_encoder_config",
]
