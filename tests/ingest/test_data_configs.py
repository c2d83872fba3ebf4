"""configs/data: every shipped configuration, on excerpts of its data and, where they are, on all.

Set MEDSSL_DATA to a folder with the whole sets to run the second part.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medssl.config import read_yaml, validate
from medssl.ingest import IngestConfig, ingest
from medssl.stages.pipeline import Pipeline
from medssl.store import Store

ROOT = Path(__file__).parents[2]
EXCERPTS = ROOT / "tests" / "data" / "recordings"
CONFIGS = sorted(path.stem for path in (ROOT / "configs" / "data").glob("*.yaml"))
WHOLE = os.environ.get("MEDSSL_DATA")


def run(name, folder, tmp_path, *, quality=False, monkeypatch):
    monkeypatch.setenv("MEDSSL_DATA", str(folder))
    values = read_yaml(ROOT / "configs" / "data" / f"{name}.yaml")["stages"]["ingest"]
    config = validate(IngestConfig, values | {"quality": quality}, where="ingest")
    return ingest(config, tmp_path / "store"), Store.open(tmp_path / "store")


@pytest.fixture
def excerpt(tmp_path, monkeypatch):
    return lambda name, **options: run(name, EXCERPTS, tmp_path, monkeypatch=monkeypatch, **options)


def test_each_configuration_is_a_pipeline_and_all_are_known():
    assert set(CONFIGS) == set(EXPECTED)
    for name in CONFIGS:
        Pipeline(ROOT / "configs" / "data" / f"{name}.yaml")


def test_ppg_bp_keeps_a_signal_that_two_people_share(excerpt):
    report, store = excerpt("ppg_bp")
    assert report.ledger == {"not_a_recording": 1}  # the workbook with a title above its header
    assert (report.participants, report.records) == (3, 4)
    digests = store.records.to_pandas().groupby("content_digest").participant.nunique()
    assert sorted(digests) == [1, 2]  # 148_1 = 148_2, and 23_3 = 24_1
    assert store.participants["sbp"].notna().all()


def test_bidmc_recordings_are_of_the_person_that_the_fix_file_names(excerpt):
    report, store = excerpt("bidmc")
    assert report.participants == 2  # 20 and 21 are one person
    frame = store.records.to_pandas()
    assert frame.groupby("modality").size().to_dict() == {"ecg": 3, "ppg": 3}
    people = frame.groupby("participant")
    assert sorted(people.session.nunique()) == [1, 2]
    assert all(names == {"ppg", "ecg"} for names in people.modality.agg(set))
    ages = store.participants[["age", "sex"]]
    assert ages.dropna().to_numpy().tolist() == [[44.0, "F"]]
    assert ages.isna().all(axis=1).sum() == 1  # 18: Age: NaN, Gender: ?
    pairs = frame.groupby(["session", "start"]).content_digest.nunique()
    assert (pairs == 2).all()  # both signals of each moment
    assert store.record_labels["heart_rate"].between(40, 140).all()
    assert len(store.record_labels) == 6


def test_ecg_id_takes_the_filtered_signal_of_each_session(excerpt):
    report, store = excerpt("ecg_id")
    assert (report.participants, report.records) == (1, 2)
    assert store.participants[["age", "sex"]].to_numpy().tolist() == [[23.0, "F"]]
    assert store.contract("ecg").channels == ("I",)


def test_mitdb_finds_its_lead_by_name_and_counts_beats(excerpt):
    report, store = excerpt("mitdb")
    assert (report.participants, report.records) == (2, 4)
    assert store.participants.sort_values("age")[["age", "sex"]].to_numpy().tolist() == [
        [68.0, "M"], [72.0, "F"],
    ]  # fmt: skip
    beats = store.record_labels[["beats_n", "beats_s", "beats_v", "beats_f", "beats_q"]]
    assert beats.sum(axis=1).between(5, 20).all()
    assert store.contract("ecg").channels == ("MLII",)


def test_ludb_without_its_own_gains(excerpt, tmp_path, monkeypatch):
    report, store = excerpt("ludb")
    assert report.ledger == {"not_a_recording": 1}
    names = ["age", "sex", "sinus_rhythm", "hypertrophy", "ischemia", "pacing"]
    assert store.participants[names].to_numpy().tolist() == [[51.0, "F", 0.0, 1.0, 0.0, 0.0]]
    signal = store.read(store.rows())[0]
    heights = np.ptp(signal, axis=1)
    assert heights.max() / heights.min() > 1.5  # its header makes every lead 1 mV high
    monkeypatch.setenv("MEDSSL_DATA", str(EXCERPTS))
    values = read_yaml(ROOT / "configs" / "data" / "ludb.yaml")["stages"]["ingest"]
    (source,) = values["sources"]
    (changed,) = [{key: value for key, value in source.items() if key != "gain"}]
    with pytest.raises(Exception, match=r"inconsistent_leads 2"):
        ingest(validate(IngestConfig, {"sources": [changed]}, where="ingest"), tmp_path / "other")


def test_cinc2017_has_no_participants_and_says_so(excerpt):
    report, store = excerpt("cinc2017")
    assert report.participants == report.records == 3
    assert report.assumed_participants == ("cinc2017",)
    assert report.label_versions == {"rhythm": "2"}
    assert sorted(store.record_labels["rhythm"]) == ["af", "noisy", "normal"]


def test_cinc2021_sites_codes_and_flat_leads(excerpt):
    _, store = excerpt("cinc2021", quality=True)
    frame = store.records.to_pandas().merge(store.participants, on="participant")
    frame = frame.set_index("site")
    assert sorted(frame.index) == ["Georgia", "Ningbo"]
    assert frame.loc["Ningbo", "quality"] == 0  # V2, V4 and V6 of JS20004 are flat
    assert frame.loc["Ningbo", "flat_share"] == 1
    assert frame.loc["Georgia", "flat_share"] < 0.5
    labels = store.record_labels.join(store.records.to_pandas().set_index("record").site)
    labels = labels.set_index("site")
    assert labels.loc["Ningbo", "sinus_tachycardia"] == 1
    assert labels.loc["Georgia", "sinus_bradycardia"] == 1
    assert labels["atrial_fibrillation"].tolist() == [0, 0]
    assert sorted(frame.age) == [78, 89]


def test_welltory_frames_are_brought_to_an_even_grid(excerpt):
    report, store = excerpt("welltory")
    assert report.assumed_participants == ("welltory",)
    assert report.jitter["welltory"].max > 0.05
    assert report.dropped_seconds["gaps"] > 0  # a gap of 613 ms
    assert store.contract("ppg").channels == ("R", "G", "B")
    assert np.isfinite(store.read(store.rows())).all()


def test_heartpy_times_of_every_kind(excerpt):
    report, _ = excerpt("heartpy")
    assert {name: source.recordings for name, source in report.sources.items()} == {
        "heartpy_plain": 1, "heartpy_timer": 1, "heartpy_dates": 1, "heartpy_ecg": 1,
    }  # fmt: skip
    assert report.jitter["heartpy_timer"].max < 1e-6
    assert 0.001 < report.jitter["heartpy_dates"].max < 0.2


def test_nih_follow_ups_are_studies_in_their_order(excerpt):
    report, store = excerpt("cxr_nih1000")
    frame = store.records.to_pandas().merge(store.record_labels, on="record")
    own = frame[frame.participant == frame.participant.mode()[0]].sort_values("time")
    assert (own.time.tolist(), own.study.nunique()) == ([0, 1], 2)
    assert own[["Cardiomegaly", "Emphysema", "Hernia"]].to_numpy().tolist() == [
        [1, 0, 0],
        [1, 1, 0],
    ]
    assert report.studies.images_only == 3
    assert sorted(store.participants["sex"]) == ["F", "M"]
    assert store.contract("radiograph").edge == 64


def test_kermany_children_and_their_kinds_of_pneumonia(excerpt):
    report, store = excerpt("cxr_kermany_pneumonia")
    labels = store.record_labels.sort_values("kind")
    assert labels["kind"].tolist() == ["bacterial", "normal", "viral"]
    assert labels["pneumonia"].tolist() == [1, 0, 1]
    assert report.participants == report.studies.images_only == 3
    assert {max(shape) for shape in store.column("shape")} == {128}


def test_hannover_values_beyond_the_limits_are_numbers(excerpt):
    report, store = excerpt("cxr_hannover_labs")
    frame = store.records.to_pandas().merge(store.record_labels, on="record")
    assert frame["po2"].min() == -np.inf
    assert frame["d_dimer"].max() == np.inf
    assert frame["crp"].isna().sum() == 1
    # admission_offset 0 and -27: the second image was made 27 days after admission.
    own = frame[frame.participant == frame.participant.mode()[0]].sort_values("time")
    assert own.time.tolist() == [0, 27]
    assert own["d_dimer"].iloc[0] == np.inf
    assert report.views == {"PA": 3}
    assert report.labels_unreadable == report.label_conflicts == {}


def test_questions_about_one_image_are_its_report(excerpt):
    report, store = excerpt("vqa_rad")
    assert report.studies.model_dump() == {"complete": 2, "images_only": 0, "reports_only": 0}
    assert report.ledger == {"not_a_recording": 3, "not_listed": 1}  # one image is of a head
    texts = [str(store.read_record(int(row))) for row in store.rows(modality="report")]
    assert any("Is this a solid or cystic lesion? Solid\nFINDINGS: " in text for text in texts)


NOTES = "file,group,offset,view,label,age,sex,source_site,clinical_notes\n"


def test_covid_notes_meet_their_images(tmp_path, monkeypatch):
    from PIL import Image

    folder = tmp_path / "data" / "cxr_covid_text"
    (folder / "images").mkdir(parents=True)
    rows = ("a,7,3,PA,covid19,50,F", "b,7,10,AP Supine,covid19,50,F", "c,8,,L,other,,")
    for seed, row in enumerate(rows):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 30), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{row[0]}.jpg")
    lines = [f"images/{row[0]}.jpg{row[1:]},site,Fever and cough.\n" for row in rows]
    (folder / "metadata.csv").write_text(NOTES + "".join(lines))
    report, store = run("cxr_covid_text", tmp_path / "data", tmp_path, monkeypatch=monkeypatch)
    assert report.studies.complete == 3
    assert report.views == {"PA": 1, "AP supine": 1, "lateral": 1}
    frame = store.records.to_pandas()
    assert (frame.groupby("study").time.nunique(dropna=False) == 1).all()
    assert sorted(frame.time.dropna()) == [0, 0, 7, 7]
    assert frame.groupby("modality").content_digest.nunique().to_dict() == {
        "radiograph": 3, "report": 1,
    }  # fmt: skip


OPENI = """<eCitation><AbstractText Label="FINDINGS">Large left effusion.</AbstractText>
<MeSH><major>Pleural Effusion/left/large</major><major>Opacity/lung</major></MeSH></eCitation>"""


def test_open_i_labels_of_two_kinds(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "openi_reports_text" / "ecgen-radiology"
    folder.mkdir(parents=True)
    (folder / "1.xml").write_text(OPENI)
    (folder / "2.xml").write_text("<eCitation></eCitation>")
    report, store = run("openi_reports_text", tmp_path / "data", tmp_path, monkeypatch=monkeypatch)
    assert report.ledger == {"empty_report": 1}
    (labels,) = store.record_labels.dropna(axis=1).to_dict("records")
    assert labels == {
        "Effusion": 1, "mesh_effusion": 1, "mesh_opacity": 1, "mesh_normal": 0,
        "mesh_cardiomegaly": 0, "mesh_atelectasis": 0, "mesh_nodule": 0,
    }  # fmt: skip


EXPECTED = {
    "ppg_bp": (131, 393, {"not_a_recording": 2}, {"age": 131, "sex": 131}),
    "bidmc": (13, 1536, {"not_a_recording": 38}, {"age": 12, "sex": 12}),
    "ecg_id": (54, 358, {"not_a_recording": 189, "wrong_checksum": 14}, {"age": 54, "sex": 54}),
    "mitdb": (22, 3960, {"not_a_recording": 3}, {"age": 22, "sex": 22}),
    "ludb": (120, 120, {"not_a_recording": 1446}, {"age": 120, "sex": 120, "ischemia": 120}),
    "cinc2017": (1500, 4805, {"not_a_recording": 2}, {}),
    "cinc2021": (50, 50, {"not_a_recording": 1}, {"age": 50, "sex": 50}),
    "welltory": (21, 162, {"not_a_recording": 25}, {}),
    "heartpy": (6, 237, {"not_a_recording": 26}, {}),
    "cxr_nih1000": (156, 601, {"not_a_recording": 2}, {"sex": 156}),
    "cxr_kermany_pneumonia": (450, 578, {"not_a_recording": 2}, {}),
    "cxr_hannover_labs": (44, 144, {"not_a_recording": 4}, {"sex": 44}),
    "cxr_covid_text": (37, 170, {"not_a_recording": 88}, {}),
    "vqa_rad": (107, 214, {"not_a_recording": 306, "not_listed": 198}, {}),
    "openi_reports_text": (3927, 3927, {"empty_report": 28}, {}),
    "wfdb_samples": (
        5,
        324,
        {
            "inconsistent_leads": 2,
            "missing_data_file": 1,
            "not_a_recording": 23,
            "unreadable_header": 1,
        },
        {"age": 1, "sex": 1},
    ),
}
"""Participants, records, ledger, and for how many participants labels are known."""


@pytest.mark.slow
@pytest.mark.skipif(WHOLE is None, reason="MEDSSL_DATA is not set: only excerpts are tested")
@pytest.mark.parametrize("name", CONFIGS)
def test_the_whole_set_gives_the_counts_of_its_readme(name, tmp_path, monkeypatch):
    report, store = run(name, WHOLE, tmp_path, monkeypatch=monkeypatch)
    participants, records, ledger, labels = EXPECTED[name]
    assert (report.participants, report.records) == (participants, records)
    assert report.ledger == ledger
    assert {label: store.participants[label].notna().sum() for label in labels} == labels
    assert report.label_conflicts == report.labels_unreadable == {}
    if name == "ludb":
        found = store.participants[["hypertrophy", "ischemia", "conduction", "pacing"]].sum()
        assert found.tolist() == [88, 32, 35, 4]
        assert store.participants["atrial_fibrillation"].sum() == 9
    if name == "mitdb":
        beats = store.record_labels.filter(like="beats_").sum()
        every = pd.Series({"n": 45866, "s": 944, "v": 3788, "f": 415, "q": 8}).add_prefix("beats_")
        # The last 5.6 s of each half hour are in no segment.
        assert beats.between(0.985 * every, every).all()
    if name == "cinc2017":
        rhythm = store.records.to_pandas().drop_duplicates("recording").record
        counts = store.record_labels["rhythm"].reindex(rhythm).value_counts().to_dict()
        assert counts == {"normal": 759, "other": 448, "af": 209, "noisy": 84}
    if name == "cxr_nih1000":
        assert report.views == {"PA": 379, "AP": 222}
        findings = store.record_labels[["Effusion", "Infiltration", "Hernia"]].sum()
        assert findings.tolist() == [98, 109, 1]
    if name == "cxr_hannover_labs":
        assert store.record_labels[["crp", "po2", "ldh"]].notna().sum().tolist() == [107, 104, 75]
        assert np.isinf(store.record_labels["d_dimer"]).sum() == 7
    if name in ("cxr_covid_text", "vqa_rad"):
        assert report.studies.model_dump() == {
            "complete": records // 2, "images_only": 0, "reports_only": 0,
        }  # fmt: skip
    if name == "openi_reports_text":
        assert store.record_labels["mesh_normal"].sum() == 1363
