"""What labels are made of: replaced cells, patterns over comments, lists, keys without zeros."""

from __future__ import annotations

import pytest

from medssl.config import validate
from medssl.errors import ConfigError, IngestError
from medssl.ingest import ingest
from medssl.ingest.label_rules import LabelRule
from medssl.ingest.labels import UNLISTED, Evidence, label_table, translate
from medssl.ingest.tables import read_table
from medssl.store import Store

CONTAINS = {
    "af": {"comment": "Dx", "any_of": [164889003], "blank": "absent"},
    "pacing": {"comment": "Pacing", "any_of": "*", "separator": "\n", "blank": "negative"},
}


def rule(**values):
    return validate(LabelRule, values, where="labels")


def test_replaced_cells_are_read_like_others_and_others_stay():
    ages = rule(
        comments={"age": "Age", "sex": "Sex"},
        replace={"age": {"90+": 90, ">89": 90, -1: ""}, "sex": {"male": "M"}},
        values={"sex": {"M": 0, "F": 1}},
    )
    found = [translate(ages, "age", raw) for raw in ("90+", " >89 ", "-1", "41", "NaN", "95+")]
    assert found == [90.0, 90.0, None, 41.0, None, "95+"]
    assert [translate(ages, "sex", raw) for raw in ("male", "F", "?", "x")] == [
        0.0,
        1.0,
        None,
        UNLISTED,
    ]


@pytest.mark.parametrize("raw", ["90+", ">89", "<5", "40-50", "1,5", "inf", "4_0", "12 years"])
def test_ranges_are_no_numbers(raw):
    texts = rule(comments={"bmi": "BMI", "age": "Age"})
    assert translate(texts, "bmi", raw) == raw
    evidence = Evidence()
    evidence.add("p", texts, {"age": raw, "bmi": raw})
    table, _ = label_table(evidence, ["age", "bmi"], ["p"], known=None)
    assert table.to_pydict() == {"participant": ["p"], "age": [None], "bmi": [raw]}
    assert evidence.unreadable == {"age": 1}


def test_groups_of_a_pattern_are_labels():
    """mitdb: the first comment is "75 F 1011 654 x1", and the others are prose."""
    free = rule(
        pattern=r"^(?P<age>-?\d+) (?P<sex>[MF])( (?P<tape>\d+))?", replace={"age": {-1: ""}}
    )
    assert free.names == ("age", "sex", "tape")
    raw = free.raw_of_comments(("Digoxin", "75 F 1011 654 x1", "80 M"), {})
    assert raw == {"age": "75", "sex": "F", "tape": "1011"}
    assert free.raw_of_comments(("-1 M",), {}) == {"age": "-1", "sex": "M", "tape": ""}
    assert translate(free, "age", "-1") is None
    assert free.raw_of_comments(("nothing",), {}) == {"age": "", "sex": "", "tape": ""}


@pytest.mark.parametrize(
    ("dx", "pacing", "expected"),
    [
        ("164889003,426783006", "Unipolar", (1.0, 1.0)),
        ("426783006, 164889003 ", "", (1.0, 0.0)),
        ("1648890031", "Unknown", (0.0, None)),
        ("", "a\nb", (None, 1.0)),
        ("Unknown", "?", (None, None)),
    ],
)
def test_what_a_list_contains(dx, pacing, expected):
    lists = rule(contains=CONTAINS)
    raw = lists.raw_of_comments((), {"Dx": dx, "Pacing": pacing})
    assert tuple(translate(lists, name, raw[name]) for name in ("af", "pacing")) == expected


def test_a_list_in_a_cell_with_line_breaks(tmp_path, write_record, wfdb_config):
    for name in ("1_1", "2_1", "3_1"):
        write_record(tmp_path / "raw", name, seconds=2)
    (tmp_path / "raw" / "t.csv").write_text(
        '\ufeffID, Sex,Rhythms\n1,"F\n","Sinus rhythm\nAtrial fibrillation"\n'
        '2,"M\n",Sinus rhythm\n3,,\n'
    )
    rhythm = {"column": "Rhythms", "any_of": ["Atrial*"], "separator": "\n", "blank": "absent"}
    labels = {"table": "t.csv", "key": "ID", "columns": {"sex": "Sex"}, "contains": {"af": rhythm}}
    ingest(wfdb_config(tmp_path / "raw", labels=labels), tmp_path / "store")
    found = Store.open(tmp_path / "store").participants
    assert sorted(found["sex"].dropna()) == ["F", "M"]
    assert found.set_index("sex")["af"].loc[["F", "M"]].tolist() == [1.0, 0.0]
    assert found["af"].isna().sum() == 1


