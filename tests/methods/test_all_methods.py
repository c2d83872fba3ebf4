"""What every method that a configuration can name must do; a new one joins by being registered."""

import copy
import importlib.util
import pickle
import sys
import typing
from pathlib import Path

import pytest
import torch
import yaml

from medssl.batches import Cells, Pictures
from medssl.config import find_problems
from medssl.errors import ObjectiveError
from medssl.methods.config import Method, MethodConfig, has_teacher
from medssl.methods.contrasts import Contrast
from medssl.methods.registry import METHODS
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
    "convirt dcl": "decoupled_loss",
    "convirt isogclr": "ISogCLR",
    "convirt with every term": "barlow_twins_loss",
}
"""Who refuses a batch of one pair; the others give a finite loss."""
SURROGATES = {"convirt isogclr": "train/dro"}
"""Losses of which the gradient alone means something, and what is watched instead."""


def load(path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module  # where pickle looks for its classes
    specification.loader.exec_module(module)
    return module


worker = load(WORKER)
cases = worker.cases
build = cases.build
CASES = cases.CASES
every_method = pytest.mark.parametrize("name", sorted(METHODS))
every_case = pytest.mark.parametrize("name", sorted(CASES))
every_case_that_sees_rows_alike = pytest.mark.parametrize(
    "name", sorted(CASES.keys() - cases.DRAWS_BY_PLACE)
)


@pytest.fixture
def store(request, name):
    """The records that a case is trained on."""
    kind = CASES[name].kind
    return request.getfixturevalue("ppg_store" if kind == "waves" else "studies_store")


def singles(batch):
    """The batch in single precision; it is changed by nobody."""

    def single(value):
        return value.float() if torch.is_tensor(value) and value.is_floating_point() else value

    return {
        name: type(value)(*map(single, value)) if isinstance(value, Pictures | Cells)
        else single(value)
        for name, value in batch.items()
    }  # fmt: skip


def pairs(store, name, settings):
    """Pairs of all records of the store that a case can read."""
    case, inputs = CASES[name], cases.inputs(name)
    rows, others = store.rows(modality=case.modality), None
    if case.kind == "reports":
        rows = inputs["inputs"].usable(store, rows)
    if "partner_inputs" in inputs:
        found = rows if case.kind == "table" else store.rows(modality="report")
        others = inputs["partner_inputs"].usable(store, found)
    return PairData(store, rows, settings, seed=0, partner_rows=others, **inputs)


def train(store, folder, name, *, steps, stop=None, losses=None, accumulate=1, **made_with):
    """Train a case for `steps`; `stop` raises in the middle, as a crash would."""
    size = 32 if CASES[name].kind in ("waves", "studies") else 16
    settings = FitConfig.model_validate(
        {"steps": steps, "batch_size": size, "checkpoint_every": 3, "log_every": 1,
         "monitor_every": 5, "accelerator": "cpu", "accumulate": accumulate,
         "pairs": CASES[name].pairs}
    )  # fmt: skip
    data = pairs(store, name, settings)
    made = build(name, steps=steps, facts=data.facts(), **made_with)

    def watch(step, values):
        watched = SURROGATES.get(name, "train/loss")
        if losses is not None and watched in values:
            losses[step] = values[watched]
        if stop is not None and step >= stop:
            raise KeyError(step)

    fit(made, data, settings, folder, validation=data.rows[:60], report=watch)
    return made


def test_registry_and_configuration_name_the_same_methods():
    names = {config.model_fields["name"].default for config in typing.get_args(Method)}
    assert names == set(METHODS)
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


@every_method
def test_a_name_is_enough_and_survives_yaml(name):
    case = CASES[name]
    values = {"method": name, "encoder": case.encoder, "partner": case.partner}
    if case.kind in ("studies", "table"):
        values["views"] = {"size": cases.SIZE}
    config = MethodConfig.model_validate(values)
    assert config.method.name == name
    text = yaml.safe_dump(config.model_dump(mode="json"))
    assert MethodConfig.model_validate(yaml.safe_load(text)) == config


@every_case
def test_training_reduces_the_loss(store, tmp_path, name):
    losses = {}
    views = {"channel_permutation": {"probability": 0}} if CASES[name].kind == "waves" else None
    train(store, tmp_path, name, views=views, steps=80, losses=losses)
    values = [losses[step] for step in sorted(losses)]
    assert len(values) == 80
    # The first ten are left out: a queue that fills makes its task harder.
    assert sum(values[-20:]) < 0.98 * sum(values[10:30]), values


@pytest.mark.parametrize(
    ("name", "stop", "accumulate"),
    [(name, *how) for name in sorted(CASES) for how in ((4, 1), (8, 2))
     if name in METHODS or how == (8, 2)],
)  # fmt: skip
def test_a_run_that_died_and_went_on_ends_with_the_same_state(
    store, tmp_path, name, stop, accumulate
):
    """All of it: encoder, head, teacher, queue, temperatures; optimiser and schedule decide it."""
    whole, again = {}, {}
    settings = {
        "steps": 12, "accumulate": accumulate, "dropout": 0.1,
        "views": {"channel_permutation": {"probability": 0}},
        "optimiser": {"schedule": "cosine", "warmup_steps": 3},
    }  # fmt: skip
    torch.manual_seed(5)
    expected = train(store, tmp_path / "a", name, losses=whole, **settings)
    torch.manual_seed(6)  # nothing may depend on what a process happens to start with
    with pytest.raises(KeyError):
        train(store, tmp_path / "b", name, stop=stop, losses=again, **settings)
    resumed = train(store, tmp_path / "b", name, losses=again, **settings)
    left, right = expected.state_dict(), resumed.state_dict()
    assert left.keys() == right.keys()
    assert [key for key in left if not torch.equal(left[key], right[key])] == []
    assert whole == again


@every_case_that_sees_rows_alike
def test_the_order_of_the_batch_does_not_matter(name):
    batch = singles(cases.batch(name, 0))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    moved = {key: cases.take(value, order) for key, value in batch.items()}
    made = build(name)
    value, permuted = copy.deepcopy(made).loss(batch), copy.deepcopy(made).loss(moved)
    for term in value:
        torch.testing.assert_close(value[term], permuted[term], rtol=1e-4, atol=1e-5)


@every_case
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite_and_the_loss_single(name, dtype):
    made = build(name)
    # Two pairs that look alike: similarities of 1, e²⁵ at the wearable method's temperature.
    twins = torch.tensor([0, 0, 2, 3, 4, 5, 6, 7])
    batch = singles(cases.batch(name, 0))
    batch |= {key: cases.take(batch[key], twins) for key in ("first", "second")}
    with torch.autocast("cpu", dtype=dtype):
        terms = made.loss(batch)
    assert {value.dtype for value in terms.values()} == {torch.float32}
    assert all(torch.isfinite(value) for value in terms.values())
    terms["loss"].backward()
    trained = [p for module in made.trained() for p in module.parameters()]
    assert all(torch.isfinite(p.grad).all() for p in trained)
    assert sum(p.grad.abs().sum() for p in trained) > 0


@every_case
def test_a_batch_of_one_pair_is_refused_or_finite(name):
    made = build(name)
    batch = singles(cases.batch(name, 0, size=1))
    if name in UNDEFINED_FOR_ONE_ROW:
        with pytest.raises(ObjectiveError, match=f"^{UNDEFINED_FOR_ONE_ROW[name]}: "):
            made.loss(batch)
    else:
        terms = made.loss(batch)
        assert all(torch.isfinite(value) for value in terms.values())


@every_case
def test_it_can_be_sent_to_another_process(name):
    made = build(name)
    again = pickle.loads(pickle.dumps(made))
    left, right = made.state_dict(), again.state_dict()
    assert all(torch.equal(left[key], right[key]) for key in left)
    batch = singles(cases.batch(name, 0))
    torch.testing.assert_close(made.loss(batch)["loss"], again.loss(batch)["loss"], rtol=0, atol=0)


@every_case
def test_the_seed_decides_the_weights_also_when_it_is_zero(name):
    torch.manual_seed(99)
    first = build(name, seed=0).state_dict()
    torch.manual_seed(1)
    second, other = build(name, seed=0).state_dict(), build(name, seed=1).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


@every_case
def test_the_optimiser_moves_all_that_is_trained_and_no_teacher(name):
    made = build(name)
    optimizer = made.configure_optimizers()["optimizer"]
    owned = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert owned.keys() == {id(p) for p in made.parameters() if p.requires_grad}
    if made.teacher is not None:
        assert not owned.keys() & {id(p) for p in made.teacher.parameters()}
    scales = [p for m in made.children() if isinstance(m, Contrast) for p in m.parameters()]
    decayed = [owned[id(p)]["weight_decay"] for p in made.encoder.parameters()]
    assert len(scales) == (2 if name == "convirt siglip" else 0)
    assert all(owned[id(p)]["weight_decay"] == 0 for p in scales)
    assert set(decayed) == {made.config.optimiser.weight_decay}


@every_case
def test_the_students_encoder_is_exported_and_the_teachers_where_there_is_one(name):
    made = build(name)
    batch = singles(cases.batch(name, 0))
    encoder, head = made.exported("student")
    assert encoder is made.encoder
    assert encoder(made.plain(batch, "first")).shape == (8, encoder.dim)
    assert head is None or head is made.head
    partner = made.exported_partner()
    assert (partner is None) == (made.config.partner is None)
    if partner is not None:
        found = partner[1](partner[0](made.plain(batch, "second")))
        assert found.shape == head(encoder(made.plain(batch, "first"))).shape
    assert (made.teacher is not None) == has_teacher(made.config.method)
    if made.teacher is None:
        with pytest.raises(ObjectiveError, match="no teacher: use pretrain.export=student"):
            made.exported("teacher")
    else:
        encoder, _ = made.exported("teacher")
        assert encoder.state_dict().keys() == made.encoder.state_dict().keys()


@every_method
def test_exporting_a_teacher_that_is_not_kept_is_an_error_of_the_configuration(name):
    case = CASES[name]
    values = {
        "method": name, "encoder": case.encoder, "modality": case.modality, "pairs": case.pairs,
        "partner": case.partner, "export": "teacher",
    }  # fmt: skip
    if case.kind in ("studies", "table"):
        values["views"] = {"size": cases.SIZE}
    problems = find_problems(PretrainConfig, values, where="pretrain")
    if has_teacher(cases.config(name).method):
        assert problems == []
    else:
        assert problems == [
            f"pretrain.export: method {name} keeps no teacher here; use export: student "
            "(got 'teacher')"
        ]


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks(WORKER)


@every_case_that_sees_rows_alike
def test_two_processes_have_loss_gradient_and_state_of_one(ranks, name):
    expected = worker.outcome(worker.Steps(name), slice(None))
    assert expected["gradients"]
    for rank in ranks:
        found = rank[name]
        torch.testing.assert_close(found["loss"], expected["loss"], rtol=1e-9, atol=0)
        torch.testing.assert_close(found["gradients"], expected["gradients"], rtol=1e-6, atol=1e-10)
        torch.testing.assert_close(found["buffers"], expected["buffers"])
