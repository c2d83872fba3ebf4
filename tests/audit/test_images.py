"""The audits on stores of images and of reports, clean and with planted faults."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from medssl.audit.config import AuditConfig
from medssl.audit.exact_duplicates import exact_duplicates
from medssl.audit.findings import Finding, Severity
from medssl.audit.near_duplicates import near_duplicates
from medssl.audit.run import run_audit
from medssl.bundle import Encoder
from medssl.contracts import TextContract
from medssl.evaluation.embed import embed_store
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_statistics import image_features
from medssl.evaluation.targets import Target
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.text.tokenizer import train_tokenizer
from medssl.types import Modality, ParticipantId

EDGE = 64
PEOPLE = [f"p{number:02d}" for number in range(40)]
SPLITS = {name: "test" if n % 3 == 0 else "train" for n, name in enumerate(PEOPLE)}
Images = dict[str, list[np.ndarray]]


def chest(generator: np.random.Generator) -> np.ndarray:
    """Two dark ovals in a bright frame with ribs of one's own: everyone's looks alike."""
    rows, columns = EDGE, int(generator.integers(48, EDGE))
    down, across = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    image = 0.75 - 0.1 * down
    for centre in (0.28, 0.72):
        wide, tall = generator.uniform(0.12, 0.18), generator.uniform(0.28, 0.36)
        x, y = centre + generator.normal(0, 0.02), 0.45 + generator.normal(0, 0.03)
        image -= 0.5 * (((across - x) / wide) ** 2 + ((down - y) / tall) ** 2 < 1)
    ribs = generator.uniform(9, 12) * down + generator.uniform(0.5, 1.5) * (across - 0.5) ** 2
    image += 0.08 * np.sin(2 * np.pi * (ribs + generator.uniform()))
    for _ in range(12):  # vessels
        x, y = generator.uniform(0.1, 0.9, size=2)
        image += 0.15 * np.exp(-(((across - x) ** 2 + (down - y) ** 2) / 0.002))
    image += 0.02 * generator.normal(size=image.shape)
    return (255 * image.clip(0, 1)).astype(np.uint8)


def chests(seed: int = 0, each: int = 2) -> Images:
    generator = np.random.default_rng(seed)
    return {name: [chest(generator) for _ in range(each)] for name in PEOPLE}


def image_store(path: Path, images: Images, **facts: Callable[[str], object]) -> Store:
    """A store of images; facts by participant are columns of its records."""
    records = [
        Record(
            participant=ParticipantId(name), session=f"s{number}", recording=f"{name}-{number}",
            modality=Modality.RADIOGRAPH, data=image, source_digest="0" * 32, source="test",
            **{column: value(name) for column, value in facts.items()},
        )
        for name, several in images.items() for number, image in enumerate(several)
    ]  # fmt: skip
    icu = pd.DataFrame({"icu": [n % 2 for n in range(len(images))]}, index=list(images))
    return write_store(path, records, participants=icu)


def report_store(path: Path, texts: dict[str, str]) -> Store:
    records = [
        Record(
            participant=ParticipantId(name), session="s", recording=name, data=text,
            modality=Modality.REPORT, source_digest="0" * 32, source="test",
        )
        for name, text in texts.items()
    ]  # fmt: skip
    return write_store(path, records)


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def compressed(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer))


def cropped(image: np.ndarray) -> np.ndarray:
    return resized(image[2:-1, 1:-2], 1.1)


CHANGES = {
    "compressed": compressed,
    "resized": lambda image: resized(image, 0.6),
    "cropped": cropped,
    "brighter": lambda image: (255 * (image / 255) ** 0.7).astype(np.uint8),
    "16 bits": lambda image: image.astype(np.uint16) * 257,
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return image_store(tmp_path_factory.mktemp("images") / "store", chests())


def test_no_image_of_clean_data_is_a_copy(clean: Store) -> None:
    (near,) = near_duplicates(clean, clean.rows(), splits=SPLITS)
    assert (near.severity, near.value, near.n_records) == (Severity.OK, 0, 80)
    assert near.title == "radiograph: no two participants share a nearly identical image"
    across, inside = exact_duplicates(clean, clean.rows(), splits=SPLITS)
    assert across.title == "No two participants share an identical image"
    assert across.severity is inside.severity is Severity.OK


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_under_another_participant_is_found(tmp_path: Path, change: str) -> None:
    images = chests(seed=1)
    images["p04"][1] = CHANGES[change](images["p03"][0])
    store = image_store(tmp_path / "store", images)
    (near,) = near_duplicates(store, store.rows(), splits=SPLITS)
    assert near.severity is Severity.CRITICAL  # p03 is in test, p04 in train
    assert near.participants == ("p03", "p04")
    assert near.value == 1
    assert near.table is not None
    assert "lag (s)" not in near.table.columns
    assert exact_duplicates(store, store.rows(), splits=SPLITS)[0].severity is Severity.OK


def test_black_images_and_other_images_of_the_same_participant_are_no_copies(
    tmp_path: Path,
) -> None:
    images = chests(seed=2)
    for name in ("p01", "p02"):
        images[name][0] = np.zeros((EDGE, 50), dtype=np.uint8)
    images["p05"][1] = compressed(images["p05"][0])
    store = image_store(tmp_path / "store", images)
    assert near_duplicates(store, store.rows(), splits=SPLITS)[0].severity is Severity.OK
    assert exact_duplicates(store, store.rows(), splits=SPLITS)[0].severity is Severity.OK


def test_reports_that_say_the_same_are_counted_and_are_no_fault(tmp_path: Path) -> None:
    normal = dict.fromkeys(PEOPLE[:6], "IMPRESSION: 1. No acute abnormality.")
    normal["p02"] = "IMPRESSION: NO ACUTE ABNORMALITY"
    others = {name: f"INDICATION: x.\nFINDINGS: Nodule of {n} mm." for n, name in
              enumerate(PEOPLE[6:])}  # fmt: skip
    empty = {"p99": "INDICATION: Cough."}
    store = report_store(tmp_path / "store", normal | others | empty)
    (found,) = near_duplicates(store, store.rows(), splits=SPLITS)
    assert found.severity is Severity.NOTE
    assert found.title == "Identical reports: 1 text shared by 6 participants"
    assert found.value == pytest.approx(6 * 5 / (40 * 39))
    assert "1 report without either left out" in found.detail
    assert "1 text in more than one split" in found.detail
    assert not found.participants
    assert "abnormality" not in found.model_dump_json().lower()
    assert exact_duplicates(store, store.rows(), splits=SPLITS) == []
    distinct = report_store(tmp_path / "distinct", others)
    (none,) = near_duplicates(distinct, distinct.rows(), splits=SPLITS)
    assert none.severity is Severity.OK


def findings_of(store: Store, target: Target, **config: object) -> dict[str, list[Finding]]:
    """All findings, by audit, on plain statistics of the pixels as embeddings."""
    found = image_features(store, store.rows())
    embeddings = Embeddings(
        store.column("record"), store.column("participant").astype(str), store.column("session"),
        np.nan_to_num(found.values), {"modality": "radiograph"},
    )  # fmt: skip
    report = run_audit(
        store, embeddings, rows=store.rows(), splits=SPLITS, targets=(target,),
        config=AuditConfig.model_validate(config),
    )  # fmt: skip
    return {f.audit: [g for g in report.findings if g.audit == f.audit] for f in report.findings}


ICU = Target(name="icu", column="icu", kind="binary", positive=1)


def test_a_view_that_gives_the_label_away_is_a_shortcut(tmp_path: Path) -> None:
    """The projection is chosen by how ill somebody is, as in intensive care."""
    bedridden = dict(zip(PEOPLE, np.arange(40) % 2, strict=True))
    store = image_store(
        tmp_path / "store", chests(seed=3), view=lambda name: ("PA", "AP")[bedridden[name]]
    )
    found = findings_of(store, ICU)
    (shortcut,) = found["shortcut_metadata"]
    assert shortcut.severity is Severity.WARNING
    assert shortcut.table is not None
    alone = {str(row[0]): row[1] for row in shortcut.table.rows}
    assert alone["view alone"] == pytest.approx(1.0)
    assert float(alone["aspect alone"] or 0) < 0.8
    assert "view" in shortcut.advice
    assert all("view" in finding.title for finding in found["batch_effect"])


def test_a_shape_that_gives_the_label_away_is_a_shortcut(tmp_path: Path) -> None:
    """Cropping to the shape of a source, as pneumonia of children was in one collection."""
    images = chests(seed=4)
    for number, several in enumerate(images.values()):
        several[:] = [image[: 44 if number % 2 else 64] for image in several]
    (shortcut,) = findings_of(image_store(tmp_path / "store", images), ICU)["shortcut_metadata"]
    assert shortcut.severity is not Severity.OK
    assert shortcut.table is not None
    assert {str(row[0]): row[1] for row in shortcut.table.rows}["aspect alone"] > 0.9  # type: ignore[operator]


def test_audits_of_waveforms_say_nothing_of_images(clean: Store) -> None:
    found = findings_of(clean, ICU)
    assert "quality" not in found  # images are not graded
    failed = [f.title for fs in found.values() for f in fs if "could not be run" in f.title]
    assert failed == []


class Corner(nn.Module):
    """Mean grey of the upper left sixth, where a letter may be burnt in, and of the middle."""

    dim = 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = (x[:, 0, :10, 5:15], x[:, 0, 20:44, 20:44])
        return torch.stack([part.mean(dim=(1, 2)) for part in parts], dim=1)


def marked(seed: int) -> Images:
    """Images of one shape; every other participant's have a white letter in the corner."""
    images = chests(seed=seed)
    for number, several in enumerate(images.values()):
        several[:] = [resized_to(image, (54, EDGE)) for image in several]
        for image in several:
            image[2:8, 2:8] = 255 * (number % 2)
    return images


