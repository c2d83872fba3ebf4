import torch

from medssl.encoders import ProjectionHeadConfig


def test_published_head():
    head = ProjectionHeadConfig().build(256)
    assert sum(parameter.numel() for parameter in head.parameters()) == 394_368
    assert [type(layer).__name__ for layer in head] == ["Linear", "ReLU", "Dropout", "Linear"]
    assert head[2].p == 0.1
    assert head(torch.zeros(3, 256)).shape == (3, 128)


def test_sizes_follow_the_configuration():
    head = ProjectionHeadConfig(hidden=32, out=8, dropout=0.0).build(16)
    assert head(torch.randn(5, 16)).shape == (5, 8)
    x = torch.randn(5, 16)
    assert torch.equal(head.train()(x), head.eval()(x))
