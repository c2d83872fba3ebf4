from __future__ import annotations

import numpy as np
import openpyxl
import pandas as pd
import pytest

from medssl.config import validate
from medssl.errors import IngestError, MissingExtraError
from medssl.ingest.label_rules import LabelRule
from medssl.ingest.labels import (
    UNLISTED,
    Evidence,
    label_table,
    table_evidence,
    translate,
)
from medssl.ingest.tables import read_table, require_columns
from medssl.types import ParticipantId

A, B = ParticipantId("pa"), ParticipantId("pb")


def rule(**changes):
    values = {"comments": {"age": "Age", "sex": "Sex"}} | changes
    return validate(LabelRule, values, where="labels")


def columns(*evidence, known=None, names=("age", "sex")):
    seen = Evidence()
    for participant, raw in evidence:
        seen.add(participant, rule(), raw)
    table, conflicts = label_table(seen, names, [B, A], known=known)
    return table.to_pydict(), conflicts, dict(seen.unreadable)


def test_xlsx_csv_and_tsv_give_the_same_rows(tmp_path):
    cells = [["title", None], ["id", "age"], [2, 45], [9, None]]
    book = openpyxl.Workbook()
    for row in cells:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    (tmp_path / "t.csv").write_text("title\nid,age\n2,45\n9,\n\n")
    (tmp_path / "t.tsv").write_text("title\nid\tage\n2\t45\n9\t\n")
    (tmp_path / "semicolons.csv").write_text("title\nid;age\n2;45\n9;\n\n")
    expected = [{"id": "2", "age": "45"}, {"id": "9", "age": ""}]
    for name in ("t.xlsx", "t.csv", "t.tsv", "semicolons.csv"):
        assert read_table(tmp_path / name, header_row=2).rows == expected


def test_tables_that_cannot_be_read_say_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "bad.xlsx").write_text("no workbook")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "few.csv").write_text("id,age\n")
    (tmp_path / "odd.json").write_text("{}")
    for name in ("absent.csv", "bad.xlsx", "bad.csv", "odd.json"):
        with pytest.raises(IngestError, match=name):
            read_table(tmp_path / name)
    with pytest.raises(IngestError, match="header_row"):
        read_table(tmp_path / "few.csv", header_row=3)
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"medssl\[excel\]"):
        read_table(tmp_path / "bad.xlsx")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("Male", "M"), ("", 0.0), ("other", UNLISTED), ("1", 7.0)],
)
def test_listed_values_are_translated_and_others_are_not_guessed(raw, expected):
    listed = rule(values={"sex": {"Male": "M", "": 0, 1: 7}})
    assert translate(listed, "sex", raw) == expected


@pytest.mark.parametrize("raw", ["", " ", "?", "NaN", "unknown", "N/A"])
def test_absent_values_are_none(raw):
    assert translate(rule(), "sex", raw) is None


def test_numbers_are_numbers_and_words_are_words():
    found, conflicts, unreadable = columns((A, {"age": "25", "sex": "F"}), (B, {"age": "31.5"}))
    assert found == {"participant": ["pa", "pb"], "age": [25.0, 31.5], "sex": ["F", None]}
    assert conflicts == unreadable == {}


def test_two_values_for_one_participant_leave_the_label_empty():
    found, conflicts, _ = columns((A, {"age": "25"}), (A, {"age": "26"}), (A, {"age": "25.0"}))
    assert found["age"] == [None, None]
    assert conflicts == {"age": 1}


def test_the_same_value_twice_is_no_conflict():
    found, conflicts, _ = columns((A, {"age": "25"}), (A, {"age": "25.0"}), (A, {"age": "?"}))
    assert found["age"] == [25.0, None]
    assert conflicts == {}


def test_an_age_in_words_is_unreadable_and_not_text():
    found, _, unreadable = columns((A, {"age": "90+"}), (B, {"age": "31"}))
    assert found["age"] == [None, 31.0]
    assert unreadable["age"] == 1


def test_what_the_store_holds_is_not_contradicted():
    known = pd.DataFrame({"age": [40.0, 50.0]}, index=["pa", "pb"])
    found, conflicts, _ = columns((A, {"age": "41"}), (B, {"age": "50"}), known=known)
    assert found["age"] == [None, 50.0]
    assert conflicts == {"age": 1}


def test_label_names_of_the_store_are_refused():
    with pytest.raises(Exception, match="column names of the store"):
        rule(comments={"has_ecg": "x"})


def test_short_rows_are_padded_and_columns_come_from_the_header(tmp_path):
    (tmp_path / "t.csv").write_text("id,age,sex\n000,45\n001,50,M,extra\n")
    table = read_table(tmp_path / "t.csv")
    assert table.columns == ("id", "age", "sex")
    assert table.rows == [
        {"id": "000", "age": "45", "sex": ""}, {"id": "001", "age": "50", "sex": "M"},
    ]  # fmt: skip
    known = LabelRule(table="t.csv", key="id", columns={"sex": "sex"})
    evidence = table_evidence(known, tmp_path, {"000": A, "001": B}, source="x")
    assert evidence.seen[B] == {"sex": {"M"}}


def test_a_column_name_that_stands_twice_is_refused_when_it_is_used(tmp_path):
    (tmp_path / "t.csv").write_text("id,age,age,sex\n000,45,46,F\n")
    columns = read_table(tmp_path / "t.csv").columns
    require_columns(columns, ["id", "sex"], path=tmp_path)
    with pytest.raises(IngestError, match="2 columns 'age'") as error:
        require_columns(columns, ["id", "age"], path=tmp_path)
    assert "\n" not in str(error.value)


def test_codes_among_words_keep_their_digits():
    """One word makes the column text; the numbers in it stay what they were."""
    values = {"a": 426783006.0, "b": 0.5, "c": "AF"}
    evidence = Evidence({name: {"code": {value}} for name, value in values.items()})
    table, _ = label_table(evidence, ["code"], list(values), known=None)
    assert table.column("code").to_pylist() == ["426783006", "0.5", "AF"]


def test_an_underscore_makes_a_word():
    codes = LabelRule(table="t", key="k", columns={"code": "c"})
    assert [translate(codes, "code", raw) for raw in ("3_1", "31")] == ["3_1", 31.0]


def test_values_beyond_the_limits_are_numbers_where_the_rule_says_so():
    columns = {"crp": "crp", "remark": "remark"}
    rule = LabelRule(table="t", key="id", columns=columns, infinite="crp")
    assert [translate(rule, "crp", raw) for raw in ("-inf", "INF", "+Infinity", "3", "nan")] == [
        -np.inf, np.inf, np.inf, 3.0, None,
    ]  # fmt: skip
    assert translate(rule, "remark", "inf") == "inf"
    assert translate(rule, "crp", "information") == "information"
    evidence = Evidence()
    for person, raw in (("a", "-inf"), ("b", "2.5"), ("c", "inf")):
        evidence.add(ParticipantId(person), rule, {"crp": raw})
    table, conflicts = label_table(evidence, ["crp"], ["a", "b", "c"], known=None)
    assert table["crp"].to_pylist() == [-np.inf, 2.5, np.inf]
    assert conflicts == {}
    with pytest.raises(ValueError, match="infinite are given for"):
        LabelRule(table="t", key="id", columns=columns, infinite="ldh")
