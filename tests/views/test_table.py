import torch

from medssl.batches import Cells
from medssl.views.table import choose_cells, corrupt

KNOWN = torch.rand(200, 9, generator=torch.Generator().manual_seed(0)) < 0.6


def test_the_share_of_every_row_is_chosen_among_its_known_cells():
    chosen = choose_cells(KNOWN, 0.5, seed=1, least=1)
    assert not (chosen & ~KNOWN).any()
    expected = [max(min(1, n), round(n / 2)) for n in KNOWN.sum(1).tolist()]
    assert chosen.sum(1).tolist() == expected
    assert choose_cells(KNOWN, 0.0, seed=1).sum() == 0
    nothing = torch.zeros(3, 4, dtype=torch.bool)
    assert not choose_cells(nothing, 0.9, seed=1, least=1).any()


def test_all_cells_of_a_row_are_as_likely():
    everything = torch.ones(20_000, 4, dtype=torch.bool)
    share = choose_cells(everything, 0.5, seed=2).float().mean(0)
    assert torch.allclose(share, torch.full((4,), 0.5), atol=0.02)


def test_choice_is_a_function_of_the_seed():
    assert torch.equal(choose_cells(KNOWN, 0.5, seed=1), choose_cells(KNOWN, 0.5, seed=1))
    assert not torch.equal(choose_cells(KNOWN, 0.5, seed=1), choose_cells(KNOWN, 0.5, seed=2))


def table():
    generator = torch.Generator().manual_seed(0)
    categories = torch.randint(-1, 50, (200, 4), generator=generator)
    numbers = torch.randn(200, 5, generator=generator)
    return Cells(categories, numbers.masked_fill(~KNOWN[:, :5], torch.nan))


def test_corruption_exchanges_values_inside_columns_and_keeps_gaps():
    x = table()
    found = corrupt(x, 0.4, seed=3)
    assert torch.equal(found.categories < 0, x.categories < 0)
    assert torch.equal(found.numbers.isnan(), x.numbers.isnan())
    for before, after in ((x.categories, found.categories), (x.numbers, found.numbers)):
        for column in range(before.shape[1]):
            known = before[:, column]
            assert set(after[:, column].nan_to_num(9.0).tolist()) <= set(
                known.nan_to_num(9.0).tolist()
            )
    known = torch.cat([x.categories >= 0, ~x.numbers.isnan()], dim=1)
    changed = torch.cat([x.categories != found.categories, x.numbers != found.numbers], dim=1)
    share = (changed & known).sum() / known.sum()
    assert 0.36 < share < 0.4  # some are exchanged for themselves, or for an equal one


def test_corruption_is_a_function_of_the_seed_and_can_be_off():
    x = table()
    first, again, other = (corrupt(x, 0.4, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.categories, again.categories)
    assert not torch.equal(first.categories, other.categories)
    assert torch.equal(corrupt(x, 0.0, seed=3).categories, x.categories)


def test_donors_are_drawn_evenly_from_the_rows_that_know_the_column():
    numbers = torch.tensor([[0.0], [1.0], [torch.nan], [3.0]]).repeat(2000, 1)
    x = Cells(torch.zeros(8000, 0, dtype=torch.int64), numbers)
    found = corrupt(x, 0.99, seed=0).numbers
    known = found[~found.isnan()]
    assert len(known) == 6000
    shares = [(known == value).float().mean().item() for value in (0.0, 1.0, 3.0)]
    assert all(abs(share - 1 / 3) < 0.03 for share in shares)


def test_one_row_or_an_empty_column_has_no_other_donor():
    alone = Cells(torch.tensor([[2, -1]]), torch.tensor([[0.5]]))
    found = corrupt(alone, 0.9, seed=0)
    assert torch.equal(found.categories, alone.categories)
    assert torch.equal(found.numbers, alone.numbers)
