import pytest

from medssl.config import read_yaml
from medssl.encoders import build_encoder
from medssl.stages.pretrain import PretrainConfig


def preset(pytestconfig, name, **changes):
    raw = read_yaml(pytestconfig.rootpath / "configs" / f"{name}.yaml")
    return PretrainConfig.model_validate({**raw["stages"]["pretrain"], **changes})


@pytest.mark.parametrize(
    ("name", "parameters", "millions"),
    [
        ("apple_ppg_vit", 7_167_232, 7.2),
        ("apple_ecg_vit", 7_118_080, 7.1),
        ("apple_ppg_resnet", 16_907_904, 16.9),
        ("apple_ecg_resnet", 16_904_640, 16.9),
    ],
)
def test_other_encoders_differ_from_the_published_recipe_in_the_encoder_alone(
    pytestconfig, name, parameters, millions
):
    config = preset(pytestconfig, name)
    encoder = build_encoder(config.encoder)
    count = sum(p.numel() for p in encoder.parameters())
    assert count == parameters
    assert round(count / 1e6, 1) == millions
    assert encoder.dim == 256  # so that the head is the published one
    published = preset(pytestconfig, name.rpartition("_")[0])
    assert config.model_copy(update={"encoder": published.encoder}) == published


def test_the_preset_of_the_masked_autoencoder_is_its_default(pytestconfig):
    config = preset(pytestconfig, "masked_autoencoder", modality="ppg")
    again = config.model_copy(update={"method": type(config.method)()})
    assert config == again


def test_the_preset_of_moments_has_an_encoder_for_each_modality(pytestconfig):
    config = preset(pytestconfig, "ppg_ecg_moments")
    assert (config.modality, config.pairs.partner) == ("ppg", "ecg")
    assert config.method == type(config.method)()
    assert config.partner.views.cutout.probability == 0.8
    assert config.views.cutout.probability == 0.4
