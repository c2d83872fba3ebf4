import math

import pytest
import torch

from medssl.batches import Cells
from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import find_matches
from medssl.objectives.tip import (
    choose_mismatches,
    image_tabular_matching,
    tabular_reconstruction,
    tip_loss,
)

PARTICIPANTS = torch.tensor([0, 1, 0, 2, 3])


def rows(size, dim=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, size, dim, generator=generator, dtype=torch.float64)


def matches():
    return find_matches(PARTICIPANTS, torch.arange(5), torch.arange(5))


def test_mismatches_are_drawn_as_hard_as_they_are_alike():
    x, y = rows(5)
    draws = 500
    counts = torch.zeros(2, 5, 5)
    for uniform in (torch.arange(draws) + 0.5) / draws:
        found = choose_mismatches(x, y, matches(), uniform.expand(2, 5), temperature=0.5)
        counts[0, found.images[:5], found.tables[:5]] += 1
        counts[1, found.images[5:], found.tables[5:]] += 1
    unit = torch.nn.functional.normalize
    s = unit(x) @ unit(y).T / 0.5
    for side in (0, 1):
        for i in range(5):
            allowed = [j for j in range(5) if PARTICIPANTS[j] != PARTICIPANTS[i]]
            line = s[i] if side == 0 else s[:, i]
            chances = torch.zeros(5, dtype=torch.float64)
            chances[allowed] = line[allowed].softmax(0) + 1e-4
            seen = counts[0, i] if side == 0 else counts[1, :, i]
            assert seen.sum() == draws
            assert torch.allclose(seen / draws, (chances / chances.sum()).float(), atol=2 / draws)


def test_no_pair_and_nothing_that_is_left_out_is_a_mismatch():
    x, y = rows(5)
    for value in (0.0, 0.5, 1 - 2**-53, 1.0):
        uniforms = torch.full((2, 5), value, dtype=torch.float64)
        found = choose_mismatches(x, y, matches(), uniforms, temperature=0.001)
        assert len(found.images) == 10
        assert (PARTICIPANTS[found.images] != PARTICIPANTS[found.tables]).all()


def test_the_least_chance_reaches_every_mismatch():
    x, y = torch.eye(4).repeat(2, 1, 1)
    y = y + 3 * torch.eye(4).roll(1, 0)  # one table that is by far the most alike
    apart = find_matches(*torch.arange(4).repeat(3, 1))
    ends = torch.full((2, 4), 1 - 1e-6)
    found = choose_mismatches(x, y, apart, ends, temperature=0.01)
    begins = choose_mismatches(x, y, apart, 0 * ends, temperature=0.01)
    assert found.tables[:4].tolist() == [3, 3, 3, 2]
    assert begins.tables[:4].tolist() == [1, 0, 0, 0]


def test_rows_without_a_negative_have_no_mismatch():
    x, y = rows(1)
    alone = find_matches(*torch.zeros(3, 1).long())
    found = choose_mismatches(x, y, alone, torch.rand(2, 1))
    assert found.images.tolist() == found.tables.tolist() == []
    assert found.images.dtype == torch.int64
    x, y = rows(3)
    everyone = find_matches(torch.zeros(3).long(), torch.arange(3), torch.arange(3))
    assert len(choose_mismatches(x, y, everyone, torch.rand(2, 3)).images) == 0
    with pytest.raises(ObjectiveError, match=r"uniforms have shape \(3,\); give \(2, batch\)"):
        choose_mismatches(x, y, everyone, torch.rand(3))


