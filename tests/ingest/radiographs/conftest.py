"""DICOM files made by pydicom, and the real ones that ship with the tests or with pydicom."""

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / "data" / "dicom"


@pytest.fixture(scope="session")
def dicom_data() -> Path:
    """Real files."""
    return DATA


@pytest.fixture(scope="session")
def from_pydicom():
    """Path of a real file that pydicom installs with itself."""
    from pydicom.data import get_testdata_file

    return lambda name: Path(get_testdata_file(name, download=False))


def _pixels(rows: int = 24, columns: int = 32, bits: int = 12) -> np.ndarray:
    """All levels from black to white, and noise."""
    ramp = np.linspace(0, 2**bits - 1, rows * columns)
    noise = np.random.default_rng(0).normal(scale=2**bits / 50, size=ramp.size)
    return np.clip(ramp + noise, 0, 2**bits - 1).astype(np.uint16).reshape(rows, columns)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """A picture of 12 bits."""
    return _pixels()


@pytest.fixture(scope="session")
def larger_pixels() -> np.ndarray:
    """A picture that JPEG 2000 can halve five times."""
    return _pixels(80, 96)


@pytest.fixture
def write_dicom(tmp_path):
    """A function that writes a DICOM image with the elements that a test is about."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    def write(stored, *, name="a.dcm", syntax=ExplicitVRLittleEndian, change=None, **elements):
        stored = np.asarray(stored)
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=["medssl"])
        dataset.Rows, dataset.Columns = stored.shape[:2]
        dataset.SamplesPerPixel = 3 if stored.ndim == 3 else 1
        if stored.ndim == 3:
            dataset.PlanarConfiguration = 0
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = 8 * stored.dtype.itemsize
        dataset.BitsStored = elements.get("BitsStored", dataset.BitsAllocated)
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(stored.dtype.kind == "i")
        order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
        dataset.PixelData = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
        dataset["PixelData"].VR = "OW"
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        if change is not None:
            change(dataset)
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def read(tmp_path):
    """A function that reads a DICOM file with some settings; of any modality, if not told."""
    from medssl.ingest.radiographs.dicom_reader import read_dicom
    from medssl.ingest.radiographs.settings import DisplaySettings

    def read(path, **settings):
        told = {"other_modalities": "keep"} | settings
        return read_dicom(path, DisplaySettings(**told), folder=tmp_path)

    return read


@pytest.fixture
def verdict(read):
    """A function that reads a file which gives no picture: the code, and the detail."""
    from medssl.ingest.ledger import Unreadable

    def verdict(path, *, read=read, **settings) -> tuple[str, str]:
        with pytest.raises(Unreadable) as refused:
            read(path, **settings)
        return refused.value.reason.value, refused.value.detail

    return verdict


@pytest.fixture(scope="session")
def look_up():
    """A function that makes an item of a LUT sequence."""
    from pydicom import Dataset

    def look_up(data, *, first=0, bits=16, vr="US"):
        item = Dataset()
        item.add_new("LUTDescriptor", vr, [len(data) % 65536, first, bits])
        item.add_new("LUTData", "OW", np.asarray(data, dtype="<u2").tobytes())
        return item

    return look_up
