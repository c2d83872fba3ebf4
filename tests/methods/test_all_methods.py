"""What every method that a configuration can name must do; a new one joins by being registered."""

import copy
import importlib.util
import pickle
import typing
from pathlib import Path

import pytest
import torch
import yaml

from medssl.config import find_problems
from medssl.errors import ObjectiveError
from medssl.methods.config import Method, MethodConfig, has_teacher
from medssl.methods.registry import METHODS, build_method
from medssl.stages.pretrain import PretrainConfig
from medssl.training.config import FitConfig
from medssl.training.fit import fit
from medssl.training.pair_data import PairData

WORKER = Path(__file__).with_name("ranks_worker.py")
UNDEFINED_FOR_ONE_ROW = {
    "wearable": "koleo",
    "byol": "byol",
    "barlow_twins": "barlow_twins_loss",
    "vicreg": "vicreg_loss",
}
"""Who refuses a batch of one pair; the others give a finite loss."""


def load(path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


worker = load(WORKER)
every_method = pytest.mark.parametrize("name", sorted(METHODS))
every_method_that_sees_rows_alike = pytest.mark.parametrize(
    "name", sorted(METHODS.keys() - worker.DRAWS_BY_PLACE)
)


def build(name, *, seed=0, steps=12, **changes):
    """A method that is quick, in single precision."""
    return build_method(worker.config(name, **changes), seed=seed, steps=steps)


def singles(batch):
    return {
        name: value.float() if torch.is_tensor(value) and value.is_floating_point() else value
        for name, value in batch.items()
    }


def train(store, folder, made, *, steps, stop=None, losses=None, **changes):
    """Train for `steps`; `stop` raises in the middle, as a crash would."""
    settings = FitConfig.model_validate(
        {"steps": steps, "batch_size": 32, "checkpoint_every": 3, "log_every": 1,
         "monitor_every": 5, "accelerator": "cpu", **changes}
    )  # fmt: skip

    def watch(step, values):
        if losses is not None and "train/loss" in values:
            losses[step] = values["train/loss"]
        if stop is not None and step >= stop:
            raise KeyError(step)

    data = PairData(store, store.rows(), settings, seed=0)
    fit(made, data, settings, folder, validation=store.rows()[:60], report=watch)
    return made


def test_registry_and_configuration_name_the_same_methods():
    names = {config.model_fields["name"].default for config in typing.get_args(Method)}
    assert names == set(METHODS)
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


@every_method
def test_a_name_is_enough_and_survives_yaml(name):
    values = {"method": name, "encoder": worker.ENCODERS.get(name, worker.RESNET)}
    config = MethodConfig.model_validate(values)
    assert config.method.name == name
    text = yaml.safe_dump(config.model_dump(mode="json"))
    assert MethodConfig.model_validate(yaml.safe_load(text)) == config


@every_method
def test_training_reduces_the_loss(ppg_store, tmp_path, name):
    losses = {}
    views = {"channel_permutation": {"probability": 0}}
    train(ppg_store, tmp_path, build(name, views=views, steps=80), steps=80, losses=losses)
    values = [losses[step] for step in sorted(losses)]
    assert len(values) == 80
    # The first ten are left out: a queue that fills makes its task harder.
    assert sum(values[-20:]) < 0.98 * sum(values[10:30]), values


@every_method
@pytest.mark.parametrize(("stop", "accumulate"), [(4, 1), (8, 2)])
def test_a_run_that_died_and_went_on_ends_with_the_same_state(
    ppg_store, tmp_path, name, stop, accumulate
):
    """All of it: encoder, head, teacher, predictor, queue; optimiser and schedule decide them."""
    settings = {"steps": 12, "accumulate": accumulate}
    whole, again = {}, {}

    def made():
        return build(
            name, dropout=0.1, views={"channel_permutation": {"probability": 0}},
            optimiser={"schedule": "cosine", "warmup_steps": 3},
        )  # fmt: skip

    torch.manual_seed(5)
    expected = train(ppg_store, tmp_path / "a", made(), losses=whole, **settings)
    torch.manual_seed(6)  # nothing may depend on what a process happens to start with
    with pytest.raises(KeyError):
        train(ppg_store, tmp_path / "b", made(), stop=stop, losses=again, **settings)
    resumed = train(ppg_store, tmp_path / "b", made(), losses=again, **settings)
    left, right = expected.state_dict(), resumed.state_dict()
    assert left.keys() == right.keys()
    assert [key for key in left if not torch.equal(left[key], right[key])] == []
    assert whole == again


@every_method_that_sees_rows_alike
def test_the_order_of_the_batch_does_not_matter(name):
    batch = singles(worker.batch(0))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    moved = {k: v[order] if torch.is_tensor(v) else v for k, v in batch.items()}
    made = build(name)
    value, permuted = copy.deepcopy(made).loss(batch), copy.deepcopy(made).loss(moved)
    for term in value:
        torch.testing.assert_close(value[term], permuted[term], rtol=1e-4, atol=1e-5)


@every_method
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite_and_the_loss_single(name, dtype):
    made = build(name)
    batch = singles(worker.batch(0))
    # Two pairs that look alike: similarities of 1, e²⁵ at the wearable method's temperature.
    batch["first"][1], batch["second"][1] = batch["first"][0], batch["second"][0]
    with torch.autocast("cpu", dtype=dtype):
        terms = made.loss(batch)
    assert {value.dtype for value in terms.values()} == {torch.float32}
    assert all(torch.isfinite(value) for value in terms.values())
    terms["loss"].backward()
    trained = [p for module in made.trained() for p in module.parameters()]
    assert all(torch.isfinite(p.grad).all() for p in trained)
    assert sum(p.grad.abs().sum() for p in trained) > 0


@every_method
def test_a_batch_of_one_pair_is_refused_or_finite(name):
    made = build(name)
    batch = singles(worker.batch(0, size=1))
    if name in UNDEFINED_FOR_ONE_ROW:
        with pytest.raises(ObjectiveError, match=f"^{UNDEFINED_FOR_ONE_ROW[name]}: "):
            made.loss(batch)
    else:
        terms = made.loss(batch)
        assert all(torch.isfinite(value) for value in terms.values())


@every_method
def test_it_can_be_sent_to_another_process(name):
    made = build(name)
    again = pickle.loads(pickle.dumps(made))
    left, right = made.state_dict(), again.state_dict()
    assert all(torch.equal(left[key], right[key]) for key in left)


@every_method
def test_the_seed_decides_the_weights_also_when_it_is_zero(name):
    torch.manual_seed(99)
    first = build(name, seed=0).state_dict()
    torch.manual_seed(1)
    second, other = build(name, seed=0).state_dict(), build(name, seed=1).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


@every_method
def test_the_optimiser_moves_all_that_is_trained_and_no_teacher(name):
    made = build(name)
    optimizer = made.configure_optimizers()["optimizer"]
    owned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert owned == {id(p) for p in made.parameters() if p.requires_grad}
    if made.teacher is not None:
        assert not owned & {id(p) for p in made.teacher.parameters()}


@every_method
def test_the_students_encoder_is_exported_and_the_teachers_where_there_is_one(name):
    made = build(name)
    encoder, head = made.exported("student")
    assert encoder is made.encoder
    assert encoder(torch.randn(2, 1, 64)).shape == (2, encoder.dim)
    assert head is None or head is made.head
    assert (made.teacher is not None) == has_teacher(made.config.method)
    if made.teacher is None:
        with pytest.raises(ObjectiveError, match="no teacher: use pretrain.export=student"):
            made.exported("teacher")
    else:
        encoder, _ = made.exported("teacher")
        assert encoder.state_dict().keys() == made.encoder.state_dict().keys()


@every_method
def test_exporting_a_teacher_that_is_not_kept_is_an_error_of_the_configuration(name):
    values = {
        "method": name, "encoder": worker.ENCODERS.get(name, worker.RESNET), "modality": "ppg",
        "export": "teacher",
    }  # fmt: skip
    problems = find_problems(PretrainConfig, values, where="pretrain")
    if has_teacher(worker.config(name).method):
        assert problems == []
    else:
        assert problems == [
            f"pretrain.export: method {name} keeps no teacher here; use export: student "
            "(got 'teacher')"
        ]


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks(WORKER)


@every_method_that_sees_rows_alike
def test_two_processes_have_loss_gradient_and_state_of_one(ranks, name):
    expected = worker.outcome(worker.Steps(name), slice(None))
    assert expected["gradients"]
    for rank in ranks:
        found = rank[name]
        torch.testing.assert_close(found["loss"], expected["loss"], rtol=1e-9, atol=0)
        torch.testing.assert_close(found["gradients"], expected["gradients"], rtol=1e-6, atol=1e-10)
        torch.testing.assert_close(found["buffers"], expected["buffers"])
