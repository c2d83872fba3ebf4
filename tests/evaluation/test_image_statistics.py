from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, stats

from medssl.errors import StageError
from medssl.evaluation.image_statistics import (
    BANDS,
    COLUMNS,
    SHAPE_COLUMNS,
    image_features,
    image_shape_features,
    image_statistics,
    thumbnail,
)
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId


def noise(count: int = 3, side: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).beta(2.0, 4.0, size=(count, side, side))


def column(found: np.ndarray, name: str) -> np.ndarray:
    return found[:, COLUMNS.index(name)]


def standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()


@pytest.fixture
def images(tmp_path: Path) -> Store:
    """Ten images of different shapes and depths, and one report."""
    generator = np.random.default_rng(0)
    records = []
    for i in range(10):
        shape = (80, 60 + 5 * (i % 4)) if i % 2 else (60 + 5 * (i % 4), 80)
        data = ndimage.gaussian_filter(generator.random(shape), 2)
        data = (data - data.min()) / (data.max() - data.min())
        kind = np.uint8 if i < 5 else np.uint16
        records.append(_record(i, (data * np.iinfo(kind).max).astype(kind)))
    records.append(_record(10, "FINDINGS: Clear lungs.", Modality.REPORT))
    return write_store(tmp_path / "store", records)


def _record(number: int, data: object, modality: Modality = Modality.RADIOGRAPH) -> Record:
    return Record(
        participant=ParticipantId(f"p{number:02d}"),
        session="s1",
        recording=f"p{number:02d}-{modality}",
        modality=modality,
        data=data,  # type: ignore[arg-type]
        source_digest=f"{number}",
    )


def test_moments_and_quantiles_are_those_of_scipy() -> None:
    x = noise()
    found = image_statistics(x)
    flat = x.reshape(3, -1)
    np.testing.assert_allclose(column(found, "mean"), flat.mean(1))
    np.testing.assert_allclose(column(found, "sd"), flat.std(1))
    np.testing.assert_allclose(column(found, "skewness"), stats.skew(flat, axis=1))
    kurtosis = stats.kurtosis(flat, axis=1, fisher=False)
    np.testing.assert_allclose(column(found, "kurtosis"), kurtosis)
    for image, q25 in zip(x, column(found, "q25"), strict=True):
        assert q25 == pytest.approx(np.quantile(standard(image), 0.25))


def test_gradients_and_asymmetry_are_loops_over_neighbours() -> None:
    x = noise(1, side=16)
    found, z = image_statistics(x), standard(x[0])
    across = np.mean([(z[i, j + 1] - z[i, j]) ** 2 for i in range(16) for j in range(15)]) ** 0.5
    along = np.mean([(z[i + 1, j] - z[i, j]) ** 2 for i in range(15) for j in range(16)]) ** 0.5
    mirror = np.mean([(z[i, j] - z[i, 15 - j]) ** 2 for i in range(16) for j in range(16)]) ** 0.5
    assert column(found, "gradient_across")[0] == pytest.approx(across)
    assert column(found, "gradient_along")[0] == pytest.approx(along)
    assert column(found, "asymmetry")[0] == pytest.approx(mirror)


def test_bands_are_shares_of_the_whole_spectrum_by_radius() -> None:
    x = noise(1)
    z = standard(x[0])
    power = np.abs(np.fft.fft2(z)) ** 2
    power[0, 0] = 0
    frequency = np.fft.fftfreq(64)
    radius = np.sqrt(frequency[:, None] ** 2 + frequency[None] ** 2) / np.sqrt(0.5)
    found = image_statistics(x)
    for band in range(1, BANDS):
        inside = (radius > 0.5 ** (BANDS - band)) & (radius <= 0.5 ** (BANDS - 1 - band))
        share = power[inside].sum() / power.sum()
        assert column(found, f"band_{band}")[0] == pytest.approx(np.log(share + 1e-6))


def test_a_finer_pattern_has_its_power_higher() -> None:
    places = np.arange(64) / 64
    stripes = [
        0.5 + 0.4 * np.sin(2 * np.pi * f * places)[None] + 0 * places[:, None] for f in (2, 20)
    ]
    coarse, fine = image_statistics(np.stack(stripes))[:, COLUMNS.index("band_0") :][:, :BANDS]
    assert fine.argmax() > coarse.argmax()


def test_a_mirrored_image_differs_in_the_sign_of_left_minus_right() -> None:
    x = noise()
    one, other = image_statistics(x), image_statistics(x[:, :, ::-1])
    np.testing.assert_allclose(column(one, "left_minus_right"), -column(other, "left_minus_right"))
    np.testing.assert_allclose(column(one, "asymmetry"), column(other, "asymmetry"))
    np.testing.assert_allclose(column(one, "cell_3_0"), column(other, "cell_3_7"))


def test_exposure_leaves_the_standardised_columns() -> None:
    x = noise()
    one, darker = image_statistics(x), image_statistics(0.3 * x + 0.2)
    names = ["skewness", "q95", "gradient_across", "asymmetry", "band_5"]
    for name in names:
        np.testing.assert_allclose(column(one, name), column(darker, name), rtol=1e-6)
    assert (column(darker, "mean") != column(one, "mean")).all()


def test_constant_images_are_finite() -> None:
    flat = np.stack([np.full((64, 64), value) for value in (0.0, 1 / 3, 1.0)])
    found = image_statistics(flat)
    assert np.isfinite(found).all()
    assert column(found, "black").tolist() == [1, 0, 0]
    assert column(found, "white").tolist() == [0, 0, 1]


def test_a_thumbnail_is_the_mean_of_its_pixels_and_loses_the_shape() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(128, 192), dtype=np.uint8)
    found = thumbnail(image)
    assert found.shape == (64, 64)
    assert found.mean() == pytest.approx(image.mean() / 255, abs=0.003)
    deep = thumbnail(image.astype(np.uint16) * 257)
    np.testing.assert_allclose(deep, found, atol=1e-6)


def test_table_of_a_store(images: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = images.rows(modality="radiograph")
    done = []
    whole = image_features(images, rows, progress=lambda *at: done.append(at))
    assert whole.values.shape == (10, len(COLUMNS))
    assert whole.by == "record"
    assert np.isfinite(whole.values).all()
    assert done == [(10, 10)]
    monkeypatch.setattr("medssl.evaluation.image_statistics.BATCH", 3)
    backwards = image_features(images, rows[::-1])
    np.testing.assert_allclose(backwards.rows(whole.keys), whole.values, rtol=1e-9, atol=1e-12)
    assert image_features(images, rows[:0]).values.shape == (0, len(COLUMNS))


def test_shapes_are_a_table_of_their_own(images: Store) -> None:
    rows = images.rows(modality="radiograph")
    table = image_shape_features(images, rows)
    assert table.columns == SHAPE_COLUMNS
    for row, (aspect, height, width) in zip(rows, table.values, strict=True):
        image = images.read_record(int(row))
        assert image.shape == (height, width)
        assert np.exp(aspect) == pytest.approx(width / height)


def test_texts_are_refused(images: Store) -> None:
    rows = images.rows(modality="report")
    for features in (image_features, image_shape_features):
        with pytest.raises(StageError, match="choose rows of modality radiograph"):
            features(images, rows)
