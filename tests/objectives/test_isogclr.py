import math

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import find_matches
from medssl.objectives.decoupled import decoupled_loss
from medssl.objectives.isogclr import ISogCLR


def rows(size, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, size, dim, generator=generator, dtype=torch.float64)


def apart(size):
    return find_matches(*torch.arange(size).repeat(3, 1))


def test_without_memory_and_learning_the_gradient_is_tau_times_that_of_dcl():
    ours, theirs = rows(7).requires_grad_(), rows(7).requires_grad_()
    matches = find_matches(
        torch.tensor([0, 0, 1, 2, 3, 4, 4]), torch.tensor([0, 1, 2, 3, 4, 5, 5]), torch.arange(7)
    )
    module = ISogCLR(20, gamma=1.0, rate=0.0, temperature=0.125).double()
    for seed in (1, 2):  # what was met before does not count
        module(*rows(7, seed=seed), matches, torch.arange(7))
    module(*ours, matches, torch.arange(7))["loss"].backward()
    decoupled_loss(*theirs, matches, temperature=0.125).backward()
    assert torch.allclose(ours.grad, 0.125 * theirs.grad, rtol=1e-10, atol=1e-14)
    assert ours.grad.abs().max() > 1e-3


def test_temperatures_find_the_minimum_of_the_robust_objective():
    x, y = rows(5)
    module = ISogCLR(5, gamma=1.0, rho=0.3, rate=0.01).double()
    for _ in range(400):
        last = module(x, y, apart(5), torch.arange(5))
    unit = torch.nn.functional.normalize
    s = unit(x) @ unit(y).T
    taus = torch.linspace(0.005, 1, 4000, dtype=torch.float64)
    best = []
    for table in (s, s.T):
        for i in range(5):
            h = torch.cat([table[i, :i], table[i, i + 1 :]]) - table[i, i]
            expectation = (h[None] / taus[:, None]).logsumexp(1) - math.log(4)
            best.append((taus * expectation + 0.3 * taus).min())
    assert last["dro"].item() == pytest.approx(torch.stack(best).mean().item(), abs=1e-3)
    learned = torch.cat([module.image_anchors.tau, module.text_anchors.tau])
    assert learned.max() - learned.min() > 0.05  # each has its own


def test_saved_and_loaded_it_goes_on_bit_for_bit(tmp_path):
    x, y = rows(6).float()
    module = ISogCLR(30)
    for step in range(4):
        module(x.roll(step, 1), y, apart(6), torch.arange(6) + 3 * step)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    again = ISogCLR(30)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for step in range(3):
        given = x, y.roll(step, 1), apart(6), torch.arange(6) + 2 * step
        first, second = module(*given), again(*given)
        assert all(torch.equal(first[name], second[name]) for name in first)
    for name, value in module.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_only_items_of_the_batch_are_updated_and_only_in_training():
    x, y = rows(3)
    module = ISogCLR(6)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.eval()
    value = module(x, y, apart(3), torch.tensor([1, 5, 2]))
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())
    module.train()
    assert torch.equal(module(x, y, apart(3), torch.tensor([1, 5, 2]))["loss"], value["loss"])
    for state in (module.image_anchors, module.text_anchors):
        changed = torch.isfinite(state.log_u)
        assert changed.nonzero()[:, 0].tolist() == [1, 2, 5]
        assert (state.tau != 0.07).nonzero()[:, 0].tolist() == [1, 2, 5]


def test_an_anchor_without_a_negative_keeps_its_state():
    x, y = rows(3)
    matches = find_matches(torch.tensor([0, 0, 0]), torch.arange(3), torch.arange(3))
    module = ISogCLR(3)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert module(x, y, matches, torch.arange(3))["loss"].item() == 0
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_terms_to_log_are_values_before_the_update():
    x, y = rows(5)
    module = ISogCLR(5, temperature=0.25).double()
    found = module(x, y, apart(5), torch.arange(5))
    unit = torch.nn.functional.normalize
    s = unit(x) @ unit(y).T
    values = []
    for table in (s, s.T):
        for i in range(5):
            h = torch.cat([table[i, :i], table[i, i + 1 :]]) - table[i, i]
            values.append(0.25 * ((h / 0.25).exp().mean().log() + 0.1))
    assert found["dro"].item() == pytest.approx(torch.stack(values).mean().item())
    assert found["image_temperature"].item() == found["text_temperature"].item() == 0.25
    assert not found["dro"].requires_grad


def test_it_stays_finite_where_exponentials_overflow_and_vanish():
    # s_ij − s_ii changes between −2 and 2, over τ = 0.005: e^±400, with a memory of each.
    pair = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    module = ISogCLR(2, temperature=0.005, bounds=(0.005, 0.005))
    assert torch.tensor(2 / 0.005).exp().isinf()
    for step in range(60):
        x = pair.clone().requires_grad_()
        y = pair if step > 30 else pair.flip(0)
        found = module(x, y, apart(2), torch.arange(2))
        found["loss"].backward()
        assert all(torch.isfinite(value) for value in found.values())
        assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


def test_temperatures_stay_within_their_bounds():
    module = ISogCLR(4, temperature=0.02, bounds=(0.01, 0.03), rate=1.0)
    for seed in range(6):
        module(*rows(4, seed=seed), apart(4), torch.arange(4))
        for state in (module.image_anchors, module.text_anchors):
            assert state.tau.min() >= 0.01
            assert state.tau.max() <= 0.03


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([0, 1, 8], r"1 item\(s\) are not among the 8 of the training set"),
        ([-1, 9, 2], r"2 item\(s\) are not among the 8"),
        ([3, 1, 3], "an item comes twice in a batch"),
        ([0, 1], r"items are torch.int64 of shape \(2,\)"),
        ([0.0, 1.0, 2.0], "items are torch.float32"),
    ],
)
def test_items_that_are_not_remembered_are_refused(items, message):
    module = ISogCLR(8)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(ObjectiveError, match=f"ISogCLR: {message}"):
        module(*rows(3), apart(3), torch.tensor(items))
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_settings_out_of_range_are_refused():
    with pytest.raises(ObjectiveError, match="ISogCLR: size is 0"):
        ISogCLR(0)
    with pytest.raises(ObjectiveError, match="ISogCLR: gamma is 1.5"):
        ISogCLR(3, gamma=1.5)
    with pytest.raises(ObjectiveError, match="temperature 2.0 is not within its bounds"):
        ISogCLR(3, temperature=2.0)
