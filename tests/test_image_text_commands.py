"""The command of the CheXpert protocol, on lists and images that are small."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medssl.cli import main
from medssl.evaluation.image_text.chexpert_lists import CLASSES, FINDINGS, Protocol

EIGHT = CLASSES["8x200"]
ASKED, FOUND = 2, 7


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Images, a label table and lists of the published layout: nine participants of each class."""
    folder = tmp_path_factory.mktemp("chexpert")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(len(EIGHT) * (ASKED + FOUND)):
        name = f"CheXpert-v1.0/train/patient{number:05d}/study1/view1_frontal.jpg"
        rows.append({
            "Path": name, "Sex": "Female", "Age": 50, "Frontal/Lateral": "Frontal", "AP/PA": "AP",
            **dict.fromkeys(FINDINGS, np.nan), EIGHT[number % 8]: 1.0,
        })  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True)
        Image.fromarray(generator.integers(0, 255, (20, 18), dtype=np.uint8)).save(path)
    table = pd.DataFrame(rows)
    table.to_csv(folder / "train.csv", index=False)
    asked, found = table[: 8 * ASKED], table[8 * ASKED :]
    classes = [EIGHT[n % 8] for n in range(8 * ASKED)]
    lists = folder / "lists"
    for task in ("image-retrieval", "text-retrieval"):
        (lists / task).mkdir(parents=True)
    found.to_csv(lists / "image-retrieval" / "candidate.csv", index=False)
    asked.assign(Variable=classes).to_csv(lists / "image-retrieval" / "query.csv", index=False)
    texts = pd.DataFrame({"Variable": EIGHT, "Text": [f"there is {name}" for name in EIGHT]})
    texts.to_csv(lists / "text-retrieval" / "query.csv", index=False)
    return folder


def call(monkeypatch, **options):
    """The exit code of the command."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr("sys.argv", ["medssl", "chexpert-8x200", *words])
    try:
        main()
    except SystemExit as error:
        return error.code
    return 0


def test_the_protocol_runs_with_its_baselines(copy, image_text_run, tmp_path, monkeypatch, capsys):
    out = tmp_path / "scores"
    given = {"images": copy, "table": copy / "train.csv", "pretrain": image_text_run}
    assert call(monkeypatch, **given, lists=copy / "lists", out=out) == 0
    said = capsys.readouterr().out
    assert "| text → image | precision@5 | untrained encoder |" in said
    assert "metadata (view, sex, age)" in said
    assert "zero-shot accuracy" in said
    value = json.loads((out / "scores.json").read_text())
    assert value["seed"] is None
    assert {row["n_candidates"] for row in value["retrieval"]["rows"]} == {8 * FOUND}
    assert set(value["accuracy"]) == {"encoder", "untrained encoder"}
    assert Protocol.load(out / "protocol.json").digest == value["lists"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"table": "absent.csv"}, "cannot read the label table at absent.csv"),
        ({"table": "lists/text-retrieval/query.csv"}, "the label table has no column"),
        ({}, "give the train.csv of CheXpert|participants"),  # lists cannot be drawn from so few
        ({"lists": "absent"}, "absent does not hold the published lists"),
        ({"lists": "lists", "variant": "5x200"}, "--lists holds those of 8x200, not of 5x200"),
        ({"lists": "lists", "images": "lists"}, "56 of 56 listed images are not under lists"),
        ({"lists": "lists", "pretrain": "lists"}, "lists is no output of pretraining"),
        ({"lists": "lists", "out": "train.csv"}, "File exists"),
    ],
)
def test_what_is_wrong_or_missing_is_one_line(
    copy, image_text_run, tmp_path, monkeypatch, capsys, changed, says
):
    import re

    monkeypatch.chdir(copy)
    given = {"images": ".", "table": "train.csv", "pretrain": image_text_run, "out": tmp_path / "x"}
    assert call(monkeypatch, **{**given, **changed}) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert error.startswith("medssl: ")
    assert re.search(says, error), error
