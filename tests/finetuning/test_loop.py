import copy
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medssl.errors import ObjectiveError, StageError
from medssl.finetuning.heads import build_head
from medssl.finetuning.loop import Loop, choose_device, rate_factor, repeatable
from medssl.finetuning.network import Reader, TaskNetwork, predict_units
from medssl.finetuning.objectives import Situation
from medssl.finetuning.sampler import UnitSampler
from medssl.finetuning.scale import Scale
from medssl.inputs.waveforms import bare_waveforms
from medssl.views.normalise import zscore

CPU = torch.device("cpu")


def reader(read):
    """Reads as from a store whose only method is `read`."""
    return Reader(SimpleNamespace(read=read), bare_waveforms())


@pytest.fixture
def make_loop(waves, make_encoder, make_config):
    def make(kind="regression", *, start="bundle", people=16, read=None, **changes):
        config = make_config(kind, **changes)
        data = waves(people)
        units = data.units(kind)
        scale = Scale.of(units)
        torch.manual_seed(0)
        head = build_head(config.head, 8, scale.outputs, kind, width=4)
        network = TaskNetwork(make_encoder(), head, precision=config.precision)
        sampler = UnitSampler(
            units, batch_size=config.batch_size, seed=0,
            bag_size=config.bag_size if head.bags else 1,
            classes=config.chosen_objective.by_class,
        )  # fmt: skip
        objective = config.chosen_objective.build(Situation(units, scale, config.steps, 0))
        return Loop(
            network,
            sampler,
            objective,
            scale,
            config,
            start=start,
            read=reader(read or data.read),
            seed=0,
        )

    return make


def state(module):
    return copy.deepcopy(module.state_dict())


def same(left, right):
    return all(torch.equal(value, right[name]) for name, value in left.items())


def test_the_warm_up_leaves_the_encoder_and_its_statistics_untouched(make_loop):
    loop = make_loop(steps=5, warmup_steps=3, freeze_batch_norm=False)
    encoder, head = state(loop.network.encoder), state(loop.network.head)
    for step in range(3):
        loop.advance(step)
    assert same(encoder, loop.network.encoder.state_dict())
    assert not same(head, loop.network.head.state_dict())
    loop.advance(3)
    moved = loop.network.encoder.state_dict()
    assert not torch.equal(encoder["stem.0.weight"], moved["stem.0.weight"])
    assert not torch.equal(encoder["stem.1.running_mean"], moved["stem.1.running_mean"])


def test_batch_norm_keeps_the_statistics_of_pretraining(make_loop):
    loop = make_loop(warmup_steps=1)
    before = state(loop.network.encoder)
    for step in range(3):
        loop.advance(step)
    after = loop.network.encoder.state_dict()
    for name, value in before.items():
        if "running" in name or "num_batches" in name:
            assert torch.equal(value, after[name]), name
    assert not torch.equal(before["stem.0.weight"], after["stem.0.weight"])


def test_a_frozen_encoder_never_moves_and_one_from_scratch_moves_at_once(make_loop):
    frozen = make_loop(start="frozen")
    before = state(frozen.network.encoder)
    for step in range(6):
        frozen.advance(step)
    assert same(before, frozen.network.encoder.state_dict())
    scratch = make_loop(start="scratch")
    scratch.advance(0)
    assert not same(before, scratch.network.encoder.state_dict())


def test_rates_differ_by_layer_in_fine_tuning_alone(make_loop):
    rates = {
        start: {g["name"]: g["lr"] for g in make_loop(start=start).optimizer.param_groups}
        for start in ("bundle", "scratch")
    }
    assert rates["bundle"]["stem"] < rates["bundle"]["blocks.1"] < rates["bundle"]["head"]
    assert set(rates["scratch"].values()) == {rates["bundle"]["head"]}


def test_every_start_sees_the_same_batches_and_as_many(make_loop, waves):
    seen = {}
    for start in ("bundle", "frozen", "scratch"):
        rows = []

        def read(wanted, rows=rows):
            rows.append(wanted.tolist())
            return waves(16).read(wanted)

        loop = make_loop(start=start, read=read, validate_every=10)
        for step in range(6):
            loop.advance(step)
        seen[start] = rows
    assert len(seen["bundle"]) == 6
    assert seen["bundle"] == seen["frozen"] == seen["scratch"]


