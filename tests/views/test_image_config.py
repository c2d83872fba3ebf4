import pytest

from medssl.config import validate
from medssl.errors import ConfigError
from medssl.views.image_config import ImageViewsConfig


def test_published_defaults():
    """ConVIRT (arXiv 2010.00747): five transforms in order."""
    config = ImageViewsConfig(size=224)
    published = {
        "crop": {"probability": 1, "area": (0.6, 1.0), "aspect": (1, 1), "shape": "image"},
        "flip": {"probability": 0.5},
        "affine": {"probability": 1, "degrees": 20, "translate": 0.1, "scale": (0.95, 1.05)},
        "jitter": {"probability": 1, "brightness": (0.6, 1.4), "contrast": (0.6, 1.4)},
        "blur": {"probability": 1, "sigma": (0.1, 3.0), "reference_size": 224},
    }
    assert config.model_dump(exclude={"size", "kind"}) == published
    # The published order is the order of application.
    assert config.build().names == tuple(published)
    assert config.build().size == 224


@pytest.mark.parametrize("name", ["crop", "flip", "affine", "jitter", "blur"])
def test_probability_zero_leaves_a_view_out(name):
    names = ImageViewsConfig(size=64, **{name: {"probability": 0}}).build().names
    assert names == tuple(n for n in ("crop", "flip", "affine", "jitter", "blur") if n != name)


def test_bad_settings_are_all_reported():
    with pytest.raises(ConfigError) as caught:
        validate(
            ImageViewsConfig,
            {
                "crop": {"probabilty": 1, "area": [1.0, 0.6]},
                "affine": {"degrees": 200, "scale": [0, 1]},
                "jitter": {"brightness": [-0.1, 1]},
                "blur": {"sigma": [0, 3]},
            },
            where="views",
        )
    message = str(caught.value)
    assert "did you mean probability?" in message
    assert "views.crop.area: the lower end comes first" in message
    for place in ("size", "affine.degrees", "affine.scale", "jitter.brightness", "blur.sigma"):
        assert f"views.{place}" in message
