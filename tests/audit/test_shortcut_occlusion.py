from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medssl.audit.findings import Finding, Severity
from medssl.audit.shortcut_occlusion import shortcut_occlusion
from medssl.errors import StageError

PEOPLE = np.repeat([f"p{i:02d}" for i in range(40)], 3)


def waves(seed: int = 0) -> np.ndarray:
    """Waveforms (120, 2, 80) whose amplitude is the participant's own."""
    generator = np.random.default_rng(seed)
    size = np.repeat(generator.uniform(1, 3, size=40), 3)
    return (size[:, None, None] * generator.normal(size=(120, 2, 80))).astype(np.float32)


def power(x: np.ndarray) -> np.ndarray:
    return x.std(axis=(1, 2))


def audit(predict: Any, inputs: Any, **options: Any) -> list[Finding]:
    return shortcut_occlusion(predict, inputs, PEOPLE, target="age", **options)


def test_silent_on_a_score_read_from_everywhere() -> None:
    follows, windows = audit(power, waves())
    assert follows.severity is windows.severity is Severity.OK
    assert follows.low is not None
    assert follows.low > 0.3
    assert (follows.n_participants, follows.n_records) == (40, 120)
    assert windows.value is not None
    assert windows.value == pytest.approx(1 / 8, abs=0.05)


def test_finds_a_score_that_ignores_its_input() -> None:
    """The planted leak: scores in the order of the calls, whatever the signal."""
    leaked = np.random.default_rng(1).normal(size=120)

    def predict(x: np.ndarray) -> np.ndarray:
        return leaked + 0.001 * power(x)

    (follows, _) = audit(predict, waves())
    assert follows.severity is Severity.WARNING
    assert follows.high is not None
    assert follows.high < 0.1
    assert "hardly moves" in follows.title


@pytest.mark.parametrize(
    ("columns", "severity"), [(slice(0, 10), "warning"), (slice(40, 50), "note")]
)
def test_finds_a_score_read_from_one_window(columns: slice, severity: str) -> None:
    """Window 1 of 8 is the border of the recording; window 5 is not."""
    follows, windows = audit(lambda x: power(x[..., columns]), waves())
    assert follows.severity is Severity.OK
    assert windows.severity == severity
    assert windows.value == pytest.approx(1.0)
    assert ("1/8" if severity == "warning" else "5/8") in windows.title


def test_finds_a_mark_in_the_corner_of_an_image() -> None:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(120, 1, 32, 32))
    images[:, :, :6, 26:] += np.repeat(generator.integers(0, 2, size=40), 3)[:, None, None, None]
    _, windows, border = audit(lambda x: x[:, 0, :5, 27:].mean(axis=(1, 2)), images)
    assert windows.severity is Severity.WARNING
    assert "1/6 × 6/6" in windows.title
    assert windows.table is not None
    assert len(windows.table.rows) == 36
    assert sum(bool(row[1]) for row in windows.table.rows) == 20
    assert border.severity is Severity.WARNING
    assert border.value == pytest.approx(1.0)
    assert border.cells is not None
    movement = np.array(border.cells.movement)
    assert movement.shape == (6, 6)
    assert np.unravel_index(movement.argmax(), movement.shape) == (0, 5)


def test_a_score_read_from_the_middle_of_an_image_is_none_of_its_border() -> None:
    images = np.random.default_rng(0).normal(size=(120, 1, 24, 24))
    _, windows, border = audit(lambda x: x[:, 0, 8:16, 8:16].mean(axis=(1, 2)), images)
    assert windows.severity is border.severity is Severity.OK
    assert border.value == pytest.approx(0.0)
    assert border.figure == "occlusion-age-input"


def test_marks_in_several_corners_are_found_together() -> None:
    """No single cell holds most of the movement; the border does."""
    images = np.random.default_rng(0).normal(size=(120, 1, 24, 24))

    def corners(x: np.ndarray) -> np.ndarray:
        left, right = x[:, 0, :4, :4], x[:, 0, :4, 20:]
        return left.mean(axis=(1, 2)) - right.mean(axis=(1, 2))

    _, windows, border = audit(corners, images)
    assert windows.severity is Severity.OK
    assert border.severity is Severity.WARNING
    assert "border" in border.title