def test_the_best_weights_on_validation_units_are_kept(make_loop, waves):
    loop = make_loop(steps=40, validate_every=4, patience=100, learning_rate=0.01)
    validation = waves(9, seed=1).units("regression")
    training = loop.run(validation)
    losses = dict(training.history)
    assert training.steps == 40
    assert training.best_loss == min(losses.values()) == losses[training.best_step]
    assert loop.validate(validation) == pytest.approx(training.best_loss, rel=1e-6)


def test_it_stops_when_nothing_gets_better(make_loop, waves, monkeypatch):
    loop = make_loop(steps=60, warmup_steps=8, validate_every=2, patience=3)
    losses = iter([5.0, 4.0, 6.0, 6.0, 6.0, 3.0, 7.0, 7.0, 7.0, 1.0])
    monkeypatch.setattr(loop, "validate", lambda units: next(losses))
    training = loop.run(waves(9).units("regression"))
    assert training.best_loss == 3.0
    assert (training.best_step, training.steps) == (12, 18)


def test_equal_seeds_give_equal_weights(make_loop, waves):
    validation = waves(9, seed=1).units("regression")
    augment = {"channel_permutation": {"probability": 0}}
    found = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        with repeatable(CPU, 1):
            loop = make_loop(augment=augment)
            loop.run(validation)
        found.append(state(loop.network))
    assert same(*found)


def test_a_planted_target_is_learned(make_loop, waves, monkeypatch):
    validation, test = (waves(20, seed=seed) for seed in (1, 2))
    loop = make_loop(
        people=40, steps=120, warmup_steps=20, batch_size=32, learning_rate=5e-3,
        validate_every=20, patience=10,
    )  # fmt: skip
    found = predict_units(
        loop.network, reader(test.read), test.units("regression"), loop.scale, CPU
    )
    before = np.abs(found - test.values("regression")[0]).mean()

    def validate(units):
        natural = predict_units(loop.network, reader(validation.read), units, loop.scale, CPU)
        return float(np.abs(natural - units.values).mean())

    monkeypatch.setattr(loop, "validate", validate)
    loop.run(validation.units("regression"))
    found = predict_units(
        loop.network, reader(test.read), test.units("regression"), loop.scale, CPU
    )
    truth = test.values("regression")[0]
    error, naive = np.abs(found - truth).mean(), np.abs(truth - truth.mean()).mean()
    assert error < 0.6 * min(naive, before)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_losses_are_finite_in_every_precision(make_loop, precision):
    loop = make_loop("binary", precision=precision, warmup_steps=1)
    assert all(np.isfinite(loop.advance(step)["loss"]) for step in range(4))


def test_a_loss_that_is_not_finite_is_named(make_loop):
    loop = make_loop()
    with torch.no_grad():
        loop.network.head.last.weight.fill_(float("nan"))
    with pytest.raises(ObjectiveError, match="term loss is nan"):
        loop.advance(0)


def test_records_with_missing_samples_are_refused(make_loop, waves):
    broken = waves(16).data.copy()
    broken[:, 0, 5] = np.nan
    loop = make_loop(read=lambda rows: broken[rows])
    with pytest.raises(StageError, match="NaN or infinite"):
        loop.advance(0)


def test_the_learning_rate_falls_after_the_warm_up(make_config):
    config = make_config(steps=10, warmup_steps=4)
    factors = [rate_factor(step, config) for step in range(10)]
    assert factors[:5] == [1.0] * 5
    assert all(a > b for a, b in itertools.pairwise(factors[4:]))


def test_a_device_that_is_not_there_is_refused(make_config):
    with pytest.raises(StageError, match="16-mixed"):
        choose_device(make_config(precision="16-mixed"))
    if not torch.cuda.is_available():
        with pytest.raises(StageError, match="no GPU"):
            choose_device(make_config(accelerator="cuda"))


def test_the_callers_randomness_and_threads_are_left_alone():
    torch.manual_seed(3)
    wanted, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(3)
    with repeatable(CPU, 1):
        torch.manual_seed(99)
        torch.rand(5)
    assert torch.equal(torch.rand(1), wanted)
    assert torch.get_num_threads() == threads


def test_embeddings_of_all_units_are_pooled_one_by_one(make_loop, waves):
    for head in ("linear", "attention_mil"):
        loop = make_loop("binary", head=head, people=100)
        found = loop.embed_units()
        data = waves(100)
        with torch.no_grad():
            for unit in (0, 42, 99):
                rows = np.arange(3 * unit, 3 * unit + 3)
                features = loop.network.encode(zscore(torch.from_numpy(data.read(rows))))
                alone = loop.network.pool(features, torch.ones(1, 3, dtype=torch.bool))
                assert torch.allclose(found[unit], alone[0], atol=1e-5)