def resized_to(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize(size)).copy()


def test_a_letter_in_the_corner_is_found_and_drawn_over_the_mean_image(tmp_path: Path) -> None:
    images = marked(5)
    images["p05"][1] = compressed(images["p03"][0])
    store = image_store(tmp_path / "store", images)
    encoder = Encoder(Corner(), store.contract("radiograph"), digest="d" * 32, device="cpu")
    embeddings = embed_store(encoder, store, store.rows(), metadata={"bundle": encoder.digest})
    report = run_audit(
        store, embeddings, rows=store.rows(), splits=SPLITS, targets=(ICU,), encoder=encoder
    )
    follows, windows, border = [f for f in report.findings if f.audit == "shortcut_occlusion"]
    assert follows.severity is Severity.OK
    assert follows.n_records == 28
    assert windows.severity is border.severity is Severity.WARNING
    assert border.cells is not None
    movement = np.array(border.cells.movement)
    assert np.unravel_index(movement.argmax(), movement.shape) == (0, 0)
    drawn = {figure.name: figure for figure in report.figures}
    assert border.figure == "occlusion-icu-input"
    assert "row 1 of 6, column 1 of 6" in drawn["occlusion-icu-input"].alt
    pair = drawn["overlay-near-radiograph"]
    assert pair.identifies
    assert {"p03", "p05"} <= set(pair.alt.replace(".", "").split())
    assert all("image/png;base64" in drawn[name].svg for name in (border.figure, pair.name))


