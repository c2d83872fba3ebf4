from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medssl.errors import StageError
from medssl.evaluation.demonstration_parts import PartConfig, describe
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId

TEXT = "Heart size normal. " * 20


def _of_study(modality: Modality, data: np.ndarray | str, name: str) -> Record:
    return Record(
        participant=ParticipantId("p1"), session="s1", recording=name, modality=modality,
        data=data, source_digest=name, study="x1",
    )  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> Store:
    """One image with two reports, and a report of another study."""
    records = [
        _of_study(Modality.RADIOGRAPH, np.zeros((32, 48), dtype=np.uint8), "image"),
        _of_study(Modality.REPORT, TEXT, "findings"),
        _of_study(Modality.REPORT, "  No effusion.\n", "impression"),
        Record(
            participant=ParticipantId("p2"), session="s1", recording="other", study="x1",
            modality=Modality.REPORT, data="of somebody else", source_digest="o",
        ),
    ]  # fmt: skip
    return write_store(tmp_path / "study", records)


def names(store: Store, modality: str) -> list[str]:
    return list(store.column("record", store.rows(modality=modality)))


def test_signals_are_summed_up(store: Store) -> None:
    people = store.column("participant").astype(str)
    mine = store.column("record")[people == "p00000"].tolist()
    (part,) = describe(store, {"case": mine}, PartConfig())["case"]
    assert part.modality == "ppg"
    assert part.summary["records"] == 3
    assert part.summary["seconds"] == 30
    assert part.summary["rate_hz"] == 64
    assert part.summary["channels"] == "PLETH"
    assert part.summary["heart_rate_per_minute"] == pytest.approx(60, abs=2)
    assert part.spoken().startswith("PPG: records 3, seconds 30, rate hz 64, channels PLETH")
    assert part.text is None


def test_beats_can_be_left_out(store: Store) -> None:
    some = store.column("record")[:1].tolist()
    (part,) = describe(store, {"case": some}, PartConfig(heart_rate=False))["case"]
    assert set(part.summary) == {"records", "seconds", "rate_hz", "channels", "units"}


def test_a_flat_signal_has_no_beats(tmp_path: Path, record: Callable[..., Record]) -> None:
    flat = write_store(tmp_path / "flat", [record("p", 0, np.ones((1, 640), dtype=np.float32))])
    (part,) = describe(flat, {"case": flat.column("record").tolist()}, PartConfig())["case"]
    assert "heart_rate_per_minute" not in part.summary


def test_reports_are_given_as_text_and_cut(study: Store) -> None:
    reports = names(study, "report")[:2]
    config = PartConfig(reports=True, max_characters=20)
    parts = describe(study, {"case": reports}, config)["case"]
    by_cut = {part.truncated: part for part in parts}
    assert by_cut[True].text == TEXT[:20]
    assert by_cut[True].spoken().endswith("[…]")
    assert by_cut[False].text == "No effusion."


def test_reports_are_told_by_their_sections_unless_their_texts_are_asked_for(
    tmp_path: Path,
) -> None:
    """Embeddings of reports have reports as cases; what they say may name somebody."""
    text = "INDICATION: Seen by Dr Jones.\nFINDINGS: No effusion.\nFINDINGS: Heart normal."
    store = write_store(tmp_path / "reports", [_of_study(Modality.REPORT, text, "r")])
    (part,) = describe(store, {"case": names(store, "report")}, PartConfig())["case"]
    assert part.text is None
    assert part.spoken() == "REPORT: sections indication, findings, words 8"


def test_views_of_a_study_are_parts_of_their_own(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), dtype=np.uint8)
    records = [
        replace(_of_study(Modality.RADIOGRAPH, pixels + n, f"i{n}"), view=view)
        for n, view in enumerate(("PA", "lateral", "PA"))
    ]
    store = write_store(tmp_path / "views", records)
    parts = describe(store, {"case": names(store, "radiograph")}, PartConfig())["case"]
    assert sorted(part.spoken() for part in parts) == [
        "RADIOGRAPH: records 1, size 8 × 8, view lateral",
        "RADIOGRAPH: records 2, size 8 × 8, view PA",
    ]


def test_images_are_their_size_and_reports_of_the_study_only_on_demand(study: Store) -> None:
    image = {"case": names(study, "radiograph")}
    (part,) = describe(study, image, PartConfig())["case"]
    assert part.summary == {"records": 1, "size": "32 × 48"}
    parts = describe(study, image, PartConfig(reports=True))["case"]
    assert [p.modality for p in parts] == ["radiograph", "report", "report"]
    assert "of somebody else" not in [p.text for p in parts]


def test_records_that_are_not_in_the_store_are_counted(store: Store) -> None:
    with pytest.raises(StageError, match="2 embedded records are not in the store"):
        describe(store, {"case": ["x", "y", store.column("record")[0]]}, PartConfig())
