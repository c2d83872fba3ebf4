"""Folders of small images and reports, as researchers keep them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medssl.initialise import initialise
from medssl.samples import sample_path

SENTENCES = (
    "The heart is enlarged.", "There is a small left effusion.", "No pneumothorax is seen.",
    "The lungs are clear.", "Degenerative changes of the spine.", "No acute disease.",
)  # fmt: skip


def words(number: int) -> tuple[str, str]:
    """Findings and impression of a report, different for all numbers below 30."""
    first, second = SENTENCES[number % 6], SENTENCES[(number // 6 + number + 1) % 6]
    return f"{first} {second}", f"Report of {number} degrees of nothing much."


def write_image(path: Path, number: int = 0, *, size: tuple[int, int] = (40, 48)) -> None:
    """A grey image; every number gives another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, size=size, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_report(path: Path, number: int = 0) -> None:
    """A report with headers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    findings, impression = words(number)
    path.write_text(f"FINDINGS: {findings}\n\nIMPRESSION: {impression}\n")


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A table of comma-separated values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_dicom(path: Path, number: int, **elements: Any) -> None:
    """A grey radiograph of 40 × 48 pixels; elements of the header by keyword."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 4096, size=(40, 48), dtype=np.uint16)
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID
    one.Modality, one.PhotometricInterpretation = "DX", "MONOCHROME2"
    one.Rows, one.Columns, one.SamplesPerPixel = 40, 48, 1
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    for keyword, value in elements.items():
        setattr(one, keyword, value)
    one.PixelData = pixels.tobytes()
    one.save_as(path, enforce_file_format=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key of the test's own."""
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    """The sample under a name that tells nothing: two tables, and images below."""
    return Path(shutil.copytree(sample_path("cxr_nih"), tmp_path / "chests"))


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    """12 people with two studies of two images and a report each, in folders as MIMIC-CXR has."""
    folder = tmp_path / "mimic"
    for person in range(12):
        for visit in range(2):
            number = 2 * person + visit
            home = folder / f"files/p1{person % 3}/p1000{person:04d}"
            study = f"s5000{number:04d}"
            for place in range(2):
                write_image(
                    home / study / f"{number:08x}-{place}{person:x}.jpg", 2 * number + place
                )
            findings, impression = words(number)
            text = f"                                 FINAL REPORT\n FINDINGS:\n {findings}\n\n"
            (home / f"{study}.txt").write_text(f"{text} IMPRESSION:\n {impression}\n")
    return folder


@pytest.fixture
def init(tmp_path: Path) -> Callable[..., str]:
    """Run and return everything said, as one text."""

    def run(folder: Path, *answers: str, **options: Any) -> str:
        output = options.pop("output", tmp_path / "out.yaml")
        options.setdefault("overwrite", True)
        return "\n".join(initialise(folder, output, answers=answers, **options))

    return run
