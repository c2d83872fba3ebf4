"""Grey scales: equal ones are one text, and words tell them apart."""

import pytest

from medssl.contracts import ImageContract
from medssl.contracts.grey_scale import GreyScale
from medssl.ingest.radiographs.settings import DisplaySettings
from medssl.types import Modality

SCALES = [
    GreyScale(),
    GreyScale(window=1),
    GreyScale(voi="lut"),
    GreyScale(voi="lut", window=2),
    GreyScale(voi="window"),
    GreyScale(voi="window", window_centre=40, window_width=400),
    GreyScale(voi="percentile"),
    GreyScale(voi="percentile", percentiles=(1, 99)),
    GreyScale(voi="none"),
]


@pytest.mark.parametrize("scale", SCALES)
def test_a_text_gives_the_grey_scale_again(scale):
    assert GreyScale.parse(scale.text) == scale
    assert DisplaySettings(**scale.model_dump(), burned_in="keep").grey_scale.text == scale.text


def test_all_are_told_apart():
    assert len({scale.label for scale in SCALES}) == len({scale.text for scale in SCALES}) == 9


def test_a_contract_tells_how_files_become_grey():
    told = {"modality": Modality.RADIOGRAPH, "edge": 64, "size": 64}
    default = ImageContract(**told, grey_scale=GreyScale())
    assert "other files: full range" in dict(default.facts)["grey values"]
    unknown = ImageContract(**told)
    assert default.differences(unknown) == [
        "grey_scale None instead of VOI LUT, else window, else percentiles 0.5 and 99.5"
    ]
    assert 'prepare("image.dcm")' in default.usage()
    assert "prepare(pixels)" in unknown.usage()
