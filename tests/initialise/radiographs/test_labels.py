from __future__ import annotations

from medssl.initialise.radiographs.labels import (
    findings_of,
    labels_of_images,
    prompts_for,
    targets_of,
)
from medssl.initialise.radiographs.listings import find_image_table
from medssl.initialise.tables import Table

IMAGES = [f"{number}.png" for number in range(20)]
PEOPLE = [f"p{number // 2}" for number in range(20)]


def labels(**columns: list[str]):
    cells = {"file": IMAGES, **columns}
    rows = tuple(dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))
    listed = find_image_table(IMAGES, [Table("t.csv", 1, rows, "a table")])
    assert listed is not None
    return labels_of_images(listed, IMAGES, PEOPLE, skip=set())


def test_columns_of_yes_and_no_are_one_target():
    found = labels(Mass=["0", "1"] * 10, Edema=["1.0", "0.0"] * 10, Rare=["1", *["0"] * 19])
    assert [one.label for one in found.records] == ["mass", "edema", "rare"]
    assert targets_of(found) == [
        {"name": "findings", "kind": "multilabel", "columns": ["mass", "edema"], "level": "record"}
    ]
    one = labels(Mass=["0", "1"] * 10)
    assert targets_of(one)[0]["kind"] == "binary"


def test_uncertain_labels_are_left_empty():
    found = labels(Mass=["0", "1", "-1", ""] * 5)
    assert found.yes == ["mass"]
    assert found.replace == {"mass": {"-1": ""}}


def test_age_and_sex_are_labels_of_people_when_their_images_agree():
    sexes = [sex for sex in "MF" * 5 for _ in range(2)]
    ages = [str(30 + number) for number in range(20)]
    found = labels(sex=sexes, age=ages)
    assert [one.label for one in found.people] == ["sex"]
    assert [one.label for one in found.records] == ["age"]
    levels = {target["name"]: target.get("level", "participant") for target in targets_of(found)}
    assert levels == {"age": "record", "sex": "participant"}


def test_words_are_a_target_when_a_column_is_called_so():
    found = labels(label=["normal", "viral"] * 10, note=["x", "y"] * 10, name=["a", "b"] * 10)
    assert [one.label for one in found.records] == ["label"]
    assert [one.label for one in found.spare] == ["note"]
    assert targets_of(found)[0]["kind"] == "multiclass"


def test_lists_of_findings_become_labels_where_there_are_no_others():
    lists = ["No Finding", "Mass", "Mass|Edema", "Edema"] * 5
    found = labels(findings=lists)
    assert found.items == ("findings", {"edema": "Edema", "mass": "Mass"})
    assert targets_of(found)[0]["columns"] == ["edema", "mass"]
    assert labels(findings=lists, Hernia=["0", "1"] * 10).items is None


def test_values_beyond_the_measurable_are_numbers():
    found = labels(crp=["-inf", "inf", "3", "4.5"] * 5)
    assert [(one.label, one.kind) for one in found.spare] == [("crp", "number")]
    assert found.infinite == ["crp"]


def test_findings_are_kept_that_reports_name_either_way_often_enough():
    texts = ["FINDINGS: There is an effusion. No edema."] * 6 + ["FINDINGS: No effusion."] * 6
    assert findings_of(texts, 12) == {"Effusion": (6, 6)}
    few = [texts[0]] * 2 + [texts[-1]] * 4
    assert findings_of(few, 6) == {}
    assert findings_of(few, 60) == {"Effusion": (2, 4)}


def test_prompts_are_found_for_labels_by_any_spelling():
    found = prompts_for(["y_pleural_effusion", "Cardiomegaly", "died"])
    assert found == {"pleural effusion": "y_pleural_effusion", "cardiomegaly": "Cardiomegaly"}
