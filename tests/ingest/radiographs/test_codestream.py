"""Sizes that compressed frames claim, against what their decoders find."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import get_frame

from medssl.ingest.radiographs.codestream import frame_size


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("samples", [1, 3])
def test_jpeg(options, samples):
    shape = (37, 53) if samples == 1 else (37, 53, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", comment=b"\xff\xc0 is no marker here", **options)
    size = frame_size(file.getvalue())
    assert size is not None
    assert size[:4] == (37, 53, samples, 8)


@pytest.mark.parametrize("box", [True, False])
def test_jpeg_2000_with_and_without_a_box_around_it(box):
    file = io.BytesIO()
    Image.fromarray(np.zeros((70, 90), np.uint8)).save(file, "JPEG2000", no_jp2=not box)
    assert frame_size(file.getvalue()) == (70, 90, 1, 8, 0x51)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    "name", ["MR_small_jpeg_ls_lossless", "MR_small_jp2klossless", "JPGExtended", "SC_rgb_jpeg"]
)
def test_real_frames(from_pydicom, name):
    dataset = dcmread(from_pydicom(f"{name}.dcm"))
    size = frame_size(get_frame(dataset.PixelData, 0, number_of_frames=1))
    assert size is not None
    assert size[:3] == (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    assert size.bits in (dataset.BitsStored, dataset.BitsAllocated)


@pytest.mark.parametrize(
    "frame",
    [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xff\xff\xff", b"\xff\xd8\xff\xc0",
     b"\xff\xd8\xff\xc0\0\x0b\x08\0\x10", b"\xff\xd8\xff\xda\0\x08", b"\xff\xd8\xff\xe0\0\0" * 9,
     b"\xff\x4f\xff\x51\0\x29\0\0", b"no frame at all"],
)  # fmt: skip
def test_frames_without_a_size(frame):
    assert frame_size(frame) is None
