from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from medssl.bundle import load_encoder
from medssl.errors import ConfigError
from medssl.ingest import ingest
from medssl.ingest.config import IngestConfig
from medssl.sampling.splits import assign_splits
from medssl.stages.pipeline import Pipeline
from medssl.store import Store
from medssl.store.schema import MODALITY, PARTICIPANT, STUDY, VIEW
from tests.initialise.radiographs.conftest import (
    words,
    write_dicom,
    write_image,
    write_report,
    write_table,
)

STAGES = ["ingest", "pretrain", "embed", "zero_shot", "probe", "audit", "release"]


def source(tmp_path: Path, place: int = 0) -> dict:
    return yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]["ingest"]["sources"][place]


def stage(tmp_path: Path, name: str) -> dict:
    return yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"][name]


def stored(tmp_path: Path) -> Store:
    """What the written file ingests."""
    pipeline = Pipeline(tmp_path / "out.yaml", ["ingest.workers=1"])
    config = pipeline.configs["ingest"]
    assert isinstance(config, IngestConfig)
    ingest(config, tmp_path / "store")
    return Store.open(tmp_path / "store")


def test_images_and_a_table_of_reports_need_no_answer(init, nih, tmp_path):
    said = init(nih)
    assert "images: 128 PNG files" in said
    assert "58 participants with 1 to 4 images each" in said
    assert "128 studies have images and a report (100% of the images, 100% of the reports)" in said
    written = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]
    assert list(written) == STAGES
    images, reports = written["ingest"]["sources"]
    assert images["cohort"] == reports["cohort"] == "chests"
    assert images["edge"] == 64
    assert images["manifest"]["view"] == "view"
    assert images["manifest"]["time_unit"] == "order"
    assert images["labels"]["columns"] == {"sex": "sex"}
    assert reports["rows"] == {"participant": "participant", "study": "study"}
    assert reports["sections"] == {"findings": "findings", "impression": "impression"}
    assert written["pretrain"]["method"] == "convirt"
    assert written["pretrain"]["pairs"] == {"level": "study", "partner": "report"}
    assert written["zero_shot"]["findings"]["cardiomegaly"] == "cardiomegaly"
    target = written["probe"]["targets"][0]
    assert (target["kind"], target["level"]) == ("multilabel", "record")
    assert {"effusion", "atelectasis"} <= set(target["columns"])


def test_what_is_said_is_what_ingest_does(init, nih, tmp_path):
    said = init(nih)
    store = stored(tmp_path)
    kinds = store.column(MODALITY).tolist()
    assert (kinds.count("radiograph"), kinds.count("report")) == (128, 128)
    assert len(store.participants) == 58
    assert set(store.column(VIEW)) == {"PA", "AP", None}
    pipeline = Pipeline(tmp_path / "out.yaml")
    splits = list(assign_splits(store.participants, pipeline.config.split).values())
    told = re.search(r"participants (\d+) train, (\d+) validation, (\d+) test", said)
    assert told is not None
    counts = [splits.count(name) for name in ("train", "validation", "test")]
    assert [int(count) for count in told.groups()] == counts
    assert 2 <= pipeline.configs["pretrain"].batch_size <= counts[0]


@pytest.mark.parametrize(
    ("answer", "method"),
    [("modality=radiograph", "simclr"), ("modality=report", "masked_language")],
)
def test_one_side_alone_is_taken_when_told(init, nih, tmp_path, answer, method):
    init(nih, answer)
    written = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]
    assert written["pretrain"]["method"] == method
    assert len(written["ingest"]["sources"]) == 1
    assert "zero_shot" not in written
    store = stored(tmp_path)
    assert len(store.participants) == 58
    assert len(store) == 128


def test_the_written_file_runs_to_the_end(init, mimic, tmp_path):
    init(mimic)
    overrides = [
        "pretrain.steps=2", "pretrain.log_every=1", "embed.untrained_seeds=1",
        "tracking.enabled=false", "ingest.workers=1", "pretrain.accelerator=cpu",
        "pretrain.partner.encoder.depth=1",
    ]  # fmt: skip
    steps = Pipeline(tmp_path / "out.yaml", overrides).run()
    assert steps[0].summary["participants"] == 12
    assert next(one for one in steps if one.stage == "pretrain").summary["studies"] > 0
    done = {one.stage: one for one in steps}
    assert (done["audit"].folder / "audit.html").is_file()
    assert load_encoder(done["release"].folder / "bundle").contract.modality == "radiograph"