def test_reports_have_nothing_to_cover_and_the_page_says_so(tmp_path: Path) -> None:
    texts = {name: f"FINDINGS: Nodule of {n} mm." for n, name in enumerate(PEOPLE)}
    store = report_store(tmp_path / "store", texts)
    embeddings = Embeddings(
        store.column("record"), store.column("participant").astype(str), store.column("session"),
        np.random.default_rng(0).normal(size=(40, 4)), {"modality": "report"},
    )  # fmt: skip
    tokenizer = train_tokenizer(list(texts.values()), vocabulary=200, lowercase=True)
    contract = TextContract(modality=Modality.REPORT, tokenizer=tokenizer.digest, tokens=16)
    encoder = Encoder(nn.Identity(), contract, digest="d" * 32, device="cpu", tokenizer=tokenizer)
    report = run_audit(
        store, embeddings, rows=store.rows(), splits=SPLITS, targets=(ICU,), encoder=encoder,
        config=AuditConfig(skip=("shortcut_metadata", "attribute_dependence", "label_errors",
                                 "missing_predicts_label")),
    )  # fmt: skip
    (found,) = [f for f in report.findings if f.audit == "shortcut_occlusion"]
    assert found.severity is Severity.NOTE
    assert found.title == (
        "Shortcut occlusion does not apply: reports have no places that could be covered"
    )
    assert {"near_duplicates"} <= {f.audit for f in report.findings}