def test_leading_zeros_are_only_dropped_when_asked(tmp_path, write_record, wfdb_config):
    for name in ("007_1", "010_1"):
        write_record(tmp_path / "raw", name, seconds=2)
    (tmp_path / "raw" / "t.csv").write_text("id,age\n7,40\n10,50\n")
    labels = {"table": "t.csv", "key": "id", "columns": {"age": "age"}}
    with pytest.raises(IngestError, match="matches none of 2 participants"):
        ingest(wfdb_config(tmp_path / "raw", labels=labels), tmp_path / "store")
    for level, key in (("participant", "id"), ("record", "id")):
        (tmp_path / "raw" / "t.csv").write_text(
            "id,age\n7,40\n10,50\n" if level == "participant" else "id,age\n7_1,40\n0010_1,50\n"
        )
        config = wfdb_config(
            tmp_path / "raw", labels=labels | {"strip_zeros": True, "level": level, "key": key}
        )
        ingest(config, tmp_path / level)
        store = Store.open(tmp_path / level)
        table = store.participants if level == "participant" else store.record_labels
        assert sorted(table["age"]) == [40.0, 50.0]
    write_record(tmp_path / "raw", "7_1", seconds=2)
    with pytest.raises(IngestError, match="two participants have one name"):
        ingest(
            wfdb_config(tmp_path / "raw", labels=labels | {"strip_zeros": True}), tmp_path / "other"
        )


def test_two_versions_of_labels_that_disagree_leave_the_label_empty(
    tmp_path, write_record, wfdb_config
):
    """cinc2017: REFERENCE.csv has no header, and a later version of it says otherwise."""
    for name in ("A1", "A2", "A3"):
        write_record(tmp_path / "raw", name, seconds=2)
    (tmp_path / "raw" / "REFERENCE.csv").write_text("A1,N\nA2,A\nA3,~\n")
    (tmp_path / "raw" / "REFERENCE-v3.csv").write_text("A1,N\nA2,O\n")
    labels = [
        {
            "level": "record", "table": f"REFERENCE{name}.csv", "header_row": 0, "key": "1",
            "columns": {"rhythm": "2"}, "version": version,
            "values": {"rhythm": {"N": "n", "A": "a", "O": "o", "~": "x"}},
        }
        for name, version in (("", 2), ("-v3", "3"))
    ]  # fmt: skip
    report = ingest(wfdb_config(tmp_path / "raw", labels=labels), tmp_path / "store")
    assert report.label_conflicts == {"rhythm": 1}
    assert report.label_versions == {"rhythm": "2, 3"}
    assert sorted(Store.open(tmp_path / "store").record_labels["rhythm"].dropna()) == ["n", "x"]
    one = ingest(wfdb_config(tmp_path / "raw", labels=labels[0]), tmp_path / "one")
    assert one.label_versions == {"rhythm": "2"}
    assert one.label_conflicts == {}


def test_a_table_without_names_has_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("a,1\nb,2,x\n")
    table = read_table(tmp_path / "t.csv", header_row=0)
    assert table.columns == ("1", "2", "3")
    assert table.rows[0] == {"1": "a", "2": "1", "3": ""}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pattern": "x"}, r"\(\?P<label>"),
        ({"pattern": "("}, "not a regular expression"),
        ({"comments": {"a": "A"}, "contains": {"a": CONTAINS["af"]}}, "given twice"),
        ({"comments": {"a": "A"}, "pattern": "(?P<a>x)"}, "given twice"),
        ({"contains": {"a": {"any_of": "x", "blank": "absent"}}}, "either column or comment"),
        ({"contains": {"a": {"comment": "A", "any_of": [], "blank": "absent"}}}, "at least 1 item"),
        ({"contains": {"a": {"comment": "A", "any_of": "x"}}}, "blank: missing"),
        ({"contains": CONTAINS, "values": {"af": {"1": 2}}}, "values do not go with contains"),
        ({"contains": CONTAINS, "table": "t", "key": "k"}, "needs table, key and columns"),
        ({"comments": {"a": "A"}, "replace": {"b": {}}}, "replace are given for"),
        ({"comments": {"a": "A"}, "strip_zeros": True}, "there is no table"),
        ({"pattern": "(?P<record>x)"}, "column names of the store"),
    ],
)
def test_rules_that_cannot_be_meant(values, message):
    with pytest.raises(ConfigError, match=message):
        rule(**values)
