"""Real files, written by the tests themselves, and the configurations that read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from medssl.config import validate
from medssl.ingest import IngestConfig

RATE = 250


def heartbeat(seconds: float, rate: float = RATE, *, seed: int = 0) -> np.ndarray:
    """A signal with sharp beats every 0.8 s and a little noise, in mV."""
    time = np.arange(round(seconds * rate)) / rate
    phase = np.minimum(time % 0.8, 0.8 - time % 0.8)
    noise = np.random.default_rng(seed).normal(scale=0.01, size=time.size)
    return np.exp(-((phase / 0.02) ** 2)) + noise


@pytest.fixture
def make_heartbeat() -> Callable[..., np.ndarray]:
    return heartbeat


@pytest.fixture
def write_record() -> Callable[..., Path]:
    def write(folder: Path, name: str, *, seconds: float = 10, **changes: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        signal = changes.pop("signal", None)
        if signal is None:
            signal = heartbeat(seconds)[:, None]
        options: dict[str, Any] = {
            "fs": RATE,
            "units": ["mV"] * signal.shape[1],
            "sig_name": ["I", "II", "III"][: signal.shape[1]],
            "fmt": ["16"] * signal.shape[1],
            "adc_gain": [1000.0] * signal.shape[1],
            "baseline": [0] * signal.shape[1],
        }
        wfdb.wrsamp(name, p_signal=signal, write_dir=str(folder), **(options | changes))
        return folder / f"{name}.hea"

    return write


@pytest.fixture
def wfdb_config() -> Callable[..., IngestConfig]:
    def build(folder: Path, **changes: Any) -> IngestConfig:
        top = {key: changes.pop(key) for key in list(changes) if key in IngestConfig.model_fields}
        source = {
            "name": "ecg",
            "format": "wfdb",
            "path": str(folder),
            "modality": "ecg",
            "rate": 125,
            "segment_seconds": 2,
            "channels": "I",
            "participant": {"pattern": r"^(?P<participant>[^/_]+)"},
        }
        values = {"quality": False, **top, "sources": [source | changes]}
        return validate(IngestConfig, values, where="ingest")

    return build


@pytest.fixture
def text_config() -> Callable[..., IngestConfig]:
    def build(folder: Path, **changes: Any) -> IngestConfig:
        top = {key: changes.pop(key) for key in list(changes) if key in IngestConfig.model_fields}
        source = {
            "name": "ppg",
            "format": "text",
            "path": str(folder),
            "modality": "ppg",
            "rate": 50,
            "rate_in": 100,
            "segment_seconds": 2,
            "channels": "finger",
            "units": "counts",
            "layout": "row",
            "participant": {"pattern": r"(?P<participant>[^/_]+)_\d+\.txt$"},
        }
        values = {"quality": False, **top, "sources": [source | changes]}
        return validate(IngestConfig, values, where="ingest")

    return build


@pytest.fixture
def write_row() -> Callable[..., Path]:
    def write(path: Path, *, samples: int = 200, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(seed).integers(0, 4096, samples)
        path.write_text("\t".join(map(str, values)) + "\t\n")
        return path

    return write


def grey(rows: int = 24, columns: int = 32, *, seed: int = 0) -> np.ndarray:
    """An image of 8 bits that is like no other."""
    return np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)


@pytest.fixture
def make_grey() -> Callable[..., np.ndarray]:
    return grey


@pytest.fixture
def write_image() -> Callable[..., Path]:
    from PIL import Image

    def write(path: Path, pixels: np.ndarray | None = None, *, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey(seed=seed) if pixels is None else pixels).save(path)
        return path

    return write


@pytest.fixture
def write_text() -> Callable[..., Path]:
    def write(path: Path, text: str | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture
def chest_config() -> Callable[..., IngestConfig]:
    """A configuration of images and reports; each source is what differs from the usual."""
    usual: dict[str, dict[str, Any]] = {
        "image": {"edge": 32, "include": "**/*.png"},
        "dicom": {"edge": 32},
        "report": {"layout": "plain", "include": "**/*.txt"},
        "report_table": {"include": "reports.csv"},
    }

    def build(folder: Path, *sources: dict[str, Any], **top: Any) -> IngestConfig:
        whole = []
        for place, changes in enumerate(sources):
            form = changes.get("format", "image")
            told = {} if form == "report_table" else {
                "participant": {"pattern": r"^(?P<participant>[^/]+)/"},
                "study": {"pattern": r"/(?P<study>[^/._]+)[^/]*$"},
            }  # fmt: skip
            common = {"name": f"{form}{place}", "cohort": "chest", "path": str(folder)}
            whole.append({**common, "format": form, **told, **usual[form], **changes})
        return validate(IngestConfig, {**top, "sources": whole}, where="ingest")

    return build
