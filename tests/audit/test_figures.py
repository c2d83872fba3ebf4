from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from medssl.audit.figures import forest, overlay, project, projection, spectrum, split_histograms
from medssl.audit.findings import Figure, ProbeRow
from medssl.audit.svg import INK

GENERATOR = np.random.default_rng(0)
NAMES = np.array([f"p{number}" for number in range(30)])
MEANS = GENERATOR.normal(size=(30, 6))


def rows() -> list[ProbeRow]:
    return [
        ProbeRow(target="a < b", features=name, metric="auroc", value=value, low=value - 0.1,
                 high=value + 0.1, n_fit=20, n_score=10)
        for name, value in (("encoder", 0.8), ("untrained", 0.6))
    ]  # fmt: skip


def figures() -> list[Figure]:
    wave = np.sin(np.linspace(0, 20, 200))
    found = [
        projection(NAMES, MEANS, dict(zip(NAMES.tolist(), range(30), strict=True)), label="age"),
        projection(NAMES, MEANS, dict.fromkeys(NAMES[:10].tolist(), "F"), label="sex"),
        spectrum(MEANS, MEANS * 2),
        forest(rows()),
        overlay(wave, wave, names=("p1", "p<2>"), rate=100, lag=3.0, name="overlay-exact"),
        split_histograms({"train": np.arange(40.0), "test": np.arange(9.0)}, label="age"),
    ]
    return [figure for figure in found if figure is not None]


@pytest.mark.parametrize("figure", figures(), ids=lambda figure: figure.name)
def test_a_figure_is_valid_svg_that_loads_nothing(figure: Figure) -> None:
    root = ET.fromstring(figure.svg)
    assert root.get("aria-label") == figure.alt
    assert root.get("width") is None  # the page gives the size
    assert not re.search(r'(?:href|src)="(?!#|data:)', figure.svg)
    assert "url(http" not in figure.svg
    assert INK not in figure.svg
    assert "currentColor" in figure.svg
    ids = re.findall(r'\bid="([^"]+)"', figure.svg)
    assert all(name.startswith(f"{figure.name}-") for name in ids)
    known = set(ids)
    assert set(re.findall(r'href="#([^"]+)"', figure.svg)) <= known
    assert set(re.findall(r"url\(#([^)]+)\)", figure.svg)) <= known


def test_every_point_of_a_projection_names_its_participant_and_label() -> None:
    ages = dict(zip(NAMES.tolist(), range(30), strict=True))
    titles = re.findall(r"<title>(.*?)</title>", projection(NAMES, MEANS, ages, label="age").svg)
    assert titles == [f"p{number}, age {number}" for number in range(30)]
    sexes = {name: "FM"[place % 2] for place, name in enumerate(NAMES.tolist())}
    titles = re.findall(r"<title>(.*?)</title>", projection(NAMES, MEANS, sexes, label="sex").svg)
    assert sorted(titles) == sorted(f"{name}, {sexes[name]}" for name in NAMES.tolist())


def test_many_points_become_one_picture_inside_the_page() -> None:
    count = 2500
    names = np.array([f"p{number}" for number in range(count)])
    svg = projection(names, GENERATOR.normal(size=(count, 3)), {}, label="age").svg
    assert "data:image/png;base64" in svg
    assert len(svg) < 300_000


def test_projection_has_the_variance_of_the_components() -> None:
    points, shares = project(MEANS)
    variances = np.linalg.eigvalsh(np.cov(MEANS.T))[::-1]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), variances[:2])
    np.testing.assert_allclose(shares, variances[:2] / variances.sum())


def test_a_probe_without_values_has_no_figure() -> None:
    empty = [row.model_copy(update={"value": None}) for row in rows()]
    assert forest(empty) is None


def test_figures_repeat() -> None:
    assert [figure.svg for figure in figures()[2:4]] == [
        spectrum(MEANS, MEANS * 2).svg,
        forest(rows()).svg,  # type: ignore[union-attr]
    ]
