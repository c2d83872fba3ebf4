import pytest
import torch
from pydantic import ValidationError

from medssl.encoders import EfficientNet1dConfig

# The published layer table: parameters of each block, of the PPG and of the ECG encoder.
PPG = [
    2_334, 33_243, 49_131, 53_079, 95_537, 100_026, 161_520, 161_520, 168_716, 239_440, 239_440,
    250_948, 384_293, 384_293, 384_293, 404_448,
]  # fmt: skip
ECG = [
    2_334, 26_152, 38_342, 41_730, 74_847, 78_699, 126_176, 126_176, 132_348, 187_473, 187_473,
    197_343, 299_722, 299_722, 299_722, 317_006,
]  # fmt: skip
WIDTHS = [28, 35, 35, 49, 49, 64, 64, 64, 78, 78, 78, 99, 99, 99, 99, 128]
LENGTHS = [1920, 960, 960, 480, 480, 240, 240, 240, 120, 120, 120, 60, 60, 60, 60, 60]


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("channels", "expansion", "stem", "blocks", "total"),
    [(4, 7, 588, PPG, 3_146_129), (1, 6, 210, ECG, 2_468_755)],
    ids=["ppg", "ecg"],
)
def test_parameter_counts_are_the_published_ones(channels, expansion, stem, blocks, total):
    encoder = EfficientNet1dConfig(channels=channels, expansion=expansion).build()
    assert count(encoder.stem) == stem
    assert [count(block) for block in encoder.blocks] == blocks
    assert count(encoder.final) == 33_280
    assert count(encoder) == total
    assert encoder.dim == 256


def test_shapes_follow_the_published_table():
    encoder = EfficientNet1dConfig(channels=4).build().eval()
    shapes = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    with torch.no_grad():
        assert encoder.stem(torch.zeros(1, 4, 3840)).shape == (1, 42, 1920)
        assert encoder(torch.zeros(1, 4, 3840)).shape == (1, 256)
    assert shapes == list(zip(WIDTHS, LENGTHS, strict=True))


def test_residuals_are_where_stride_is_one_and_widths_match():
    encoder = EfficientNet1dConfig(channels=4).build()
    residual = [number for number, block in enumerate(encoder.blocks, 1) if block.residual]
    assert residual == [3, 5, 7, 8, 10, 11, 13, 14, 15]


def test_batch_norm_settings():
    encoder = EfficientNet1dConfig(channels=1, width=36).build()
    norms = [module for module in encoder.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.1)}
    # Stem, final, two in the block without expansion, three in each of the others.
    assert len(norms) == 2 + 2 + 3 * 15


def test_small_preset_is_small_and_keeps_four_steps_of_a_short_segment():
    encoder = EfficientNet1dConfig(channels=1, depth="small", width=128, expansion=4).build()
    assert count(encoder) < 100_000
    with torch.no_grad():
        features = encoder.eval().blocks(encoder.stem(torch.zeros(1, 1, 128)))
    assert features.shape[-1] == 4


def test_width_too_small_for_the_table_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 36"):
        EfficientNet1dConfig(channels=1, width=20)
