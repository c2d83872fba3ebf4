"""The validation loss: told, obeyed by a plateau schedule and by `keep: best`, never learned."""

import json

import pytest
import torch
from safetensors.torch import load_file

from medssl.config import find_problems
from medssl.errors import ObjectiveError, StageError
from medssl.methods.config import MethodConfig
from medssl.methods.registry import build_method
from medssl.training.config import FitConfig
from medssl.training.fit import fit
from medssl.training.monitors import METRICS
from medssl.training.pair_data import PairData
from medssl.training.validation import BEST, Validation

VIEWS = {"channel_permutation": {"probability": 0}}
ENCODER = {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2}


def build(method="simclr", *, steps=12, **optimiser):
    config = MethodConfig.model_validate(
        {"encoder": ENCODER, "views": VIEWS, "method": method, "optimiser": optimiser,
         "head": {"hidden": 16, "out": 8, "dropout": 0.1}}
    )  # fmt: skip
    return build_method(config, seed=0, steps=steps)


def split(store):
    """Rows of 90 participants to train on, and of the others."""
    people = sorted(set(store.column("participant", store.rows())))
    return store.rows(participants=people[:90]), store.rows(participants=people[90:])


def settings(**changes):
    return FitConfig.model_validate(
        {"steps": 12, "batch_size": 32, "checkpoint_every": 3, "log_every": 1, "accelerator": "cpu",
         "monitor_every": 100, "validate_every": 2, "validate_batches": 2, **changes}
    )  # fmt: skip


def train(store, folder, made, *, stop=None, lines=None, **changes):
    config = settings(**changes)
    rows, others = split(store)

    def watch(step, values):
        if lines is not None:
            lines.setdefault(step, {}).update(
                {k: v for k, v in values.items() if "per_second" not in k}
            )
        if stop is not None and step >= stop and "train/loss" in values:
            raise KeyError(step)

    fit(
        made, PairData(store, rows, config, seed=0), config, folder, validation=others[:0],
        validation_pairs=PairData(store, others, config, seed=0), report=watch,
    )  # fmt: skip
    return made


def losses(lines):
    return {s: v["validation/loss"] for s, v in sorted(lines.items()) if "validation/loss" in v}


def differences(left, right):
    left, right = left.state_dict(), right.state_dict()
    assert left.keys() == right.keys()
    return [name for name in left if not torch.equal(left[name], right[name])]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_is_told_after_every_so_many_steps(ppg_store, tmp_path, accumulate):
    lines = {}
    train(ppg_store, tmp_path, build(), lines=lines, accumulate=accumulate, validate_every=3)
    assert sorted(losses(lines)) == [3, 6, 9, 12]
    best = [lines[step]["validation/best_loss"] for step in (3, 6, 9, 12)]
    values = list(losses(lines).values())
    assert best == [min(values[: n + 1]) for n in range(4)]
    told = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [e["validation/loss"] for e in told if "validation/loss" in e] == values


@pytest.mark.parametrize(
    "method",
    ["simclr", {"name": "moco", "queue": 50}, {"name": "swav", "prototypes": 8, "queue": 50},
     {"name": "byol", "predictor_hidden": 16}],
    ids=lambda one: one if isinstance(one, str) else one["name"],
)  # fmt: skip
def test_training_does_not_notice_that_it_is_measured(ppg_store, tmp_path, method):
    """Queues, teachers and batch norm learn nothing, dropout comes back, no draw is lost."""
    measured = train(ppg_store, tmp_path / "a", build(method), steps=6, keep="last")
    alone = train(ppg_store, tmp_path / "b", build(method), steps=6, validate_every=0)
    assert differences(measured, alone) == []


def test_every_module_keeps_its_mode(ppg_store, tmp_path):
    config = settings()
    made = build("byol")
    made.head.eval()  # as somebody may have frozen it
    _, others = split(ppg_store)
    pairs = PairData(ppg_store, others, config, seed=0)
    before = {module: module.training for module in made.modules()}
    seen = []
    made.encoder.register_forward_hook(lambda module, *_: seen.append(module.training))
    first = Validation(pairs, config, tmp_path, report=None).measure(made)
    assert first == Validation(pairs, config, tmp_path, report=None).measure(made)
    assert {module: module.training for module in made.modules()} == before
    assert not any(seen)


def test_the_best_weights_are_kept(ppg_store, tmp_path, monkeypatch):
    given, states = iter([5.0, 3.0, 4.0, 3.0, 6.0, 9.0]), []
    made = build(steps=6)

    def measure(self, method, *_):
        states.append({name: value.clone() for name, value in method.state_dict().items()})
        return next(given)

    monkeypatch.setattr(Validation, "measure", measure)
    train(ppg_store, tmp_path, made, steps=6, keep="best", validate_every=1)
    saved, kept = load_file(tmp_path / BEST), made.state_dict()
    assert len(states) == 6
    assert all(torch.equal(kept[name], value) for name, value in states[1].items())
    assert all(torch.equal(saved[name], value) for name, value in states[1].items())
    assert any(not torch.equal(kept[name], value) for name, value in states[5].items())


