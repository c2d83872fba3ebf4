from __future__ import annotations

import pytest

from medssl.errors import ConfigError
from medssl.initialise.radiographs.sizing import choose_pixels, choose_sizes

MANY = [f"p{number}" for number in range(40)]


def sizes(people, studies=None, paired=None, **changes):
    options = {"pixels": (64, 64), "usable": 1.0, "group": "g", "scored": False}
    return choose_sizes(people, studies, paired, **(options | changes))


@pytest.mark.parametrize(
    ("side", "expected"),
    [(64, (64, 64)), (96, (64, 64)), (128, (128, 128)), (224, (256, 224)), (3000, (256, 224))],
)
def test_pixels_follow_the_usual_image(side, expected):
    assert choose_pixels([(side, side // 2), (side // 2, side), (10, 9)], None) == expected
    assert choose_pixels([(side, side)], 100) == (100, 100)


def test_pairs_are_of_participants_where_half_have_two_images():
    assert sizes([*MANY, *MANY[:20]]).level == "participant"
    assert sizes([*MANY, *MANY[:19]]).level == "segment"
    assert sizes(MANY, pixels=(0, 0)).level == "segment"


def test_a_batch_is_no_larger_than_the_training_participants():
    found = sizes(MANY)
    assert sum(found.participants.values()) == 40
    assert found.trained == found.participants["train"]
    assert found.batch_size(1.0) == int(0.8 * found.trained) // 2 * 2
    assert found.batch_size(0.5) == int(0.4 * found.trained) // 2 * 2
    assert sizes([f"p{number}" for number in range(1000)]).batch_size(1.0) == 64


def test_only_images_with_a_report_make_pairs():
    paired = [number % 2 == 0 for number in range(40)]
    found = sizes(MANY, MANY, paired)
    assert (found.level, found.pairs) == ("study", 20)
    assert found.trained <= 20
    with pytest.raises(ConfigError, match="3 of 40 .* an image with a report"):
        sizes(MANY, MANY, [number < 3 for number in range(40)])


def test_few_participants_with_many_studies_are_drawn_by_study():
    people = [f"p{number % 8}" for number in range(80)]
    studies = [f"s{number}" for number in range(80)]
    assert sizes(people, studies, [True] * 80).draw == "study"
    assert sizes(MANY, MANY, [True] * 40).draw == "participant"