def test_names_as_in_mimic_tell_people_and_studies(init, mimic, tmp_path):
    said = init(mimic)
    assert "text of the MIMIC kind" in said
    assert "named as in MIMIC-CXR" in said
    assert source(tmp_path, 1)["layout"] == "mimic"
    store = stored(tmp_path)
    assert len(store.participants) == 12
    pairs = {(p, s) for p, s in zip(store.column(PARTICIPANT), store.column(STUDY), strict=True)}
    assert len(pairs) == 24
    assert len(store) == 72


def test_folders_of_people_and_visits_with_plain_text(init, tmp_path):
    folder = tmp_path / "clinic"
    for person in range(8):
        for visit in range(2):
            home = folder / f"subject_{person:02d}" / f"visit_{visit}"
            for place, view in enumerate(("frontal", "lateral")):
                write_image(home / f"chest_{view}.png", 10 * person + 4 * visit + place)
            (home / "report.txt").write_text(" ".join(words(2 * person + visit)))
    said = init(folder)
    assert "8 participants with 4 images each" in said
    assert "16 studies have images and a report" in said
    assert "views: a word in the names" in said
    images, reports = source(tmp_path), source(tmp_path, 1)
    assert images["study"] == reports["study"] == {"from_parent": True}
    # Encoders read findings and impression, and these texts have no headers.
    assert reports["section"] == "findings"
    store = stored(tmp_path)
    assert len(store.participants) == 8
    assert set(store.column(VIEW)) == {"frontal", "lateral", None}


def test_open_i_is_known_by_its_names(init, tmp_path):
    folder = tmp_path / "indiana"
    for person in range(1, 9):
        for place in (1, 2):
            write_image(
                folder / f"png/CXR{person}_IM-00{person}-{place}001.png", 2 * person + place
            )
        findings, impression = words(person)
        (folder / "xml").mkdir(exist_ok=True)
        (folder / f"xml/{person}.xml").write_text(
            f'<eCitation><uId id="CXR{person}"/><Abstract>'
            f'<AbstractText Label="FINDINGS">{findings}</AbstractText>'
            f'<AbstractText Label="IMPRESSION">{impression}</AbstractText></Abstract></eCitation>'
        )
    said = init(folder)
    assert "XML of the Open-I kind" in said
    assert "8 studies have images and a report" in said
    assert len(stored(tmp_path).participants) == 8
    init(folder, "format=report")
    assert source(tmp_path)["layout"] == "openi"
    assert "cohort" not in source(tmp_path)


def test_whose_flat_files_are_is_asked(init, tmp_path):
    folder = tmp_path / "flat"
    for person in range(6):
        for visit in range(2):
            write_report(folder / f"A{person:02d}-{visit}.txt", 2 * person + visit)
            for view in ("PA", "LAT"):
                write_image(folder / f"A{person:02d}-{visit}-{view}.png", 7 * person + visit)
    with pytest.raises(ConfigError, match="1 thing cannot") as caught:
        init(folder)
    asked = str(caught.value)
    assert "12 studies have images and a report" in asked
    answer = re.search(r"--set (?:')?participant='?(pattern:\S+?)'    6 participants", asked)
    assert answer is not None
    assert not (tmp_path / "out.yaml").exists()
    init(folder, f"participant={answer[1]}")
    assert len(stored(tmp_path).participants) == 6


@pytest.mark.parametrize("answer", ["study=folder", "modality=report"])
def test_sections_in_another_language_are_read(init, tmp_path, answer):
    folder = tmp_path / "klinik"
    for number in range(12):
        write_image(folder / f"a{number // 2}" / f"s{number}" / "bild.png", number)
        text = f"BEFUND: Herz normal gro\xdf. Kein Erguss.\nBEURTEILUNG: Bild {number} ohne Befund."
        (folder / f"a{number // 2}" / f"s{number}" / "brief.txt").write_bytes(
            text.encode("latin-1")
        )
    said = init(folder, r"participant=pattern:^(?P<participant>a\d+)/", answer)
    assert "12 of 12 reports read in full" in said
    pretrain = stage(tmp_path, "pretrain")
    views = pretrain.get("partner", pretrain)["views"]
    assert views["policy"] == {"missing": "other"}


def test_each_study_may_be_another_participant(init, nih, tmp_path):
    said = init(nih, "participant=file")
    assert "128 participants with 1 image each" in said
    assert len(stored(tmp_path).participants) == 128


def test_names_that_have_nothing_in_common_are_asked_for(init, tmp_path):
    folder = tmp_path / "odd"
    for number in range(6):
        write_image(folder / f"scan{number}.png", number)
        write_report(folder / f"letter{number + 70}.txt", number)
    with pytest.raises(ConfigError, match="2 things cannot") as caught:
        init(folder)
    assert "which report belongs to which image" in str(caught.value)
    assert "--set modality=radiograph" in str(caught.value)
    with pytest.raises(ConfigError, match="fewer than 4 studies have images and one"):
        init(folder, r"study=pattern:scan(?P<study>\d)", "participant=file")
    init(folder, "modality=radiograph", "participant=file")
    assert stage(tmp_path, "pretrain")["pairs"] == {"level": "segment", "min_records": 1}


