"""DICOM objects from files to the store: what headers tell, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from medssl.contracts.grey_scale import GreyScale
from medssl.errors import StoreError
from medssl.ingest import ingest
from medssl.ingest.deidentify import pseudonym
from medssl.inputs import make_inputs
from medssl.store import Store

REAL = Path(__file__).parents[1] / "data" / "dicom"
HEADERS = {
    "format": "dicom",
    "bits": 16,
    "participant": {"header": True},
    "study": {"header": True},
    "view": {"header": True},
    "time": {"header": True, "unit": "datetime"},
    "site": {"header": True, "values": {"Saint Elsewhere": "north"}},
    "device": {"header": True},
    "labels": [
        {"level": "participant", "comments": {"sex": "Sex"}},
        {"level": "record", "comments": {"age": "Age", "machine": "Modality"}},
    ],
}


@pytest.fixture
def write(tmp_path):
    def made(name, *, pixels=None, **elements):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        dataset.SOPInstanceUID = f"1.2.{sum(map(ord, name))}"
        ramp = np.arange(24 * 32).reshape(24, 32) * 5
        stored = (ramp if pixels is None else pixels).astype(np.uint16)
        usual = {
            "PatientName": "Doe^Jane", "PatientID": "MRN-1", "PatientSex": "F",
            "PatientAge": "041Y", "StudyInstanceUID": "1.2.3.1", "StudyDate": "20190301",
            "StudyTime": "060000", "ViewPosition": "PA", "Manufacturer": "Acme",
            "ManufacturerModelName": "Ray 2", "InstitutionName": "Saint Elsewhere",
            "Modality": "DX", "Rows": stored.shape[0], "Columns": stored.shape[1],
            "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0,
            "PixelData": stored.tobytes(),
        }  # fmt: skip
        for keyword, value in (usual | elements).items():
            if value is not None:
                setattr(dataset, keyword, value)
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return made


@pytest.fixture
def run(tmp_path, chest_config):
    def read(source, store="store"):
        report = ingest(chest_config(tmp_path / "raw", source), tmp_path / store)
        return report, Store.open(tmp_path / store)

    return read


def test_headers_tell_whose_when_where_and_which_view(write, run):
    write("a.dcm")
    write("b.dcm", ViewPosition="LL", PhotometricInterpretation="MONOCHROME1")
    write("c.dcm", StudyInstanceUID="1.2.3.2", StudyDate="20190311", StudyTime="180000")
    write("d.dcm", PatientID="MRN-2", StudyInstanceUID="1.2.3.3", PatientSex="M", StudyDate=None)
    report, store = run(HEADERS)
    frame = store.records.to_pandas().merge(store.record_labels, on="record")
    mine = frame[frame.participant == pseudonym("MRN-1", source="chest", key="medssl")]
    mine = mine.sort_values(["time", "view"])
    assert mine["view"].tolist() == ["PA", "lateral", "PA"]
    assert mine.time.tolist() == [0, 0, 10.5]
    assert mine.study.nunique() == mine.session.nunique() == 2
    assert set(frame.site) == {"north"}
    assert set(frame.device) == {"Acme Ray 2"}
    assert frame[["age", "machine"]].drop_duplicates().to_numpy().tolist() == [[41, "DX"]]
    assert sorted(store.participants["sex"]) == ["F", "M"]
    assert frame.time.isna().sum() == 1
    assert report.views == {"PA": 3, "lateral": 1}


def test_a_negative_is_stored_as_its_positive(write, run):
    ramp = np.arange(24 * 32).reshape(24, 32) * 5
    write("a.dcm", pixels=ramp)
    write("b.dcm", pixels=4095 - ramp, PhotometricInterpretation="MONOCHROME1")
    _, store = run(HEADERS | {"display": {"voi": "none"}})
    left, right = (store.read_record(row).astype(int) for row in range(2))
    assert np.abs(left - right).max() <= 1
    steps = sorted((json.loads(text) for text in store.column("display")), key=len)
    assert steps == [["full range"], ["full range", "inverted MONOCHROME1"]]


@pytest.mark.parametrize(
    "display",
    [{}, {"voi": "window", "window_centre": 900, "window_width": 400}, {"voi": "percentile"}],
)
def test_a_new_file_is_prepared_by_the_display_of_ingest(write, run, display):
    path = write("a.dcm", WindowCenter=2000, WindowWidth=1000)
    _, store = run(HEADERS | {"display": display})
    contract = store.contract("radiograph")
    assert contract.grey_scale == GreyScale(**display)
    prepared = make_inputs(contract).prepare(path)
    assert (prepared == store.read_record(0)).all()
    assert len(np.unique(prepared)) > 50


def test_images_of_two_displays_do_not_pass_as_one(write, run):
    write("a.dcm")
    run(HEADERS)
    write("b.dcm", PatientID="MRN-2", StudyInstanceUID="1.2.3.2")
    _, store = run(HEADERS | {"display": {"voi": "none"}})
    said = "1 with .* grey values by VOI LUT, else window.*; 1 with .* grey values by full range"
    with pytest.raises(StoreError, match=said):
        store.contract("radiograph")
    kept = np.flatnonzero(store.column("grey_scale") == GreyScale().text)
    assert store.contract("radiograph", kept).grey_scale == GreyScale()


def test_nothing_of_a_header_that_identifies_is_stored(write, run):
    write("a.dcm")
    _, store = run(HEADERS)
    files = [path for path in store.path.rglob("*") if path.is_file() and "links" not in path.name]
    said = " ".join(str(pq.read_table(p).to_pydict()) for p in files if p.suffix == ".parquet")
    said += " ".join(p.read_bytes().decode("latin-1") for p in files if p.suffix != ".parquet")
    for secret in ("MRN", "Doe", "Jane", "2019", "1.2.3.1", "Elsewhere"):
        assert secret not in said


def test_bad_objects_are_rows_of_the_ledger(tmp_path, write, run):
    write("good.dcm")
    write("empty.dcm", PixelData=None)
    write("cut.dcm", PixelData=b"\0" * 100)
    write("marked.dcm", BurnedInAnnotation="YES")
    write("frames.dcm", NumberOfFrames=2, PixelData=b"\0" * 4 * 24 * 32)
    write("dot.dcm", Rows=1, Columns=1, PixelData=b"\0\0")
    write("huge.dcm", Rows=40_000, Columns=40_000)
    write(
        "capture.dcm", SamplesPerPixel=3, PhotometricInterpretation="RGB", BitsAllocated=8,
        BitsStored=8, HighBit=7, PlanarConfiguration=0, PixelData=b"\1\2\3" * 24 * 32,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
    )  # fmt: skip
    write("nobody.dcm", PatientID=None)
    write("visit.dcm", StudyInstanceUID=None)
    (tmp_path / "raw" / "words.dcm").write_text("no DICOM")
    (tmp_path / "raw" / "none.dcm").touch()
    report, store = run(HEADERS)
    assert {row["path"]: row["reason"] for row in store.ledger.to_pylist()} == {
        "empty.dcm": "no_pixels",
        "cut.dcm": "unreadable_pixels",
        "marked.dcm": "burned_in_annotation",
        "frames.dcm": "several_images",
        "dot.dcm": "too_small",
        "huge.dcm": "claims_too_large",
        "capture.dcm": "wrong_photometric",
        "nobody.dcm": "no_participant",
        "visit.dcm": "no_study",
        "words.dcm": "unreadable_header",
        "none.dcm": "empty_file",
    }
    assert report.records == 1


def test_one_study_of_two_identifiers_is_refused(write, run):
    write("a.dcm")
    write("b.dcm", PatientID="MRN-2")
    write("c.dcm", StudyInstanceUID="1.2.3.9")
    report, _ = run(HEADERS)
    assert (report.records, report.ledger) == (1, {"study_of_two_participants": 2})


def test_real_objects(tmp_path, run, chest_config):
    source = {
        "format": "dicom",
        "participant": {"each_recording": True},
        "study": None,
        "display": {"other_modalities": "keep"},
        "labels": {"level": "record", "comments": {"machine": "Modality"}},
    }
    report = ingest(chest_config(REAL, source), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert report.records == len(list(REAL.glob("*.dcm")))
    assert set(store.record_labels["machine"]) == {"CR", "CT"}
    assert all(max(shape) == 32 for shape in store.column("shape"))
    assert all(np.ptp(store.read_record(row)) > 200 for row in range(len(store)))


def test_a_header_and_a_manifest_must_agree(tmp_path, write, run, write_text):
    write("a.dcm")
    write("b.dcm", StudyInstanceUID="1.2.3.2")
    write_text(tmp_path / "raw" / "list.csv", "f,view\na.dcm,AP\nb.dcm,Posteroanterior\n")
    report, store = run(HEADERS | {"manifest": {"table": "list.csv", "file": "f", "view": "view"}})
    assert (report.records, report.ledger) == (1, {"not_a_recording": 1, "rules_disagree": 1})
    assert store.column("view").tolist() == ["PA"]
