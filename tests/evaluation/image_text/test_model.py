from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medssl
from medssl.errors import ContractError, StageError
from medssl.evaluation.image_text.model import ImageTextModel
from medssl.store import Store


@pytest.fixture(scope="module")
def model(image_text_run: Path) -> ImageTextModel:
    return medssl.load_image_text(image_text_run, device="cpu")


def test_every_way_of_projecting_gives_unit_rows_of_one_space(
    model: ImageTextModel, image_text_store: Path
) -> None:
    store = Store.open(image_text_store)
    images, reports = (store.rows(modality=name)[:5] for name in ("radiograph", "report"))
    sides = (
        model.project_rows(store, images),
        model.project_reports(store, reports),
        model.project_texts(["there is a pleural effusion", "no pleural effusion"]),
    )
    for rows in sides:
        assert rows.shape[1] == 8
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-5)
    stored = [str(store.read_record(int(row))).partition(": ")[2] for row in reports]
    np.testing.assert_allclose(model.project_texts(stored), sides[1], atol=1e-6)


def test_a_file_is_projected_as_the_record_that_ingest_makes_of_it(
    model: ImageTextModel, image_text_store: Path, tmp_path: Path
) -> None:
    store = Store.open(image_text_store)
    rows = store.rows(modality="radiograph")
    row = rows[store.column("participant", rows) == "p002"]  # a square: 16 by 16
    Image.fromarray(np.asarray(store.read_record(int(row[0])))).save(tmp_path / "image.png")
    found = model.project_files([tmp_path / "image.png"])
    np.testing.assert_allclose(found, model.project_rows(store, row), atol=1e-5)
    blank = np.zeros((16, 16), dtype=np.uint8)
    nothing = model.project_images(model.image.inputs.accept([blank]))[0]
    np.testing.assert_allclose(model.project_blank(), nothing, atol=1e-6)
    (tmp_path / "note.png").write_text("no image")
    with pytest.raises(ContractError, match=r"note\.png is no readable image"):
        model.project_files([tmp_path / "note.png"])


def test_another_folder_is_refused(image_text_run: Path, image_text_store: Path) -> None:
    for folder in (image_text_store, image_text_run / "bundle"):
        with pytest.raises(StageError, match="no output of pretraining with images and reports"):
            medssl.load_image_text(folder)
