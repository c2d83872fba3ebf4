import json

import pytest
import torch

from medssl.errors import ObjectiveError, StageError
from medssl.methods.config import MethodConfig
from medssl.methods.registry import build_method
from medssl.training.config import FitConfig
from medssl.training.fit import fit
from medssl.training.monitors import METRICS
from medssl.training.pair_data import PairData

METHOD = MethodConfig.model_validate(
    {
        "encoder": {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2},
        "head": {"hidden": 16, "out": 8, "dropout": 0.1},
        "views": {"channel_permutation": {"probability": 0}},
    }
)


def train(store, folder, *, steps=12, stop=None, seed=0, config=METHOD, report=None, **changes):
    """Train for `steps`; `stop` raises in the middle, as a crash would."""
    settings = FitConfig.model_validate(
        {"steps": steps, "batch_size": 32, "checkpoint_every": 3, "log_every": 1,
         "monitor_every": 5, "accelerator": "cpu", **changes}
    )  # fmt: skip
    made = build_method(config, seed=seed, steps=steps)
    data = PairData(store, store.rows(), settings, seed=seed)

    def watch(step, values):
        if report is not None:
            report(step, values)
        if stop is not None and step >= stop:
            raise KeyError(step)

    fit(made, data, settings, folder, validation=store.rows()[:60], report=watch)
    return made


def state(made):
    return {**made.encoder.state_dict(), **made.head.state_dict(prefix="head."),
            **made.teacher.state_dict(prefix="teacher.")}  # fmt: skip


def equal(left, right):
    return all(torch.equal(a, right[name]) for name, a in left.items())


@pytest.mark.parametrize("stop", [1, 3, 4, 8, 12])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_died_and_went_on_ends_with_the_same_weights(
    ppg_store, tmp_path, stop, accumulate
):
    whole = state(train(ppg_store, tmp_path / "whole", accumulate=accumulate))
    with pytest.raises(KeyError):
        train(ppg_store, tmp_path / "died", stop=stop, accumulate=accumulate)
    resumed = state(train(ppg_store, tmp_path / "died", accumulate=accumulate))
    assert equal(whole, resumed)
    lines = [
        [json.loads(line) for line in (tmp_path / name / METRICS).read_text().splitlines()]
        for name in ("whole", "died")
    ]
    losses = [{e["step"]: e["train/loss"] for e in entry if "train/loss" in e} for entry in lines]
    assert losses[0] == losses[1]
    assert sorted(losses[0]) == list(range(1, 13))


def test_training_learns_and_depends_on_the_seed(ppg_store, tmp_path):
    losses = []
    made = train(
        ppg_store, tmp_path / "a", steps=150,
        report=lambda _, v: losses.append(v["train/infonce"]) if "train/infonce" in v else None,
    )  # fmt: skip
    assert sum(losses[-20:]) < 0.95 * sum(losses[:20])
    other = train(ppg_store, tmp_path / "b", steps=150, seed=1)
    assert not equal(state(made), state(other))


def test_the_monitors_report_terms_and_collapse(ppg_store, tmp_path):
    seen = {}
    train(ppg_store, tmp_path, report=lambda step, values: seen.setdefault(step, {}).update(values))
    assert {"train/loss", "train/infonce", "train/koleo_student", "train/learning_rate"} <= set(
        seen[1]
    )
    assert seen[5]["validation/effective_rank_centred"] > 1
    assert "train/pairs_per_second" in seen[2]


def test_bfloat16_trains_to_finite_weights(ppg_store, tmp_path):
    made = train(ppg_store, tmp_path, steps=4, precision="bf16-mixed")
    assert all(torch.isfinite(v).all() for v in state(made).values() if v.is_floating_point())


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_term(ppg_store, tmp_path):
    config = METHOD.model_copy(
        update={"optimiser": METHOD.optimiser.model_copy(update={"learning_rate": 1e30})}
    )
    with pytest.raises(ObjectiveError, match=r"step \d+: the term .* is nan; lower"):
        train(ppg_store, tmp_path, config=config)


def test_a_run_too_short_to_log_leaves_an_empty_log(ppg_store, tmp_path):
    train(ppg_store, tmp_path, steps=2, log_every=10)
    assert (tmp_path / METRICS).read_text() == ""


def test_too_large_batches_fail_before_anything_is_written(ppg_store, tmp_path):
    with pytest.raises(StageError, match="set pretrain.batch_size to 131 or less"):
        train(ppg_store, tmp_path / "x", batch_size=200)
    assert not (tmp_path / "x").exists()


def test_a_run_builds_one_loader_and_detects_no_anomalies_at_every_operation(
    ppg_store, tmp_path, monkeypatch
):
    built, anomalies = [], []
    build = PairData.train_dataloader
    monkeypatch.setattr(PairData, "train_dataloader", lambda data: built.append(1) or build(data))
    train(
        ppg_store, tmp_path, report=lambda *_: anomalies.append(torch.is_anomaly_enabled())
    )  # fmt: skip
    assert built == [1]
    assert anomalies
    assert not any(anomalies)


def test_two_processes_share_every_batch(ppg_store, tmp_path):
    """Real gloo processes: half of each batch on each rank, one loss over the whole batch."""
    made = train(ppg_store, tmp_path, steps=3, devices=2)
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    losses = [e["train/infonce"] for e in lines if "train/infonce" in e]
    assert len(losses) == 3
    # Untrained projections are about equally similar: log of the 2B − 1 candidates of all ranks.
    assert losses[0] == pytest.approx(torch.tensor(63.0).log(), abs=0.5)
    assert losses[0] > torch.tensor(31.0).log() + 0.3
    fresh = build_method(METHOD, seed=0, steps=3)
    assert not equal(state(made), state(fresh))
