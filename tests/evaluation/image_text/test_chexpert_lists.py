from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medssl.errors import StageError
from medssl.evaluation.image_text.chexpert_lists import (
    CLASSES,
    FINDINGS,
    LISTS,
    Protocol,
    build_protocol,
    image_name,
    participant_of,
    pools,
    read_lists,
)


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    """CheXpert's label table, as torchxrayvision ships it; without images."""
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or spec.origin is None:
        pytest.skip("torchxrayvision, whose wheel holds the label table, is not installed")
    return pd.read_csv(Path(spec.origin).parent / "data" / "chexpert_train.csv.gz")


def made_up(each: int = 30, *, seed: int = 0) -> pd.DataFrame:
    """A small table of the same layout: one finding alone per participant, and what is refused."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(each * len(FINDINGS)):
        row = dict.fromkeys(FINDINGS, np.nan)
        row[FINDINGS[number % len(FINDINGS)]] = 1.0
        if rng.random() < 0.5:
            row[FINDINGS[(number + 3) % len(FINDINGS)]] = 0.0
        rows.append((f"patient{number:05d}/study1/view1_frontal.jpg", "Frontal", row))
    uncertain = {**dict.fromkeys(FINDINGS, np.nan), "Edema": 1.0, "Mass": np.nan}
    uncertain = {k: v for k, v in uncertain.items() if k in FINDINGS} | {"Fracture": -1.0}
    two = dict.fromkeys(FINDINGS, np.nan) | {"Edema": 1.0, "Support Devices": 1.0}
    one = dict.fromkeys(FINDINGS, np.nan) | {"Edema": 1.0}
    rows += [
        ("patient90000/study1/view1_frontal.jpg", "Frontal", uncertain),
        ("patient90001/study1/view1_frontal.jpg", "Frontal", two),
        ("patient90002/study1/view2_lateral.jpg", "Lateral", one),
    ]
    table = pd.DataFrame([row for _, _, row in rows])
    table.insert(0, "Path", [f"CheXpert-v1.0-small/train/{path}" for path, _, _ in rows])
    table.insert(1, "Frontal/Lateral", [view for _, view, _ in rows])
    return table


def test_pools_are_those_that_are_known(real: pd.DataFrame) -> None:
    sizes = {name: len(images) for name, images in pools(real, "5x200").items()}
    assert sizes == {
        "Atelectasis": 1087, "Cardiomegaly": 1034, "Consolidation": 537, "Edema": 2257,
        "Pleural Effusion": 2425,
    }  # fmt: skip
    larger = pools(real, "8x200")
    assert {name: len(larger[name]) for name in ("No Finding", "Pneumonia", "Fracture")} == {
        "No Finding": 9474, "Pneumonia": 296, "Fracture": 1122,
    }  # fmt: skip


@pytest.mark.parametrize("variant", ["8x200", "5x200"])
def test_lists_of_seed_0_are_the_published_ones(real: pd.DataFrame, variant: str) -> None:
    protocol = build_protocol(real, variant=variant)  # type: ignore[arg-type]
    assert protocol.digest == LISTS[variant]  # type: ignore[index]
    classes = CLASSES[variant]  # type: ignore[index]
    assert protocol.classes == classes
    rows = real.set_index(real["Path"].map(image_name))
    for lists, count in ((protocol.candidates, 200), (protocol.image_queries, 10)):
        for name in classes:
            chosen = rows.loc[list(lists[name])]
            assert len(chosen) == count
            assert (chosen["Frontal/Lateral"] == "Frontal").all()
            labels = chosen[list(FINDINGS)]
            assert (labels[name] == 1).all()
            assert ((labels == 1).sum(axis=1) == 1).all()
            assert not (labels == -1).any(axis=None)
    everyone = [
        participant_of(image)
        for lists in (protocol.candidates, protocol.image_queries)
        for image in protocol.images(lists)
    ]
    assert len(set(everyone)) == len(everyone) == 210 * len(classes)
    assert protocol.overlap == ()
    assert {len(said) for said in protocol.text_queries.values()} == {5}


def test_lists_depend_on_the_seed_and_not_on_the_order_of_the_table() -> None:
    table = made_up()
    sizes = {"candidates": 20, "image_queries": 3}
    first = build_protocol(table, **sizes)
    shuffled = build_protocol(table.sample(frac=1, random_state=1), **sizes)
    assert shuffled.model_dump() == first.model_dump()
    assert build_protocol(table, seed=1, **sizes).digest != first.digest


def test_uncertain_several_and_lateral_images_are_in_no_pool() -> None:
    images = [image for pool in pools(made_up(), "8x200").values() for image in pool]
    assert len(images) == 30 * 8
    assert not [image for image in images if image.startswith("patient9")]


def test_a_participant_gives_one_image() -> None:
    table = made_up(each=12)
    table["Path"] = [
        f"train/patient{number // 2:05d}/study{number}/view1_frontal.jpg"
        for number in range(len(table))
    ]
    with pytest.raises(StageError, match="10 are needed"):
        build_protocol(table, candidates=9, image_queries=1)
    protocol = build_protocol(table, candidates=4, image_queries=1)
    images = [*protocol.images(protocol.candidates), *protocol.images(protocol.image_queries)]
    assert len({participant_of(image) for image in images}) == len(images) == 40


def test_json_round_trip_and_what_is_no_protocol(tmp_path: Path) -> None:
    protocol = build_protocol(made_up(), candidates=5, image_queries=2)
    protocol.save(tmp_path / "protocol.json")
    again = Protocol.load(tmp_path / "protocol.json")
    assert again == protocol
    assert again.digest == protocol.digest
    (tmp_path / "other.json").write_text('{"variant": "8x200"}')
    for name in ("other.json", "absent.json"):
        with pytest.raises(StageError, match="cannot read the protocol"):
            Protocol.load(tmp_path / name)
    twice = {name: images[:1] * 2 for name, images in protocol.candidates.items()}
    with pytest.raises(ValueError, match="twice"):
        Protocol.model_validate(protocol.model_dump() | {"candidates": twice})


def test_another_table_is_refused() -> None:
    with pytest.raises(StageError, match="no column 'Edema'"):
        build_protocol(made_up().drop(columns="Edema"))
    table = made_up()
    table["Path"] = [f"{i}.png" for i in range(len(table))]
    with pytest.raises(StageError, match="not CheXpert's"):
        build_protocol(table)


def test_published_lists_are_read_with_their_overlap(tmp_path: Path) -> None:
    table = made_up(each=4)
    classes = CLASSES["8x200"]
    pool = pools(table)
    for folder in ("image-retrieval", "text-retrieval"):
        (tmp_path / folder).mkdir()
    names = [image for name in classes for image in pool[name][:3]]
    found = table[table["Path"].map(image_name).isin(names)].fillna(0)
    found.to_csv(tmp_path / "image-retrieval" / "candidate.csv", index=False)
    asked = pd.DataFrame({"Variable": classes, "Path": [f"x/{pool[name][3]}" for name in classes]})
    # The query of the last class is another image of a candidate's participant.
    asked.loc[7, "Path"] = f"x/{participant_of(pool['Edema'][0])}/study9/view1_frontal.jpg"
    asked.to_csv(tmp_path / "image-retrieval" / "query.csv", index=False)
    with pytest.raises(StageError, match="published lists"):
        read_lists(tmp_path)
    said = pd.DataFrame({"Variable": classes, "Text": [f"There is {name}." for name in classes]})
    said.to_csv(tmp_path / "text-retrieval" / "query.csv", index=False)
    protocol = read_lists(tmp_path)
    assert protocol.seed is None
    assert protocol.candidates["Fracture"] == pool["Fracture"][:3]
    assert protocol.text_queries["Edema"] == ("There is Edema.",)
    assert protocol.overlap == (participant_of(pool["Edema"][0]),)
