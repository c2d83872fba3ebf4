"""Reports from files and tables to the store, and what is refused on the way."""

from __future__ import annotations

import numpy as np
import pytest

from medssl.errors import ConfigError, IngestError
from medssl.ingest import ingest
from medssl.ingest.reports import table
from medssl.store import Store, verify

REPORT = {"format": "report"}
TABLE = {
    "format": "report_table",
    "rows": {"participant": "who", "study": "study"},
    "text": "text",
    "section": "findings",
}
OPENI = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR7"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText>
<AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation>
<MeSH><major>Cardiomegaly/mild</major><major>Pleural Effusion/left</major></MeSH></eCitation>"""
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "{}">{}]><a><AbstractText>&z;</AbstractText></a>'
)


@pytest.fixture
def run(tmp_path, chest_config):
    def read(*sources, store="store", **top):
        report = ingest(chest_config(tmp_path / "raw", *sources, **top), tmp_path / store)
        return report, Store.open(tmp_path / store)

    return read


@pytest.fixture
def raw(tmp_path, write_text):
    def write(**texts):
        for name, text in texts.items():
            folder, _, file = name.partition("_")
            write_text(tmp_path / "raw" / folder / file.replace("_", "."), text)

    return write


def ledger(store):
    return {row["path"]: row["reason"] for row in store.ledger.to_pylist()}


def texts(store):
    return sorted(str(store.read_record(int(row))) for row in store.rows(modality="report"))


def test_a_report_is_stored_one_section_a_line(run, raw):
    raw(
        p1_a_txt="Findings: Heart   normal.\n\nIMPRESSION:\n Normal chest.\n",
        p2_b_txt="Clear lungs.",
    )
    report, store = run(REPORT | {"section": "impression"})
    assert texts(store) == [
        "FINDINGS: Heart normal.\nIMPRESSION: Normal chest.",
        "IMPRESSION: Clear lungs.",
    ]
    (row, _) = store.records.to_pylist()
    assert (row["modality"], row["dtype"], row["channels"], row["display"]) == (
        "report", "str", [], None,
    )  # fmt: skip
    assert report.studies.reports_only == 2
    assert report.sources["report0"].encodings == {"utf-8": 2}
    assert verify(store.path, deep=True) == []


def test_sections_of_mimic_are_cut_as_published(run, raw):
    raw(p1_s50_txt="    FINAL REPORT\n FINDINGS: Clear.\n\n IMPRESSON: Normal.\n")
    _, store = run(REPORT | {"layout": "mimic"})
    assert texts(store)[0].splitlines()[-2:] == ["FINDINGS: Clear.", "IMPRESSION: Normal."]


def test_open_i_gives_sections_and_terms_as_labels(run, raw):
    raw(
        p1_a_xml=OPENI.format(findings="Heart enlarged. No effusion.", impression="Possible edema.")
    )
    source = REPORT | {
        "layout": "openi",
        "include": "**/*.xml",
        "labels": [
            {"findings": {"Effusion": "effusion", "Edema": "edema", "Heart": "cardiomegaly"}},
            {"findings": ["no finding"], "level": "participant", "uncertain": "present"},
            {"level": "record", "contains": {
                "coded_effusion": {
                    "comment": "MeSH", "any_of": "Pleural Effusion*", "separator": "; ",
                    "blank": "absent",
                },
                "coded_mass": {
                    "comment": "MeSH", "any_of": "Mass*", "separator": "; ", "blank": "absent",
                },
            }},
        ],
    }  # fmt: skip
    report, store = run(source)
    assert texts(store) == [
        "COMPARISON: None.\nFINDINGS: Heart enlarged. No effusion.\nIMPRESSION: Possible edema."
    ]
    (labels,) = store.record_labels.to_dict("records")
    assert np.isnan(labels.pop("Edema"))  # in doubt: neither present nor absent
    assert labels == {"Effusion": 0, "Heart": 1, "coded_effusion": 1, "coded_mass": 0}
    assert store.participants["no finding"].tolist() == [0]
    assert report.label_conflicts == {}


def test_findings_of_a_report_label_the_images_of_its_study(tmp_path, run, raw, write_image):
    raw(p1_a_txt="FINDINGS: There is cardiomegaly.", p1_b_txt="FINDINGS: Heart size is normal.")
    for seed, name in enumerate(("a.1", "a.2", "b.1", "c.1")):
        write_image(tmp_path / "raw" / "p1" / f"{name}.png", seed=seed)
    rule = {"findings": "cardiomegaly", "level": "session"}
    report, store = run({"format": "image"}, REPORT | {"labels": rule})
    frame = store.records.to_pandas().merge(store.record_labels, on="record", how="left")
    images = frame[frame.modality == "radiograph"]
    assert sorted(images.cardiomegaly.dropna()) == [0, 1, 1]
    assert images.cardiomegaly.isna().sum() == 1  # the image without a report
    assert report.studies.model_dump() == {"complete": 2, "images_only": 1, "reports_only": 0}


def test_bad_reports_are_rows_of_the_ledger(tmp_path, run, raw):
    entities = "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">'
        for before, name in zip("bcdefghij", "cdefghijz", strict=True)
    )
    raw(
        p1_good_xml=OPENI.format(findings="Clear.", impression="Normal."),
        p1_bare_xml=OPENI.format(findings=" ", impression="").replace("None.", ""),
        p1_bomb_xml=BOMB.format("lol" * 10, entities),
        p1_cut_xml=OPENI[:300],
        p1_outside_xml='<!DOCTYPE a [<!ENTITY z SYSTEM "file:///etc/passwd">]><a>&z;</a>',
        p1_none_xml=b"",
        p1_long_xml=b"<a>" + b" " * (5 << 20) + b"</a>",
    )
    report, store = run(REPORT | {"layout": "openi", "include": "**/*.xml"})
    assert ledger(store) == {
        "p1/bare.xml": "empty_report",
        "p1/bomb.xml": "broken_xml",
        "p1/cut.xml": "broken_xml",
        "p1/outside.xml": "broken_xml",
        "p1/none.xml": "empty_file",
        "p1/long.xml": "claims_too_large",
    }
    details = " ".join(row["detail"] for row in store.ledger.to_pylist())
    assert not any(word in details for word in ("lol", "passwd", "Clear", "p1"))
    assert report.records == 1


def test_latin_text_is_read_and_counted_and_binary_is_refused(run, raw):
    raw(
        p1_a_txt="Röntgen: Herz normal groß.".encode("latin-1"),
        p1_b_txt=b"\x00\x01\x02\x03" * 50,
        p1_c_txt=" \n ",
    )
    report, store = run(REPORT)
    assert "Röntgen" in texts(store)[0]
    assert report.sources["report0"].encodings == {"cp1252": 1}
    assert ledger(store) == {"p1/b.txt": "unreadable_data", "p1/c.txt": "empty_report"}


def test_reports_of_one_study_that_differ_are_all_refused(run, raw):
    raw(
        p1_a_1_txt="Clear lungs.", p1_a_2_txt="Pneumonia.", p1_b_1_txt="Normal.",
        p1_b_2_txt="Normal.", p1_c_1_txt="Fine.", p2_d_1_txt="Clear lungs.",
    )  # fmt: skip
    report, store = run(REPORT)
    assert report.ledger == {"several_reports": 2}
    assert set(ledger(store)) == {"p1/a.1.txt", "p1/a.2.txt"}
    assert texts(store) == ["TEXT: Clear lungs.", "TEXT: Fine.", "TEXT: Normal."]
    assert (report.stored_files, report.repeated_reports) == (4, 1)
    again, _ = run(REPORT)
    assert (again.already_stored, again.ledger, again.version) == (4, {"several_reports": 2}, 1)


def test_a_report_that_comes_later_and_differs_is_refused(run, raw):
    raw(p1_a_1_txt="Clear lungs.")
    run(REPORT)
    raw(p1_a_2_txt="Pneumonia.", p1_a_3_txt="Clear  lungs.")
    report, store = run(REPORT)
    assert texts(store) == ["TEXT: Clear lungs."]
    # Of the two that are new one repeats what the store holds; nobody says which of them is right.
    assert report.ledger == {"several_reports": 2}
    (path,) = (store.path.parent / "raw" / "p1").glob("a.2.txt")
    path.unlink()
    report, store = run(REPORT)
    assert (report.ledger, report.already_stored, report.repeated_reports) == ({}, 2, 1)


def test_reports_of_two_sources_are_compared(run, raw):
    raw(p1_a_txt="Clear lungs.", p1_b_txt="Normal.")
    raw(_reports_csv="who,study,text\np1,a,Clear lungs.\np1,b,Pneumonia.\n")
    named = TABLE | {"section": "text"}
    report, store = run(REPORT, named)
    assert texts(store) == ["TEXT: Clear lungs."]
    assert report.ledger["several_reports"] == 2
    assert report.repeated_reports == 1


def test_rows_of_a_table_are_reports(run, raw):
    raw(_reports_csv="who,study,day,text\n1,a,3,Clear.\n1,b,5,Small effusion.\n2,c,1,Clear.\n")
    source = TABLE | {"rows": {**TABLE["rows"], "time": "day"}}
    report, store = run(source)
    assert (report.files, report.stored_files, report.participants) == (3, 3, 2)
    frame = store.records.to_pandas()
    assert sorted(frame.time) == [0, 0, 2]
    assert texts(store)[-1] == "FINDINGS: Small effusion."
    # A row that is added to the table makes no new reports of the others.
    raw(
        _reports_csv="who,study,day,text\n2,d,9,New.\n"
        "1,a,3,Clear.\n1,b,5,Small effusion.\n2,c,1,Clear.\n"
    )
    again, store = run(source)
    assert (again.already_stored, again.records, len(store)) == (3, 1, 4)
    assert sorted(store.column("time")) == [0, 0, 2, 8]


def test_sections_may_have_columns_of_their_own(run, raw):
    raw(_reports_tsv="")
    raw(
        _reports_csv='who,study,f,i\n1,a,"Heart normal,\n lungs clear.",Normal.\n'
        "1,b,,Normal.\n1,c,,\n"
    )
    source = {k: v for k, v in TABLE.items() if k not in ("text", "section")}
    report, store = run(source | {"sections": {"findings": "f", "impression": "i"}})
    assert texts(store) == [
        "FINDINGS: Heart normal, lungs clear.\nIMPRESSION: Normal.", "IMPRESSION: Normal.",
    ]  # fmt: skip
    assert report.ledger == {"empty_report": 1, "not_a_recording": 1}


def test_equal_rows_are_one_report_and_differing_ones_none(run, raw):
    raw(
        _reports_csv="who,study,text\n1,a,Clear.\n1,a,Clear.\n1,a,\n"
        "1,b,Clear.\n1,b,Edema.\n2,c,Clear.\n"
    )
    report, store = run(TABLE)
    assert texts(store) == ["FINDINGS: Clear."] * 2
    assert report.repeated_reports == 1
    assert ledger(store) == {
        "reports.csv#b": "several_reports",
        "reports.csv#b.2": "several_reports",
    }
    joined = TABLE | {"rows": {**TABLE["rows"], "several": "join"}}
    _, other = run(joined, store="joined")
    assert texts(other)[1:] == ["FINDINGS: Clear.", "FINDINGS: Clear.\nFINDINGS: Edema."]


def test_rows_without_a_study_or_participant_and_rows_that_disagree(run, raw):
    rows = [
        "1,a,Clear.,1",
        ",b,Clear.,1",
        "1,,Clear.,1",
        "2,c,Clear.,1",
        "2,c,Clear.,2",
        "3,d,Fine.,1",
    ]
    raw(_reports_csv="\n".join(["who,study,text,day", *rows]))
    _, store = run(TABLE | {"rows": {**TABLE["rows"], "time": "day"}})
    assert ledger(store) == {
        "reports.csv#b": "no_participant",
        "reports.csv#r3": "no_study",
        "reports.csv#c": "rules_disagree",
    }
    assert len(texts(store)) == 2


def test_without_studies_each_row_is_a_report_of_its_own(run, raw):
    raw(_reports_csv="who,text,kind\n1,Clear.,x\n1,Clear.,x\n1,Edema.,y\n2,Edema.,z\n")
    source = TABLE | {"rows": {"participant": "who", "where": {"kind": ["x", "z"]}}}
    report, store = run(source)
    assert len(texts(store)) == 3
    assert store.column("study").tolist() == [None] * 3
    assert report.studies.reports_only == 0


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        (b"", "empty_file", ""),
        ("who,study,text\n1,a,größer\n".encode("latin-1"), "unreadable_text", "no table in UTF-8"),
        (b"who,studie,text\n1,a,b\n", "missing_channel", "did you mean studie"),
        (b"who,study,text\n", "empty_report", "no recording"),
    ],
)
def test_tables_that_hold_no_reports(tmp_path, run, raw, caplog, content, reason, detail):
    raw(p1_good_txt="Clear.", _reports_csv=content)
    _, store = run(REPORT, TABLE)
    told = [one.args for one in caplog.records if one.name.startswith("medssl")]
    assert told == [("report_table1", f"{reason} 1")]
    rows = {row["path"]: row for row in store.ledger.to_pylist() if row["source"] != "report0"}
    assert rows["reports.csv"]["reason"] == reason
    assert detail in rows["reports.csv"]["detail"]


def test_a_table_above_the_limit_is_refused(run, raw, monkeypatch):
    monkeypatch.setattr(table, "MAX_BYTES", 10)
    raw(_reports_csv="who,study,text\n1,a,Clear.\n")
    with pytest.raises(IngestError, match="claims_too_large 1.*above 10 bytes"):
        run(TABLE)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (TABLE | {"sections": {"findings": "f"}}, "either text: its column, or sections"),
        (TABLE | {"section": "Findings!"}, "no name of a section"),
        (TABLE | {"rows": {"participant": "who", "several": "join"}}, "add study"),
        (TABLE | {"rows": {"study": "s"}}, "say how participants are told apart"),
        (REPORT | {"layout": "mimic", "section": "findings"}, "names its own sections"),
        (REPORT | {"labels": {"findings": "edma"}}, "'edma'; did you mean edema"),
        (REPORT | {"modality": "radiograph"}, "radiograph is not a text"),
    ],
)
def test_settings_that_cannot_be_meant(tmp_path, chest_config, source, message):
    with pytest.raises(ConfigError, match=message):
        chest_config(tmp_path, source)
