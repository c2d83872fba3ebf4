from __future__ import annotations

import pytest

from medssl.initialise.radiographs.roles import roles_of, section_of
from medssl.initialise.tables import Table


def table(**columns: list[str]) -> Table:
    rows = tuple(
        dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
    )
    return Table("t.csv", 1, rows, "a table")


NUMBERS = [str(number) for number in range(8)]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("patient_id", "participants"), ("Patient ID", "participants"), ("subject", "participants"),
        ("deid_patient_id", "participants"), ("participant", "participants"),
        ("study", "study"), ("StudyInstanceUID", "study"), ("AccessionNumber", "study"),
        ("Follow-up #", "visit"), ("followup", "visit"), ("visit_number", "visit"),
        ("Patient Age", ""), ("image_id", ""), ("instance", ""), ("width", ""),
    ],
)  # fmt: skip
def test_columns_are_told_by_their_names(name, role):
    roles = roles_of(table(**{name: NUMBERS, "other": ["x"] * 8}))
    told = {kind for kind in ("participants", "study", "visit") if getattr(roles, kind)}
    assert told == ({role} if role else set())


def test_views_are_told_by_what_a_column_holds():
    assert roles_of(table(projection=["pa", "ap"] * 4)).view == "projection"
    assert roles_of(table(position=["PA", "AP", "", "oblique"] * 2)).view == "position"
    assert roles_of(table(arm=["PA", "lateral"] * 4)).view == "arm"
    assert roles_of(table(view=["left", "right"] * 4)).view is None


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"offset": ["0", "3", "", "5"]}, ("offset", "days")),
        ({"StudyDate": ["20200103", "20200104", "2020-02-01"]}, ("StudyDate", "datetime")),
        ({"followup": ["0", "1", "0", "1"]}, ("followup", "order")),
        ({"birth_date": ["20200103", "20200104", "20200203", "20210101"]}, (None, "days")),
        ({"date": ["January 3", "2017", "May", "June"]}, (None, "days")),
        ({"admission_offset": ["0", "3", "4", "5"]}, (None, "days")),
        ({"days": ["1", "2", "3", "4"], "offset": ["1", "2", "3", "4"]}, (None, "days")),
    ],
)  # fmt: skip
def test_times_are_taken_only_when_their_meaning_is_clear(columns, expected):
    roles = roles_of(table(**columns))
    assert (roles.time, roles.time_unit) == expected


def test_times_of_unclear_meaning_are_kept_as_hints():
    roles = roles_of(table(admission_offset=["0", "3", "4", "5"], crp_offset=["1", "1", "2", "2"]))
    assert roles.times == ("admission_offset", "crp_offset")


def test_text_is_several_words_that_differ():
    notes = [f"There is a shadow at place {word}." for word in "abcdefgh"]
    said = table(
        notes=notes,
        findings=["No Finding", "Mass|Nodule"] * 4,
        licence=["a long licence text of many words"] * 8,
        impression=[f"Normal {word}." for word in ("chest", "heart", "lung", "rib") * 2],
        id=NUMBERS,
    )
    roles = roles_of(said)
    assert roles.texts == ("notes", "impression")
    assert roles.sections == {"impression": "impression"}
    assert roles_of(said, files="notes").texts == ("impression",)


def test_sections_are_known_by_many_names():
    assert section_of("section_findings") == "findings"
    assert section_of("Report Impression") == "impression"
    assert section_of("clinical_history") == "history"
    assert section_of("notes") is None
