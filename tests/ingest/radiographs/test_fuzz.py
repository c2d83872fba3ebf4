"""Damaged image files: a picture, or a verdict, and never anything else.

A larger run: MEDSSL_FUZZ=5000 python -m pytest tests/ingest/radiographs/test_fuzz.py, with so many
mutations of each file. This file is also the program that runs in a process of its own, so that a
crash or a bomb ends only that: python test_fuzz.py COUNT FILE…
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

COUNT = int(os.environ.get("MEDSSL_FUZZ", "20"))
SECONDS = 20
"""No single file may take longer."""
MEGABYTES = 200
"""What reading may add to the memory of the process."""
LARGE = 150_000
"""Bytes of a file that takes long to decode, and is damaged less often."""
DATA = Path(__file__).parents[2] / "data" / "dicom"
SHIPPED = ("ct_jpeg_extended", "ct_padding_jpeg2000", "mono1_cr_jpeg2000")
INSTALLED = (
    "CT_small", "MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless",
    "MR_small_bigendian", "image_dfl", "JPGExtended", "SC_rgb_jpeg_gdcm",
)  # fmt: skip
BARE = "bare.dcm"
"""A DICOM file without its preamble."""
MADE = ("grey.png", "wide.png", "grey.jpg", "grey.tif", "wide.tif", BARE)


def write(name: str, folder: Path) -> Path:
    """A sound image file."""
    from PIL import Image

    if name == BARE:
        from pydicom.data import get_testdata_file

        whole = Path(get_testdata_file("CT_small.dcm", download=False)).read_bytes()
        (folder / name).write_bytes(whole[132:])
        return folder / name
    pixels = np.add.outer(np.arange(120), np.arange(90)).astype(np.uint8)
    image = Image.fromarray(pixels.astype(np.uint16) * 300 if "wide" in name else pixels)
    options = {"compression": "tiff_deflate"} if name == "wide.tif" else {}
    image.save(folder / name, **options)
    return folder / name


def mutate(content: bytes, seed: int) -> bytes:
    """A damaged copy; the damage is a function of the seed, more often near the beginning."""
    rng = np.random.default_rng(seed)
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        size = max(len(data), 1)
        near = int(min(rng.exponential(size / 10), size - 1))
        place = int(rng.integers(size)) if rng.integers(2) else near
        kind = int(rng.integers(5))
        if kind == 0:
            del data[place:]
        elif kind == 1:
            for at in rng.integers(place, min(place + 64, size), size=int(rng.integers(1, 9))):
                data[min(int(at), len(data) - 1)] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            data[place : place + 4] = bytes([int(rng.choice([0, 127, 255]))]) * 4
        elif kind == 3:
            del data[place : place + int(rng.integers(1, 64))]
        else:
            data[place:place] = data[place : place + int(rng.integers(1, 64))]
        if not data:
            break
    return bytes(data)


class Hang(BaseException):
    """A file took too long."""


def outcome(path: Path, *, dicom: bool) -> str:
    """`ok`, the code of the verdict, or what was raised."""
    from medssl.ingest.ledger import Unreadable
    from medssl.ingest.radiographs.dicom_reader import read_dicom, read_header
    from medssl.ingest.radiographs.image_reader import read_image
    from medssl.ingest.radiographs.settings import DisplaySettings

    settings = DisplaySettings(colour="convert", burned_in="keep", other_modalities="keep")
    signal.alarm(SECONDS)
    try:
        if dicom:
            read_header(path)
        picture = (read_dicom if dicom else read_image)(path, settings, folder=path.parent)
        assert picture.pixels.dtype == np.float32
        assert np.isfinite(picture.pixels).all()
        assert 0 <= picture.pixels.min() <= picture.pixels.max() <= 1
    except Unreadable as verdict:
        return verdict.reason.value
    except (Hang, Exception) as error:
        return f"raised {type(error).__name__}: {error}"[:300]
    finally:
        signal.alarm(0)
    return "ok"


def peak() -> int:
    """Largest resident memory (MB)."""
    import resource

    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def damage(path: Path, count: int) -> dict:
    """Damage one file many times over, and count the outcomes."""
    from medssl.ingest.radiographs.dicom_reader import is_dicom

    content = path.read_bytes()
    dicom = is_dicom(path)
    said: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        victim = Path(name) / "a"
        assert outcome(path, dicom=dicom) == "ok"
        before = peak()
        for seed in range(count if len(content) < LARGE else max(count // 4, 1)):
            victim.write_bytes(mutate(content, seed))
            result = outcome(victim, dicom=dicom)
            said[f"{result} at {seed}" if result.startswith("raised") else result] += 1
    return {"said": said, "added": peak() - before}


@pytest.fixture(scope="module")
def damaged(from_pydicom, tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("fuzz")
    paths = [DATA / f"{name}.dcm" for name in SHIPPED]
    paths += [from_pydicom(f"{name}.dcm") for name in INSTALLED]
    paths += [write(name, folder) for name in MADE]
    done = subprocess.run(
        [sys.executable, __file__, str(COUNT), *map(str, paths)],
        capture_output=True, text=True, timeout=120 + COUNT * len(paths), check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(SHIPPED + INSTALLED + MADE, told, strict=True))


@pytest.mark.timeout(180 + 20 * COUNT)
@pytest.mark.parametrize("name", SHIPPED + INSTALLED + MADE)
def test_damage_gives_a_picture_or_a_verdict(damaged, name):
    said = damaged[name]["said"]
    assert not [one for one in said if one.startswith("raised")], said
    assert len(said) > 1
    assert damaged[name]["added"] < MEGABYTES


def _alarm(*_: object) -> None:
    raise Hang


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, _alarm)
    for file in sys.argv[2:]:
        print(json.dumps(damage(Path(file), int(sys.argv[1]))), flush=True)  # noqa: T201
