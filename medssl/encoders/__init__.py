"""Encoders: networks from segments to vectors, built from their configuration."""

from medssl.encoders.base import SignalEncoder
from medssl.encoders.efficientnet1d import EfficientNet1dConfig
from medssl.encoders.head import ProjectionHeadConfig
from medssl.encoders.registry import EncoderConfig, build_encoder, parse_encoder_config
from medssl.encoders.resnet1d import ResNet1dConfig
from medssl.encoders.vit1d import ViT1dConfig

__all__ = [
    "EfficientNet1dConfig",
    "EncoderConfig",
    "ProjectionHeadConfig",
    "ResNet1dConfig",
    "SignalEncoder",
    "ViT1dConfig",
    "build_encoder",
    "parse_encoder_config",
]
