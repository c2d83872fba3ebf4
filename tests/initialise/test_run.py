from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from medssl.cli import cli
from medssl.errors import ConfigError, MedsslError
from medssl.ingest import ingest
from medssl.ingest.config import IngestConfig
from medssl.initialise import initialise
from medssl.initialise.tables import read_tables
from medssl.sampling.splits import TRAIN, assign_splits
from medssl.stages.pipeline import Pipeline
from medssl.store.schema import PARTICIPANT

PPG = ("modality=ppg", "units=counts", "rate_in=1000")
ECG = ("channels=ECG I filtered",)


def test_a_plain_folder_needs_no_answer(init, wfdb_folder, tmp_path):
    said = init(wfdb_folder)
    assert "24 WFDB recordings" in said
    assert "12 participants with 2 recordings each" in said
    assert "II (mV, 250 Hz, ecg)" in said
    assert "8 s each" in said
    assert "age (number, 0 missing), sex (words, 0 missing)" in said
    assert f"medssl run {tmp_path / 'out.yaml'}" in said


def test_the_written_file_runs_to_the_end(init, wfdb_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    init(wfdb_folder)
    overrides = [
        "pretrain.steps=2", "pretrain.log_every=1", "embed.untrained_seeds=1",
        "tracking.enabled=false", "ingest.workers=1", "pretrain.accelerator=cpu",
    ]  # fmt: skip
    steps = Pipeline(tmp_path / "out.yaml", overrides).run()
    assert [step.stage for step in steps][:4] == ["ingest", "reduce", "pretrain", "embed"]
    folders = {step.stage: step.folder for step in steps}
    assert (folders["audit"] / "audit.html").is_file()
    assert (folders["release"] / "bundle" / "card.md").is_file()
    assert steps[0].summary["participants"] == 12


@pytest.mark.parametrize(
    ("sample", "answers", "participants", "recordings"),
    # Five files of ecg_id hold lost blocks, which no header tells.
    [("ppg_bp", PPG, 131, 393), ("ecg_id", ECG, 54, 126)],
)
def test_what_is_said_is_what_ingest_does(
    sample, answers, participants, recordings, init, tmp_path, request
):
    said = init(request.getfixturevalue(sample), *answers)
    pipeline = Pipeline(tmp_path / "out.yaml", ["ingest.quality=false", "ingest.workers=1"])
    config = pipeline.configs["ingest"]
    assert isinstance(config, IngestConfig)
    report = ingest(config, tmp_path / "store")
    assert report.participants == participants
    assert report.sources[config.sources[0].name].recordings == recordings
    lost = 0 if sample == "ppg_bp" else 10
    assert report.ledger.get("wrong_checksum", 0) == lost
    assert set(report.ledger) - {"wrong_checksum"} == {"not_a_recording"}
    assert report.participants_without_labels == 0
    assert not report.labels_unreadable

    from medssl.store import Store

    store = Store.open(tmp_path / "store")
    splits = assign_splits(store.participants, pipeline.config.split)
    told = re.search(r"participants (\d+) train, (\d+) validation, (\d+) test", said)
    counts = [
        sum(one == name for one in splits.values()) for name in ("train", "validation", "test")
    ]
    assert told is not None
    assert [int(count) for count in told.groups()] == counts
    # A full batch of pairs remains: each of its participants has two segments.
    rows = store.column(PARTICIPANT)
    names, segments = np.unique(rows, return_counts=True)
    full = sum(splits[n] == TRAIN and k >= 2 for n, k in zip(names, segments, strict=True))
    assert 2 <= pipeline.configs["pretrain"].batch_size <= full
    assert list(store.participants["age"].notna())
    targets = [target.name for target in pipeline.configs["probe"].targets]
    assert targets == ["age", "sex"]
    assert set(store.participants["sex"]) == {"F", "M"}


def test_text_asks_for_what_it_does_not_say(init, ppg_bp, tmp_path):
    with pytest.raises(ConfigError) as caught:
        init(ppg_bp)
    said = str(caught.value)
    assert said.startswith("3 things")
    for flag in ("--set modality=ppg", "--set units=counts", "--set rate_in=125"):
        assert flag in said
    assert "131 participants with 3 recordings each" in said
    assert not (tmp_path / "out.yaml").exists()
    with pytest.raises(ConfigError, match="1 thing cannot") as caught:
        init(ppg_bp, *PPG[:2])
    assert "--set rate_in=" in str(caught.value)
    assert "--set modality=ppg --set units=counts --set rate_in=125" in str(caught.value)


def test_two_filterings_of_one_lead_are_not_chosen_between(init, ecg_id):
    with pytest.raises(ConfigError, match="several could be meant") as caught:
        init(ecg_id)
    assert "--set channels='ECG I'    in 131 of 131, mV, ecg" in str(caught.value)


def test_every_section_explains_itself(init, ppg_bp, tmp_path):
    init(ppg_bp, *PPG)
    text = (tmp_path / "out.yaml").read_text()
    loaded = yaml.safe_load(text)
    stages = ["ingest", "reduce", "pretrain", "embed", "probe", "audit", "release"]
    assert list(loaded["stages"]) == stages
    assert "configs/apple_ppg.yaml" in text
    assert "configs/apple_ecg.yaml" in text
    assert text.count("#") > 20
    # Further columns wait to be uncommented.
    assert '# diabetes: "Diabetes"    # words' in text
    uncommented = text.replace('# diabetes: "Diabetes"', 'diabetes: "Diabetes"')
    (tmp_path / "more.yaml").write_text(uncommented)
    source = Pipeline(tmp_path / "more.yaml").configs["ingest"].sources[0]
    assert source.labels[0].columns["diabetes"] == "Diabetes"


def test_identifiers_are_not_echoed(init, tmp_path, write_wfdb):
    for name in ("Lovelace", "Hopper", "Noether", "Curie", "Meitner"):
        for visit in (1, 2):
            write_wfdb(tmp_path / "x" / name / f"{name}_{visit}", comments=[f"{name} came late: 3"])
    with pytest.raises(ConfigError) as asked:
        init(tmp_path / "x")
    said = init(tmp_path / "x", "participant=folder")
    for text in (str(asked.value), said):
        assert "5 participants with 2 recordings each" in text
        assert not re.search("Lovelace|Hopper|Noether|Curie|Meitner", text)


def test_a_file_is_replaced_only_when_told_to(init, wfdb_folder, tmp_path):
    init(wfdb_folder)
    (tmp_path / "out.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="--overwrite"):
        init(wfdb_folder)
    assert (tmp_path / "out.yaml").read_text() == "mine"
    init(wfdb_folder, overwrite=True)
    Pipeline(tmp_path / "out.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        init(wfdb_folder, output=tmp_path)


def test_the_default_file_and_outputs_stay_out_of_the_recordings(
    wfdb_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    initialise(wfdb_folder, None)
    assert Pipeline(tmp_path / "hearts.yaml").root == tmp_path / "medssl-runs"
    monkeypatch.chdir(wfdb_folder)
    initialise(Path(), None)
    assert not Pipeline(Path("hearts.yaml")).root.is_relative_to(wfdb_folder)


def test_nothing_to_read_is_said_in_one_line(tmp_path):
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.mkdir()
    other.mkdir()
    (other / "a.edf").write_bytes(b"0       " + b" " * 300)
    (other / "b.bin").write_bytes(b"%PDF-1.4")
    (other / "c.csv").write_text("who,what\nme,you\n")
    runner = CliRunner()
    for folder, words in (
        (tmp_path / "absent", "does not exist"),
        (empty, "holds no file"),
        (other, r"found: 1 EDF file \(.*unreadable_header.*\), 1 \.csv file \(words\), 1 PDF"),
    ):
        with pytest.raises(MedsslError, match=words) as caught:
            initialise(folder, tmp_path / "out.yaml")
        assert "\n" not in str(caught.value)
        result = runner.invoke(cli, ["init", str(folder)])
        assert isinstance(result.exception, MedsslError)
    assert not (tmp_path / "out.yaml").exists()


def test_damaged_recordings_are_counted_by_reason(init, wfdb_folder):
    heads = sorted(wfdb_folder.rglob("*.hea"))
    heads[0].with_suffix(".dat").unlink()
    heads[1].write_text("")
    data = heads[5].with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:-100])
    said = init(wfdb_folder)
    for words in ("missing_data_file: 1", "empty_file: 1", "wrong_byte_count: 1"):
        assert words in said


def test_too_few_participants_are_refused(init, tmp_path, write_wfdb):
    for person in range(3):
        for visit in (1, 2):
            write_wfdb(tmp_path / "few" / f"subject_{person}" / f"rec_{visit}", seed=person)
    with pytest.raises(ConfigError, match="3 of 3 participant.* at least 4"):
        init(tmp_path / "few")


def test_only_a_sample_of_many_recordings_is_opened(init, ppg_bp, monkeypatch):
    opened = set()
    real = Path.open

    def counting(self, *args, **kwargs):
        if self.parent.name == "0_subject":
            opened.add(self)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", counting)
    said = init(ppg_bp, *PPG)
    assert "first lines of 40 of 393" in said
    assert 40 <= len(opened) <= 48


def test_a_table_that_cannot_be_used_is_mentioned(tmp_path):
    (tmp_path / "a.csv").write_text("A00001,N\nA00002,O\nA00003,N\n")
    (tmp_path / "b.xlsx").write_bytes(b"no workbook")
    tables, notes = read_tables(tmp_path, ["a.csv", "b.xlsx"])
    assert not tables
    assert len(notes) == 2
    assert "no row with column names" in notes[0]
