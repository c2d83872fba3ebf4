from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medssl.errors import ConfigError
from medssl.evaluation.image_text.labels import finding_labels
from medssl.evaluation.image_text.prompts import default_prompts
from medssl.evaluation.image_text.scored import gather
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Four images: a label of records with a gap, one of participants, one that is uncertain."""
    records = [
        Record(
            participant=ParticipantId(f"p{n}"), session="s", recording=f"i{n}", source_digest="0",
            modality=Modality.RADIOGRAPH, data=np.full((4, 4), n, dtype=np.uint8),
        )
        for n in range(4)
    ]  # fmt: skip
    labels = pd.DataFrame(
        {"edema": [1, 0, np.nan, 1], "doubted": [1, -1, 0, 0]}, index=[r.name for r in records]
    )
    people = pd.DataFrame(
        {"smoker": [True, False, None, True], "sex": ["F", "M", "F", "M"]},
        index=[f"p{n}" for n in range(4)],
    )
    path = tmp_path_factory.mktemp("labels") / "store"
    return write_store(path, records, participants=people, labels=labels)


def test_labels_of_records_and_participants_come_in_the_order_of_rows(store: Store) -> None:
    rows = store.rows()[::-1]
    found, lent = finding_labels(store, rows, {"Edema": "edema", "Smoking": "smoker"})
    assert lent == ()
    assert list(found.columns) == ["Edema", "Smoking"]
    expected = {f"p{n}": pair for n, pair in enumerate([(1, 1), (0, 0), (None, None), (1, 1)])}
    people = store.column("participant", rows).tolist()
    for participant, row in zip(people, found.to_numpy().tolist(), strict=True):
        assert [None if np.isnan(v) else v for v in row] == list(expected[participant])
    assert finding_labels(store, rows, {})[0].empty


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("edma", r"findings\.Edema: no label column 'edma'; did you mean edema\?"),
        ("doubted", "findings.Edema: label column 'doubted' is not 1, 0 or missing"),
        ("sex", "label column 'sex' is not 1, 0 or missing"),
        ("added", "no label column 'added'"),
    ],
)
def test_what_is_no_label_of_a_finding_is_refused(store: Store, column: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        finding_labels(store, store.rows(), {"Edema": column})


def test_findings_of_reports_are_those_of_their_images(tmp_path: Path) -> None:
    records, labels = [], {}
    for n in range(6):
        told = {
            "participant": ParticipantId(f"p{n}"), "session": "s", "source_digest": "0",
            "study": "e" if n < 5 else None,
        }  # fmt: skip
        image, report = (
            Record(recording=f"{modality} {n}", modality=modality, data=data, **told)
            for modality, data in (
                (Modality.RADIOGRAPH, np.full((4, 4), n, dtype=np.uint8)),
                (Modality.REPORT, "FINDINGS: Oedema or not."),
            )
        )
        records += [image, report]
        labels[report.name] = {"edema": float(n % 2)}
    labels[report.name] = {"edema": 1.0}  # belongs to no study
    frame = pd.DataFrame.from_dict(labels, orient="index")
    store = write_store(tmp_path / "store", records, labels=frame)
    images = store.rows(modality="radiograph")[::-1]
    expected = {f"p{n}": float(n % 2) if n < 5 else None for n in range(6)}
    frame, lent = finding_labels(store, images, {"Edema": "edema"})
    assert lent == ("Edema",)
    found = frame["Edema"]
    people = store.column("participant", images).tolist()
    assert [None if np.isnan(v) else v for v in found] == [expected[name] for name in people]
    scored = gather(
        store, images, columns={"Edema": "edema"}, prompts=default_prompts(), reports=None
    )
    assert scored.findings == ("Edema",)
    assert scored.notes == (
        "No image has a label of its own; it is that of the other records of its study: Edema.",
    )
