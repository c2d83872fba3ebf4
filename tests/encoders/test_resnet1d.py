import torch

from medssl.encoders import ResNet1dConfig


def test_dim_is_the_last_stages_width():
    assert ResNet1dConfig(channels=1, width=4, stages=3).build().dim == 16


def test_time_is_reduced_by_the_stem_and_every_later_stage():
    encoder = ResNet1dConfig(channels=1, width=4, stages=4).build()
    assert encoder.blocks(encoder.stem(torch.zeros(1, 1, 128))).shape == (1, 32, 4)


def test_default_is_small():
    encoder = ResNet1dConfig(channels=1).build()
    assert sum(parameter.numel() for parameter in encoder.parameters()) < 300_000