def test_cells_are_those_of_the_image_and_not_of_the_black_around_it() -> None:
    """Tall and wide images in squares; the score is the first row of each image's own."""
    generator = np.random.default_rng(0)
    extents = np.array([(24, 12), (12, 24)])[np.arange(120) % 2]
    images = np.zeros((120, 1, 24, 24), dtype=np.uint8)
    for image, (rows, columns) in zip(images, extents.tolist(), strict=True):
        top, left = (24 - rows) // 2, (24 - columns) // 2
        inside = generator.integers(1, 256, size=(rows, columns))
        image[0, top : top + rows, left : left + columns] = inside

    def first_rows(x: np.ndarray) -> np.ndarray:
        assert x.dtype == np.uint8
        tops = np.argmax(x[:, 0].any(axis=2), axis=1)
        return np.array([image[0, top].sum() for image, top in zip(x, tops, strict=True)], float)

    _, windows, border = audit(first_rows, images, extents=extents)
    assert windows.table is not None
    shares = {str(row[0]): row[2] for row in windows.table.rows}
    assert sum(float(s or 0) for name, s in shares.items() if name.startswith("1/6")) > 0.99
    assert border.severity is Severity.WARNING


def test_features_of_every_change_are_scored_in_one_call() -> None:
    calls = []

    def scores(features: np.ndarray) -> np.ndarray:
        calls.append(len(features))
        return features[:, 0]

    found = audit(scores, waves(), encode=power, batch_size=50)
    assert calls == [120 * (1 + 2 + 8)]
    assert found == audit(power, waves())


def test_two_inputs_are_told_apart() -> None:
    """A report gives the label away, and the image is not looked at."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(120, 1, 16, 16))
    texts = np.array(["effusion" if i // 3 % 2 else "clear" for i in range(120)])

    def predict(inputs: dict[str, np.ndarray]) -> np.ndarray:
        assert set(inputs) == {"image", "text"}
        return np.array([len(text) for text in inputs["text"].tolist()], dtype=float)

    image, text = audit(predict, {"image": images, "text": texts})
    assert image.severity is Severity.WARNING
    assert "the image" in image.title
    assert image.value == 0
    assert text.severity is Severity.OK
    assert "the text" in text.measure


def test_movement_is_its_definition() -> None:
    x = waves()
    follows, _ = audit(power, x, seed=3)
    scores = power(x.astype(np.float64))
    blank = np.broadcast_to(x.mean(axis=(0, 2), keepdims=True), x.shape)
    moved = np.abs(scores - power(blank))
    spread = [np.abs(scores[name != PEOPLE] - scores[i]).mean() for i, name in enumerate(PEOPLE)]
    assert follows.table is not None
    (swap, *_), (name, value, *_) = follows.table.rows
    assert (swap, name) == ("swapped", "blanked")
    assert value == pytest.approx(moved.mean() / np.mean(spread), rel=1e-4)
    assert follows.table.rows[0][1] == pytest.approx(1.0, abs=0.35)


def test_inputs_are_left_alone_and_batches_do_not_matter() -> None:
    x = waves()
    before = x.copy()

    def greedy(part: np.ndarray) -> np.ndarray:
        found = power(part)
        part[:] = 0
        return found

    assert audit(greedy, x, batch_size=7) == audit(power, x)
    np.testing.assert_array_equal(x, before)


def test_several_scores_and_plain_features() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(120, 4))
    findings = audit(lambda x: x[:, :2] * [1.0, 0.0], features, windows=4)
    assert [finding.severity for finding in findings] == [Severity.OK, Severity.WARNING]
    assert findings[1].table is not None
    assert [row[2] for row in findings[1].table.rows] == pytest.approx([1.0, 0, 0, 0])


def test_constant_scores_and_few_participants_are_not_judged() -> None:
    (constant,) = audit(lambda x: np.full(len(x), 3.0), waves())
    assert constant.severity is Severity.NOTE
    assert "same score" in constant.title
    (few,) = shortcut_occlusion(power, waves()[:6], PEOPLE[:6], target="age")
    assert "too few" in few.title
    with pytest.raises(ValueError, match="one participant"):
        shortcut_occlusion(power, waves(), PEOPLE[:5], target="age")


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(StageError, match="not finite"):
        audit(lambda x: np.full(len(x), np.nan), waves())


def test_subsample_takes_whole_participants() -> None:
    finding = audit(power, waves(), max_records=31)[0]
    assert (finding.n_participants, finding.n_records) == (10, 30)
