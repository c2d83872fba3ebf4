"""What every objective across images and texts must do."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import Matches, find_matches

WORKER = Path(__file__).with_name("cross_modal_worker.py")


def load(path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


worker = load(WORKER)
loops = load(WORKER.with_name("cross_modal_loops.py"))
every = pytest.mark.parametrize("name", worker.EVERY)
every_with_matches = pytest.mark.parametrize("name", worker.OBJECTIVES)


def leaves(*sides):
    return [side.clone().requires_grad_() for side in sides]


def gradients(value, rows):
    return torch.autograd.grad(value, rows)


@every
@pytest.mark.parametrize("size", [2, 3, 7])
def test_value_and_gradient_equal_the_loop(name, size):
    images, texts, codes, more = worker.batch(size)
    mine, theirs = leaves(images, texts), leaves(images, texts)
    value = worker.EVERY[name](*mine, worker.matches_of(codes), more)
    expected = loops.LOOPS[name](*theirs, loops.signs(codes), more)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    found = gradients(value, mine)
    for a, b in zip(found, gradients(expected, theirs), strict=True):
        assert torch.allclose(a, b, rtol=1e-7, atol=1e-10)
    assert all((each.abs() > 1e-6).any() for each in found)


@every_with_matches
def test_matches_need_not_be_symmetric_nor_have_a_negative_everywhere(name):
    images, texts, _, more = worker.batch(7)
    drawn = torch.rand(7, 7, generator=torch.Generator().manual_seed(0))
    positive = (drawn < 0.2) | torch.eye(7, dtype=torch.bool)
    compared = positive | (drawn < 0.7)
    compared[2], compared[:, 4] = positive[2], positive[:, 4]
    assert not torch.equal(positive, positive.T)
    table = [["-" if c else "" for c in row] for row in compared.tolist()]
    table = [
        ["+" if there else sign for there, sign in zip(*both, strict=True)]
        for both in zip(positive.tolist(), table, strict=True)
    ]
    mine, theirs = leaves(images, texts), leaves(images, texts)
    value = worker.EVERY[name](*mine, Matches(positive, compared), more)
    expected = loops.LOOPS[name](*theirs, table, more)
    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    for a, b in zip(gradients(value, mine), gradients(expected, theirs), strict=True):
        assert torch.allclose(a, b, rtol=1e-7, atol=1e-10)


@every
def test_joint_order_of_the_batch_does_not_matter(name):
    images, texts, codes, more = worker.batch(7)
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    value = worker.EVERY[name](images, texts, worker.matches_of(codes), more)
    moved = worker.EVERY[name](
        images[order], texts[order], worker.matches_of(codes[:, order]),
        more.each(lambda each: each[order]),
    )  # fmt: skip
    assert moved.item() == pytest.approx(value.item(), rel=1e-10)


@every_with_matches
def test_a_pair_that_is_left_out_has_no_say(name):
    # Turning text 1 changes its cosine with image 0 alone, as only these two have a third part.
    _, _, _, more = worker.batch(3)
    images, texts = torch.zeros(2, 3, worker.DIM, dtype=torch.float64)
    images[:, 0], texts[:, 0] = torch.tensor([[1, -0.5, 0.7], [0.3, 0.8, -0.2]])
    images[:, 1], texts[:, 1] = torch.tensor([[0.2, 1, 0.4], [0.9, -0.3, 0.6]])
    images[0, 2], more.opposites = 1.0, more.opposites.clone()
    more.opposites[..., 2:] = 0
    # The smoothed contrast mixes the parts of a row; it gets views that are all alike.
    function = worker.OBJECTIVES[name]
    if name == "smoothed":
        from medssl.objectives.image_text_extras import smoothed_contrast

        def function(x, y, m, more):
            return smoothed_contrast([x], [y], m)

    if name == "isogclr":
        from medssl.objectives.isogclr import ISogCLR

        def function(x, y, m, more):
            return ISogCLR(40)(x, y, m, more.items)["loss"]

    def values(participants):
        codes = torch.tensor([participants, [0, 1, 2], [0, 1, 2]])
        found = []
        for angle in (0.0, 1.5, 3.0):
            turned = texts.clone()
            turned[1, 2], turned[1, 3] = math.cos(angle), math.sin(angle)
            found.append(function(images, turned, worker.matches_of(codes), more).item())
        return found

    masked, compared = values([0, 0, 1]), values([0, 1, 2])
    assert max(masked) - min(masked) < 1e-12
    assert max(compared) - min(compared) > 1e-3


DEGENERATE = {
    "one row": (torch.randn(1, 5), [[0], [0], [0]]),
    "equal rows": (torch.ones(4, 5), [[0, 1, 2, 3]] * 3),
    "rows of zeros": (torch.zeros(4, 5), [[0, 1, 2, 3]] * 3),
    "one participant": (torch.randn(4, 5), [[0] * 4, [0, 1, 2, 3], [0, 1, 2, 3]]),
    "one study": (torch.randn(4, 5), [[0] * 4, [0] * 4, [0, 1, 2, 3]]),
    "one row against three": (torch.randn(4, 5), [[0, 0, 0, 1], [0, 1, 2, 3], [0, 1, 2, 3]]),
    "equal texts but one": (torch.randn(4, 5), [[0, 1, 2, 3], [0, 1, 2, 3], [5, 5, 5, 6]]),
}


@every
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_batches_are_finite_or_refused_by_name(name, case):
    rows, codes = DEGENERATE[case]
    size = len(rows)
    more = worker.batch(8, torch.float32)[3].each(lambda each: each[:size])
    mine = leaves(rows, rows.clone())
    matches = worker.matches_of(torch.tensor(codes))
    if size == 1 and name in worker.TWO_ROWS:
        with pytest.raises(ObjectiveError, match=r"^\w+: the batch has 1 row\(s\) and at least 2"):
            worker.EVERY[name](*mine, matches, more)
        return
    value = worker.EVERY[name](*mine, matches, more)
    assert torch.isfinite(value)
    for each in gradients(value, mine):
        assert torch.isfinite(each).all()


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_double(name, dtype):
    halves = worker.batch(7, dtype)
    images, texts, codes, more = halves
    doubles = images.double(), texts.double()
    exact = more.each(lambda each: each.double() if each.is_floating_point() else each)
    matches = worker.matches_of(codes)
    expected = worker.EVERY[name](*doubles, matches, exact)
    mine = leaves(images, texts)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = worker.EVERY[name](*mine, matches, more)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    assert all(torch.isfinite(each).all() for each in gradients(value, mine))


@every
def test_length_of_rows_matters_only_where_nothing_is_normalised(name):
    images, texts, codes, more = worker.batch(7)
    matches = worker.matches_of(codes)
    value = worker.EVERY[name](images, texts, matches, more)
    longer = worker.EVERY[name](3 * images, 0.5 * texts, matches, more)
    alike = abs(longer.item() - value.item()) < 1e-4
    assert alike == (name != "swapped")  # which takes logits


@every
def test_refusals_name_the_objective(name):
    images, texts, codes, more = worker.batch(3)
    with pytest.raises(ObjectiveError, match=r"^\w+: "):
        worker.EVERY[name](images, texts[:2], worker.matches_of(codes), more)
    if name in worker.OBJECTIVES:
        with pytest.raises(ObjectiveError, match=r"^\w+: matches of 2 rows for a batch of 3"):
            worker.EVERY[name](images, texts, worker.matches_of(codes[:, :2]), more)


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks(WORKER)


@every
def test_two_ranks_have_value_and_gradient_of_one_process(ranks, name):
    images, texts, codes, more = worker.batch(8)
    mine = leaves(images, texts)
    value = worker.value_of(name, *mine, codes, more)
    expected = gradients(value, mine)
    for rank, found in enumerate(ranks):
        assert found[name]["value"].item() == pytest.approx(value.item(), rel=1e-12)
        share = slice(4 * rank, 4 * rank + 4)
        for a, b in zip(found[name]["gradients"], expected, strict=True):
            # DDP takes the mean over ranks of what is summed here.
            assert torch.allclose(a / 2, b[share], rtol=1e-9, atol=1e-12)


def test_two_ranks_remember_what_one_process_does(ranks):
    images, texts, codes, more = worker.batch(8)
    expected = worker.trained(images.float(), texts.float(), codes, more)
    assert torch.isfinite(expected["image_anchors.log_u"]).sum() == 8
    for name, value in expected.items():
        assert torch.equal(ranks[0]["state"][name], ranks[1]["state"][name])
        assert torch.allclose(ranks[0]["state"][name], value, rtol=1e-5, atol=1e-6), name


def test_matches_of_another_making_are_taken_as_they_are():
    images, texts, _, more = worker.batch(3)
    itself = torch.eye(3, dtype=torch.bool)
    alone = Matches(itself, torch.ones_like(itself))
    found = find_matches(*torch.arange(3).repeat(3, 1))
    assert torch.equal(found.positive, alone.positive)
    assert torch.equal(found.compared, alone.compared)
    for function in worker.OBJECTIVES.values():
        value = function(images, texts, alone, more)
        assert value.item() == function(images, texts, found, more).item()