@pytest.mark.parametrize("stop", [1, 4, 7, 11])
def test_a_run_that_died_and_went_on_chose_the_same_weights(ppg_store, tmp_path, stop):
    optimiser = {"learning_rate": 0.05, "schedule": "plateau", "patience": 2}
    whole, again = {}, {}
    changes = {"keep": "best", "validate_every": 1}
    expected = train(ppg_store, tmp_path / "a", build(**optimiser), lines=whole, **changes)
    with pytest.raises(KeyError):
        train(ppg_store, tmp_path / "b", build(**optimiser), stop=stop, lines=again, **changes)
    resumed = train(ppg_store, tmp_path / "b", build(**optimiser), lines=again, **changes)
    assert differences(expected, resumed) == []
    assert whole == again
    assert len({values["train/learning_rate"] for values in whole.values()}) > 1
    # Once more, when nothing is left to do.
    assert differences(
        expected, train(ppg_store, tmp_path / "b", build(**optimiser), **changes)
    ) == []  # fmt: skip


def test_a_plateau_halves_the_learning_rate(ppg_store, tmp_path, monkeypatch):
    given = iter([5.0, 4.0, 4.5, 4.0, 3.9, 6, 6, 6, 6, 6, 6, 6])
    monkeypatch.setattr(Validation, "measure", lambda *_: next(given))
    lines = {}
    made = build(learning_rate=0.08, schedule="plateau", patience=2)
    train(ppg_store, tmp_path, made, lines=lines, validate_every=1)
    rates = [round(lines[step]["train/learning_rate"] / 0.08, 6) for step in range(1, 13)]
    # Two validations without a fall: after steps 4, 7, 9 and 11; the step after next moves slower.
    halvings = [sum(step + 1 > done + 1 for done in (4, 7, 9, 11)) for step in range(1, 13)]
    assert rates == [0.5**n for n in halvings]
    assert made.learning_rate_factor == 0.5**4


def test_processes_share_the_batches_of_one(ppg_store, tmp_path, monkeypatch):
    _, others = split(ppg_store)
    pairs = PairData(ppg_store, others, settings(), seed=0)
    made, seen = build(), []
    monkeypatch.setattr(
        made, "loss", lambda batch: seen.append(batch["places"]) or {"loss": torch.tensor(1.0)}
    )
    for rank, world_size in ((0, 1), (0, 3), (1, 3), (2, 3)):
        measured = Validation(
            pairs, settings(batch_size=30, validate_batches=1), tmp_path, report=None
        )
        assert measured.measure(made, rank, world_size) == 1
    whole, *parts = (places.tolist() for places in seen)
    assert [len(part) for part in parts] == [10] * 3
    assert [parts[place % 3][place // 3] for place in range(30)] == whole


def test_a_loss_that_is_not_finite_is_an_error_that_names_it(ppg_store, tmp_path):
    made = build()
    with torch.no_grad():
        next(made.head.parameters()).fill_(torch.nan)
    pairs = PairData(ppg_store, split(ppg_store)[1], settings(), seed=0)
    with pytest.raises(ObjectiveError, match="the term loss is nan"):
        Validation(pairs, settings(), tmp_path, report=None).measure(made)


@pytest.mark.parametrize(("people", "found"), [(0, 0), (1, 1)])
def test_too_few_validation_participants_are_told_at_once(ppg_store, tmp_path, people, found):
    rows = ppg_store.rows()
    names = sorted(set(ppg_store.column("participant", rows)))[:people]
    config = settings()
    data = PairData(ppg_store, rows, config, seed=0)
    few = PairData(ppg_store, ppg_store.rows(participants=names), config, seed=0)
    says = f"needs 2 pairs of different validation participants and there are {found}: enlarge"
    with pytest.raises(StageError, match=says):
        fit(build(), data, config, tmp_path, validation=rows[:0], validation_pairs=few)
    with pytest.raises(StageError, match="and there are 0"):
        fit(build(), data, config, tmp_path, validation=rows[:0], validation_pairs=None)


def test_few_participants_make_small_batches(ppg_store, tmp_path):
    names = sorted(set(ppg_store.column("participant", ppg_store.rows())))[:5]
    config = settings(batch_size=32, validate_batches=50)
    few = PairData(ppg_store, ppg_store.rows(participants=names), config, seed=0)
    assert few.largest_batch() == 5
    value = Validation(few, config, tmp_path, report=None).measure(build())
    assert 0 < value < 3  # of 9 candidates


@pytest.mark.parametrize(
    "values", [{"keep": "best"}, {"keep": "best", "validate_every": 20, "steps": 10}]
)
def test_the_best_of_nothing_cannot_be_kept(values):
    (problem,) = find_problems(FitConfig, values, where="pretrain")
    assert "set validate_every, to steps at most" in problem