def test_rows_of_questions_become_one_report(init, tmp_path):
    folder = tmp_path / "asked"
    rows = []
    for number in range(6):
        write_image(folder / f"pictures/syn{number}.png", number)
        rows += [
            {"qid": 3 * number + k, "image_name": f"syn{number}.png", "answer": "yes",
             "question": f"{words(number)[0]} Is that so for the {k}?"}
            for k in range(3)
        ]  # fmt: skip
    write_table(folder / "questions.csv", rows)
    with pytest.raises(ConfigError, match="whose an image is"):
        init(folder)
    init(folder, "participant=file")
    images, reports = source(tmp_path), source(tmp_path, 1)
    assert images["path"] == str(folder / "pictures")
    assert images["manifest"]["table"] == "../questions.csv"
    assert reports["rows"]["several"] == "join"
    assert reports["text"] == ["question"]
    store = stored(tmp_path)
    assert len(store) == 12
    assert len(store.participants) == 6
    init(folder, "participant=file", "text=question,answer")
    assert source(tmp_path, 1)["text"] == ["question", "answer"]


def test_headers_of_dicom_files_tell_all(init, tmp_path):
    folder = tmp_path / "pacs"
    for number in range(16):
        person = number // 2
        write_dicom(
            folder / f"IM{number:04d}", number, PatientID=f"Z{person}", PatientSex="FM"[person % 2],
            PatientAge=f"{40 + person:03d}Y", StudyInstanceUID=f"1.2.{number}", ViewPosition="PA",
            StudyDate="20200101", **({"BurnedInAnnotation": "YES"} if number == 3 else {}),
        )  # fmt: skip
    said = init(folder)
    assert "16 DICOM files" in said
    assert "8 participants with 2 images each (PatientID of the headers" in said
    assert "burned-in text: 1 of 16 headers say so" in said
    assert "DX 16" in said
    assert not re.search(r"Z\d", said)
    told = source(tmp_path)
    assert told["include"] == ["**"]
    assert told["participant"] == told["study"] == told["view"] == {"header": True}
    store = stored(tmp_path)
    assert len(store.participants) == 8
    assert len(store) == 15
    assert set(store.participants["sex"]) == {"F", "M"}
    assert "left out" not in said
    write_image(folder / "note.png")
    assert "left out: 1 PNG, JPEG or TIFF file (--set format=image" in init(folder)
    init(folder, "burned_in=keep")
    assert source(tmp_path)["display"] == {"burned_in": "keep"}


def test_slices_are_not_taken_for_radiographs(init, tmp_path):
    for number in range(20):
        told = {"Modality": "DX" if number < 8 else "CT", "PatientID": f"{number // 2}"}
        write_dicom(tmp_path / f"ct/{number}.dcm", number, **told)
    with pytest.raises(ConfigError, match="reads no volumes") as caught:
        init(tmp_path / "ct")
    assert "CT 12" in str(caught.value)
    for answer, records in (("refuse", 8), ("keep", 20)):
        init(tmp_path / "ct", f"other_modalities={answer}")
        assert source(tmp_path)["display"] == {"other_modalities": answer}
        assert len(stored(tmp_path)) == records


def test_a_few_slices_among_radiographs_are_told_and_left_out(init, tmp_path):
    for number in range(16):
        write_dicom(
            tmp_path / f"mixed/{number}.dcm", number, PatientID=f"{number // 2}",
            Modality="MR" if number in {3, 9} else "DX",
        )  # fmt: skip
    said = init(tmp_path / "mixed")
    assert "no radiographs: 2 of 16 headers say so; refused unless" in said
    assert "display" not in source(tmp_path)
    store = stored(tmp_path)
    assert len(store) == 14
    assert store.ledger["reason"].to_pylist() == ["other_modality"] * 2


def test_colours_are_told_and_converted_when_asked(init, tmp_path):
    import numpy as np
    from PIL import Image

    folder = tmp_path / "colours"
    folder.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"person{number // 2}_{number % 2}.png")
    with pytest.raises(ConfigError, match="--set colour=convert"):
        init(folder)
    said = init(folder, "colour=convert")
    assert "saved as colour pictures: 8 of 8" in said
    assert source(tmp_path)["display"] == {"colour": "convert"}