def test_half_precision_draws_the_same():
    x, y = rows(5)
    halves = x.half(), y.half()
    uniforms = torch.rand(2, 5, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = choose_mismatches(*halves, matches(), uniforms, temperature=0.01)
    expected = choose_mismatches(
        *(z.double() for z in halves), matches(), uniforms, temperature=0.01
    )
    assert torch.equal(found.tables, expected.tables)
    assert torch.equal(found.images, expected.images)


def test_matching_is_the_cross_entropy_of_both_classes():
    matched, mismatched = rows(2)[0][:, :2], rows(4)[1][:, :2]
    logits = torch.cat([matched, mismatched]).requires_grad_()
    value = image_tabular_matching(logits[:2], logits[2:])
    terms = [-math.log(1 / (1 + math.exp(a - b))) for a, b in matched.tolist()]
    terms += [-math.log(1 / (1 + math.exp(b - a))) for a, b in mismatched.tolist()]
    assert value.item() == pytest.approx(sum(terms) / 6)
    value.backward()
    assert (logits.grad[:2, 1] < 0).all()
    assert (logits.grad[2:, 1] > 0).all()
    without = image_tabular_matching(matched, mismatched[:0])
    assert without.item() == pytest.approx(sum(terms[:2]) / 2)
    with pytest.raises(ObjectiveError, match="image_tabular_matching: logits have shapes"):
        image_tabular_matching(matched[:, :1], mismatched)


def table():
    """Two categorical columns (3 and 2 categories), three of numbers; two cells are missing."""
    generator = torch.Generator().manual_seed(0)
    categories = torch.tensor([[0, 1], [2, -1], [1, 0], [2, 1]])
    numbers = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    numbers[1, 2] = torch.nan
    said = [torch.randn(4, size, generator=generator, dtype=torch.float64) for size in (3, 2)]
    guesses = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return (
        [each.requires_grad_() for each in said],
        guesses.requires_grad_(),
        Cells(categories, numbers),
    )


def test_reconstruction_equals_the_loop_over_masked_cells():
    said, guesses, cells = table()
    generator = torch.Generator().manual_seed(5)
    hidden = (
        torch.rand(4, 2, generator=generator) < 0.7,
        torch.rand(4, 3, generator=generator) < 0.7,
    )
    hidden[0][1, 1] = hidden[1][1, 2] = True  # missing and masked: not asked for
    surprises, errors = [], []
    for i in range(4):
        for c in range(2):
            if hidden[0][i, c] and cells.categories[i, c] >= 0:
                surprises.append(-said[c][i].log_softmax(0)[cells.categories[i, c]])
        for c in range(3):
            if hidden[1][i, c] and not cells.numbers[i, c].isnan():
                errors.append((guesses[i, c] - cells.numbers[i, c]) ** 2)
    expected = (sum(surprises) / len(surprises) + sum(errors) / len(errors)) / 2
    value = tabular_reconstruction(said, guesses, cells, *hidden)
    assert value.item() == pytest.approx(expected.item())
    leaves = [*said, guesses]
    found = torch.autograd.grad(value, leaves)
    for a, b in zip(found, torch.autograd.grad(expected, leaves), strict=True):
        assert torch.isfinite(a).all()
        assert torch.allclose(a, b)
    order = torch.tensor([2, 0, 3, 1])
    moved = tabular_reconstruction(
        [each[order] for each in said], guesses[order], Cells(*(part[order] for part in cells)),
        *(each[order] for each in hidden),
    )  # fmt: skip
    assert torch.allclose(moved, value)


def test_without_a_masked_cell_it_is_0_with_a_gradient_of_0():
    said, guesses, cells = table()
    none = torch.zeros(4, 2, dtype=torch.bool), torch.zeros(4, 3, dtype=torch.bool)
    value = tabular_reconstruction(said, guesses, cells, *none)
    assert value.item() == 0
    assert all(not each.any() for each in torch.autograd.grad(value, [*said, guesses]))


def test_a_table_of_one_kind_alone():
    said, guesses, cells = table()
    numbers = Cells(torch.zeros(4, 0, dtype=torch.int64), cells.numbers)
    nothing, everything = torch.ones(4, 0, dtype=torch.bool), torch.ones(4, 3, dtype=torch.bool)
    value = tabular_reconstruction([], guesses, numbers, nothing, everything)
    known = ~cells.numbers.isnan()
    expected = (guesses - cells.numbers)[known].square().mean() / 2
    assert value.item() == pytest.approx(expected.item())
    categories = Cells(cells.categories, torch.zeros(4, 0, dtype=torch.float64))
    value = tabular_reconstruction(
        said, torch.zeros(4, 0), categories, torch.ones(4, 2, dtype=torch.bool), nothing
    )
    assert value.item() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite(dtype):
    said, guesses, cells = table()
    halves = [each.detach().to(dtype).requires_grad_() for each in (*said, guesses)]
    everything = torch.ones(4, 2, dtype=torch.bool), torch.ones(4, 3, dtype=torch.bool)
    single = Cells(cells.categories, cells.numbers.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = tabular_reconstruction(halves[:2], halves[2], single, *everything)
        other = image_tabular_matching(halves[0][:, :2], halves[1])
    exact = tabular_reconstruction(
        [each.double() for each in halves[:2]], halves[2].double(), cells, *everything
    )
    assert value.dtype == other.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(value + other, halves))


def test_cells_that_do_not_fit_are_refused():
    said, guesses, cells = table()
    hidden = torch.ones(4, 2, dtype=torch.bool), torch.ones(4, 3, dtype=torch.bool)
    for given in (
        (said[:1], guesses, cells, *hidden),
        (said, guesses[:, :2], cells, *hidden),
        (said, guesses, cells, hidden[1], hidden[0]),
    ):
        with pytest.raises(ObjectiveError, match="tabular_reconstruction: .* give all of them"):
            tabular_reconstruction(*given)


def test_the_total_is_the_mean_of_three():
    found = tip_loss(*torch.tensor([0.3, 0.6, 3.0]))
    assert found["loss"].item() == pytest.approx(1.3)
    assert list(found) == ["loss", "contrast", "matching", "reconstruction"]
