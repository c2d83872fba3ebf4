import numpy as np
import pandas as pd

from medssl.explore import contents_table, ledger_table, records_table
from medssl.store import Store


def test_contents_add_up(ppg_store):
    (row,) = contents_table(ppg_store).to_dict(orient="records")
    assert (row["records"], row["participants"]) == (393, 131)
    assert row["shape"] == "1 × 64"
    assert row["hours"] == 393 * 2 / 3600
    assert np.isnan(row["median_quality"])


def test_every_line_of_the_ledger_says_what_to_do(ppg_store):
    table = ledger_table(ppg_store)
    assert table["files"].sum() == len(ppg_store.ledger)
    assert table["what to do"].str.len().min() > 20


def test_an_empty_ledger_keeps_its_columns(pictures):
    table = ledger_table(pictures)
    assert list(table.columns) == ["source", "reason", "files", "what to do"]
    assert table.empty


def test_images_have_no_hours_and_are_listed(pictures):
    table = contents_table(pictures).set_index("modality")
    assert set(table.loc["volume", "shape"]) == {"6 × 8 × 10", "2 × 4 × 5 × 5"}
    assert np.isnan(table.loc["volume", "hours"]).all()
    assert table.loc["ecg", "hours"] == 2 / 3600
    assert table["records"].sum() == len(pictures)


def test_images_of_all_shapes_and_all_reports_are_one_line_each(image_text_store):
    table = contents_table(Store.open(image_text_store)).set_index("modality")
    assert table["shape"].to_dict() == {"radiograph": "longer side 16", "report": "text"}
    assert table["records"].tolist() == [80, 80]


def test_records_carry_what_is_known_of_them(run):
    frame = records_table(run)
    assert frame.index.tolist() == run.embeddings.records.tolist()
    people = frame["participant"]
    assert frame["age"].tolist() == run.labels["age"].loc[people].tolist()
    assert frame["split"].tolist() == [run.splits[name] for name in people]
    assert set(frame["source"]) == {"ppg_bp"}


def test_a_label_of_records_goes_before_one_of_participants(run, monkeypatch):
    name = run.embeddings.records[4]
    labels = pd.DataFrame({"age": [1.0], "posture": ["sitting"]}, index=[name])
    monkeypatch.setitem(vars(run), "record_labels", labels)
    frame = records_table(run)
    assert frame.loc[name, "age"] == 1.0
    assert frame.loc[name, "posture"] == "sitting"
    assert frame["posture"].notna().sum() == 1