def test_edge_and_views_follow_the_images_and_the_answers(init, tmp_path):
    folder = tmp_path / "large"
    for number in range(8):
        write_image(folder / f"patient{number // 2}_{number % 2}.png", number, size=(400, 300))
    init(folder)
    assert source(tmp_path)["edge"] == 256
    assert stage(tmp_path, "pretrain")["views"] == {"size": 224}
    assert "view" not in source(tmp_path)
    init(folder, "edge=96", "view=AP", "study=file")
    assert source(tmp_path)["edge"] == stage(tmp_path, "pretrain")["views"]["size"] == 96
    assert source(tmp_path)["view"] == "AP"
    assert source(tmp_path)["study"] == {"each_recording": True}


def test_answers_of_the_other_kind_of_data_are_refused(init, nih, tmp_path):
    with pytest.raises(ConfigError, match="images and reports have none"):
        init(nih, "rate_in=100")
    with pytest.raises(ConfigError, match="no such header"):
        init(nih, "participant=header")
    with pytest.raises(ConfigError, match="no column 'pation'"):
        init(nih, "participant=column:pation")
    with pytest.raises(ConfigError, match="no table in the folder has these columns"):
        init(nih, "text=prose")
    with pytest.raises(ConfigError, match="names no view"):
        init(nih, "view=column:age")
    assert not (tmp_path / "out.yaml").exists()


def test_numbers_in_text_are_signals_and_sentences_are_reports(init, tmp_path):
    for number in range(6):
        write_report(tmp_path / f"words/subject{number // 2}_{number % 2}.txt", number)
        path = tmp_path / f"numbers/subject{number // 2}_{number % 2}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(f"{(7 * k) % 19 / 10}" for k in range(2000)))
    with pytest.raises(ConfigError, match="rate_in"):
        init(tmp_path / "numbers")
    with pytest.raises(ConfigError, match=r"3 of 3 participant.*at least 4"):
        init(tmp_path / "words")
    both = tmp_path / "both"
    both.mkdir()
    for number in range(6):
        write_image(both / f"figure{number}.png", number)
        (both / f"subject{number // 2}_{number % 2}.txt").write_text(
            (tmp_path / f"numbers/subject{number // 2}_{number % 2}.txt").read_text()
        )
    with pytest.raises(ConfigError, match="signals and images or reports are there") as caught:
        init(both)
    assert "--set format=text    6 recordings" in str(caught.value)
    assert "--set format=image    6 files" in str(caught.value)


def test_identifiers_and_texts_are_not_echoed(init, tmp_path):
    folder = tmp_path / "named"
    people = ("Lovelace", "Hopper", "Noether", "Curie", "Meitner")
    for place, name in enumerate(people):
        for visit in (1, 2):
            write_image(folder / name / f"{name}_{visit}.png", 2 * place + visit)
            write_report(folder / name / f"{name}_{visit}.txt", 2 * place + visit)
    with pytest.raises(ConfigError) as asked:
        init(folder)
    said = init(folder, "participant=folder")
    for text in (str(asked.value), said, (tmp_path / "out.yaml").read_text()):
        assert "5 participants with 2 images each" in text
        assert not re.search("|".join(people), text)
        assert "degrees of nothing" not in text


def test_only_headers_of_a_sample_are_opened(init, nih, monkeypatch):
    from PIL import Image

    opened = []
    real = Image.open

    def counting(file, *args, **kwargs):
        opened.append(file)
        return real(file, *args, **kwargs)

    monkeypatch.setattr("medssl.initialise.radiographs.image_look.MAX_HEADERS", 10)
    monkeypatch.setattr(Image, "open", counting)
    said = init(nih)
    assert "looked at the headers of 10 of 128" in said
    assert len(opened) == 20  # and as many are tried in full


def test_a_table_of_bare_names_confirms_participants_and_gives_labels(init, tmp_path):
    folder = tmp_path / "parts"
    rows = []
    for number in range(24):
        name = f"{number // 2 + 1:08d}_{number % 2:03d}.png"
        write_image(folder / f"images_{number % 3}" / name, number)
        found = ("Mass", "Mass|Edema")[number % 2]
        person = number // 2 + 1
        rows.append({"Image Index": name, "Finding Labels": found, "Patient ID": person,
                     "Patient Sex": "MF"[person % 2]})  # fmt: skip
    write_table(folder / "entries.csv", rows)
    said = init(folder)
    assert "lists 24 of 24 by bare names" in said
    assert "12 participants with 2 images each" in said
    store = stored(tmp_path)
    assert len(store.participants) == 12
    assert sorted(store.record_labels["edema"].dropna().unique()) == [0.0, 1.0]
    assert set(store.participants["sex"]) == {"F", "M"}
