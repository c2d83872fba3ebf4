"""Simultaneous pairs through the whole loop: two modalities, two encoders, one run."""

import json

import numpy as np
import pytest
import torch

from medssl.errors import StageError
from medssl.methods.config import MethodConfig
from medssl.methods.registry import build_method
from medssl.records import Record
from medssl.store import write_store
from medssl.training.config import FitConfig
from medssl.training.fit import fit
from medssl.training.monitors import METRICS
from medssl.training.pair_data import PairData
from medssl.types import Modality

PEOPLE, SEGMENTS = 9, 5
VIEWS = {"channel_permutation": {"probability": 0}}
METHOD = MethodConfig.model_validate(
    {
        "encoder": {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2},
        "head": {"hidden": 16, "out": 8, "dropout": 0.1},
        "views": VIEWS,
        "method": {"name": "multiview", "views_per_record": 2},
        "partner": {
            "encoder": {"name": "vit1d", "channels": 2, "patch": 8, "width": 8, "depth": 1},
            "views": VIEWS,
        },
    }
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A rhythm of each moment, seen by two sensors at different rates."""
    rng = np.random.default_rng(0)
    records = []
    for person in range(PEOPLE):
        for number in range(SEGMENTS):
            beats, phase = rng.uniform(1, 4), rng.uniform(0, 6)
            for modality, rate, channels in (("ppg", 32.0, 1), ("ecg", 64.0, 2)):
                time = np.arange(round(2 * rate)) / rate
                wave = np.sin(6.28 * beats * time + phase) + rng.normal(size=(channels, len(time)))
                records.append(
                    Record(
                        participant=f"p{person}", session="s", recording="r", units="counts",
                        modality=Modality(modality), data=wave.astype(np.float32), rate=rate,
                        source_digest="0" * 32, start=2.0 * number, source=modality,
                        channels=tuple(f"c{i}" for i in range(channels)),
                    )
                )  # fmt: skip
    return write_store(tmp_path_factory.mktemp("both") / "store", records)


def train(store, folder, *, steps=8, stop=None, **changes):
    settings = FitConfig.model_validate(
        {"steps": steps, "batch_size": 8, "checkpoint_every": 3, "log_every": 1,
         "pairs": {"level": "moment", "partner": "ecg", "per_participant": 2},
         "monitor_every": 5, "accelerator": "cpu", **changes}
    )  # fmt: skip
    made = build_method(METHOD, seed=0, steps=steps)
    ppg, ecg = store.rows(modality="ppg"), store.rows(modality="ecg")
    data = PairData(store, ppg, settings, seed=0, partner_rows=ecg)

    def watch(step, values):
        if stop is not None and step >= stop:
            raise KeyError(step)

    fit(made, data, settings, folder, validation=ppg[:20], report=watch)
    return made


def test_batches_hold_simultaneous_segments_of_both_modalities(store):
    settings = FitConfig.model_validate(
        {"batch_size": 8, "pairs": {"level": "moment", "partner": "ecg", "per_participant": 2}}
    )
    ppg, ecg = store.rows(modality="ppg"), store.rows(modality="ecg")
    data = PairData(store, ppg, settings, seed=0, partner_rows=ecg)
    for batch in data.sampler().epoch(0):
        assert set(store.column("modality", batch.first)) == {"ppg"}
        assert set(store.column("modality", batch.second)) == {"ecg"}
        for name in ("participant", "start"):
            assert (store.column(name, batch.first) == store.column(name, batch.second)).all()
        assert len(set(batch.first.tolist())) == 8
        assert len(set(batch.participants.tolist())) == 4


@pytest.mark.parametrize("stop", [1, 4])
def test_a_run_that_died_and_went_on_ends_with_both_encoders_the_same(store, tmp_path, stop):
    whole = train(store, tmp_path / "whole").state_dict()
    with pytest.raises(KeyError):
        train(store, tmp_path / "died", stop=stop)
    resumed = train(store, tmp_path / "died").state_dict()
    assert {key.split(".")[0] for key in whole} == {
        "encoder", "head", "learning_rate_factor", "partner_encoder", "partner_head",
    }  # fmt: skip
    assert [key for key in whole if not torch.equal(whole[key], resumed[key])] == []


def test_two_processes_share_every_batch(store, tmp_path):
    made = train(store, tmp_path, steps=3, devices=2).state_dict()
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert len([e for e in lines if "train/mv_dhel" in e]) == 3
    fresh = build_method(METHOD, seed=0, steps=3).state_dict()
    for part in ("encoder", "head", "partner_encoder", "partner_head"):
        names = [name for name in made if name.startswith(f"{part}.")]
        assert any(not torch.equal(made[name], fresh[name]) for name in names), part


def test_without_a_second_modality_there_is_no_moment(store):
    settings = FitConfig.model_validate(
        {"batch_size": 8, "pairs": {"level": "moment", "partner": "ecg"}}
    )
    with pytest.raises(StageError, match="cut from the same recording at the same start"):
        PairData(store, store.rows(modality="ppg"), settings, seed=0)
