from __future__ import annotations

import pytest

from medssl.initialise.labels import plan_labels
from medssl.initialise.tables import KeyMatch, Table, read_tables


def match(rows):
    return KeyMatch(Table("t.csv", 1, tuple(rows), "a table"), "id", 1.0, 1.0)


def test_columns_are_typed_and_private_ones_left_out():
    rows = [
        {
            "id": str(k), "Age(year)": str(20 + k), "Gender": "Female" if k % 2 else "Male",
            "Full name": f"n{k}", "date of birth": "1.1.1970", "SBP": "120" if k else "",
            "diagnosis": "AF" if k % 2 else "", "remark": f"free text {k}", "phone no": "1",
        }
        for k in range(30)
    ]  # fmt: skip
    plan = plan_labels(match(rows), {str(k) for k in range(30)}, [], exhaustive=True)
    assert [one.label for one in plan.offers] == ["age", "sex"]
    assert plan.offer("sex").values == {"Male": "M", "Female": "F"}
    spare = {one.label: (one.kind, one.missing) for one in plan.spare}
    assert spare == {"sbp": ("number", 1), "diagnosis": ("words", 15)}


def test_codes_for_sex_are_not_guessed():
    rows = [{"id": str(k), "sex": str(k % 2), "age": "x"} for k in range(9)]
    assert plan_labels(match(rows), {str(k) for k in range(9)}, [], exhaustive=True) is None


def test_only_rows_of_participants_count():
    rows = [{"id": str(k), "age": "" if k > 4 else "50"} for k in range(99)]
    plan = plan_labels(match(rows), {"3", "4", "5"}, [], exhaustive=True)
    assert (plan.offer("age").present, plan.offer("age").missing) == (2, 1)
    assert plan.offer("age").sides == 1


def test_comments_offer_labels_and_absent_values():
    comments = [{"<age>": "51", "<sex>": "M"}, {"<age>": ">89", "<sex>": "F"}, {"<age>": "?"}]
    plan = plan_labels(None, set(), [*comments, {"<age>": "3"}], exhaustive=False)
    age, sex = plan.offer("age"), plan.offer("sex")
    assert (age.present, age.missing, age.unclear) == (2, 1, 1)
    assert sex.source == "<sex>"
    # Headers that were not looked at may spell it otherwise.
    assert sex.values["Female"] == "F"
    assert plan_labels(None, set(), [{"Dx": "1"}], exhaustive=True) is None


@pytest.mark.parametrize("header_row", [1, 2])
def test_headers_below_a_title_are_found(tmp_path, header_row):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for _ in range(header_row - 1):
        book.active.append(["A data set", None, None])
    book.active.append(["subject", "Age", "Sex"])
    for k in range(5):
        book.active.append([k, 30 + k, "M"])
    book.save(tmp_path / "t.xlsx")
    tables, notes = read_tables(tmp_path, ["t.xlsx"])
    assert not notes
    assert tables[0].header_row == header_row
    assert tables[0].values("subject") == ["0", "1", "2", "3", "4"]
