from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medssl.bundle import Encoder
from medssl.contracts import WaveformContract
from medssl.errors import ContractError, StageError
from medssl.evaluation.cross_modal import Projector, moment_retrieval
from medssl.records import Record
from medssl.sampling.moments import Moments, match_moments
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId

PEOPLE, COUNT = 5, 4
RATES = {"ppg": 4.0, "ecg": 8.0}


class Pick(nn.Module):
    """Some of the samples, as they are or backwards."""

    def __init__(self, samples: slice, *, backwards: bool) -> None:
        super().__init__()
        self.samples = samples
        self.backwards = backwards
        self.dim = len(range(8)[samples])

    def layers(self) -> dict[str, nn.Module]:
        return {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flip(-1) if self.backwards else x
        return x[:, 0, self.samples]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Four samples tell the participant, four the moment; the ECG has them backwards."""
    rng = np.random.default_rng(0)
    records = []
    for person in range(PEOPLE):
        own = rng.normal(size=4)
        for moment in range(COUNT):
            # Moments permute the same numbers: the z-score is one for all of a participant.
            values = np.concatenate([own, np.roll([-2.0, -0.5, 0.5, 2.0], moment)])
            for modality in RATES:
                data = values if modality == "ppg" else values[::-1]
                records.append(
                    Record(
                        participant=ParticipantId(f"p{person}"), session="s", recording="r",
                        modality=Modality(modality), data=data[None].astype(np.float32),
                        source_digest="0" * 32, rate=RATES[modality], channels=("c",),
                        units="counts", start=3.0 * moment, source=modality,
                    )
                )  # fmt: skip
    return write_store(tmp_path / "store", records)


def projector(modality: str, samples: slice) -> Projector:
    contract = WaveformContract(
        modality=Modality(modality), rate=RATES[modality], channels=("c",), units="counts", length=8
    )
    module = Pick(samples, backwards=modality == "ecg")
    return Encoder(module, contract, digest="0", device="cpu"), nn.Identity()


def moments(store: Store) -> Moments:
    return match_moments(store, store.rows(modality="ppg"), store.rows(modality="ecg"))


def scores(store: Store, samples: slice) -> dict[tuple[str, str], tuple[float, float]]:
    table = moment_retrieval(
        projector("ppg", samples), projector("ecg", samples), store, moments(store),
        ks=(1, 2), replicates=50,
    )  # fmt: skip
    assert {row.n_participants for row in table.rows} == {PEOPLE}
    assert {row.n_queries for row in table.rows} == {PEOPLE * COUNT}
    return {
        (row.task, f"{row.metric}@{row.k}"): (row.interval.value, row.chance) for row in table.rows
    }


TASKS = ("ppg → ecg", "ecg → ppg")
OWN = tuple(f"{task}, own participant" for task in TASKS)


def test_an_encoder_that_sees_the_moment_finds_it_everywhere(store: Store) -> None:
    found = scores(store, slice(0, 8))
    for task in (*TASKS, *OWN):
        assert found[task, "recall@1"][0] == 1
    # One right answer among its own and the sixteen moments of others, or among its own four.
    assert found[TASKS[0], "recall@1"][1] == pytest.approx(1 / 17)
    assert found[OWN[0], "recall@1"][1] == pytest.approx(1 / 4)
    assert found[OWN[1], "recall@2"][1] == pytest.approx(2 / 4)


def test_recognising_people_is_no_recognition_of_moments(store: Store) -> None:
    found = scores(store, slice(0, 4))
    for task in TASKS:
        assert found[task, "recall@1"][0] == 1
    for task in OWN:
        for metric in ("recall@1", "recall@2", "mrr@None"):
            value, chance = found[task, metric]
            assert value == pytest.approx(chance)


def test_a_participant_with_one_moment_asks_nothing_of_itself(store: Store) -> None:
    everything = moments(store)
    few = Moments(
        everything.first[:-3], everything.second[:-3], everything.participants[:-3], (0, 0)
    )
    sides = projector("ppg", slice(0, 8)), projector("ecg", slice(0, 8))
    table = moment_retrieval(*sides, store, few, ks=(1,), replicates=50)
    assert table.row(OWN[0], "recall", 1).n_participants == PEOPLE - 1
    assert table.row(TASKS[0], "recall", 1).n_participants == PEOPLE
    assert any("left out: 1" in note for note in table.notes)


def test_refusals(store: Store) -> None:
    ppg, ecg = projector("ppg", slice(0, 8)), projector("ecg", slice(0, 8))
    with pytest.raises(ContractError, match="the rows hold ppg and this encoder expects ecg"):
        moment_retrieval(ecg, ppg, store, moments(store))
    none = np.empty(0, dtype=np.int64)
    with pytest.raises(StageError, match="no moment to look for"):
        moment_retrieval(ppg, ecg, store, Moments(none, none, np.empty(0), (0, 0)))
    with pytest.raises(StageError, match="heads that share one space"):
        moment_retrieval(ppg, projector("ecg", slice(0, 4)), store, moments(store))
