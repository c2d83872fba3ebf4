"""Settings that contradict themselves."""

import pytest

from medssl.config import find_problems
from medssl.ingest.radiographs.settings import DisplaySettings


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"percentiles": [99.5, 0.5]}, "two rising numbers"),
        ({"percentiles": [-1, 50]}, "two rising numbers"),
        ({"percentiles": [float("nan"), 50]}, "two rising numbers"),
        ({"voi": "window", "window_centre": 40}, "both window_centre and window_width"),
        ({"window_centre": 40, "window_width": 400}, "need voi: window"),
        ({"voi": "window", "window_centre": 40, "window_width": 1}, "greater than 1"),
        ({"voi": "best"}, "'header'"),
        ({"largest_megapixels": float("inf")}, "finite"),
        ({"smallest": 0}, "greater than 0"),
        ({"windw": 1}, "did you mean window?"),
    ],
)
def test_contradictions_are_told(values, said):
    problems = find_problems(DisplaySettings, values, where="display")
    assert len(problems) == 1
    assert said in problems[0]


def test_defaults_and_an_own_window():
    assert find_problems(DisplaySettings, {}, where="display") == []
    assert DisplaySettings().own_window is None
    own = DisplaySettings(voi="window", window_centre=-600, window_width=1500)
    assert own.own_window == (-600, 1500)
