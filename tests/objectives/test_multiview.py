import math

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.contrastive import masked_infonce
from medssl.objectives.multiview import mv_dhel, mv_infonce, symmetric_infonce

PARTICIPANTS = {2: [4, 9], 3: [1, 0, 1], 7: [0, 1, 0, 2, 2, 2, 5]}
MANY = {"mv_infonce": mv_infonce, "mv_dhel": mv_dhel}


def rows(batch, views, dim=5):
    generator = torch.Generator().manual_seed(10 * batch + views)
    made = torch.randn(batch, views, dim, generator=generator, dtype=torch.float64)
    return made, torch.tensor(PARTICIPANTS[batch])


def loop(name, views, participants, temperature):
    """The formula with plain exponentials, sums and products, pair by pair."""
    unit = [[row / row.norm() for row in several] for several in views]
    people = participants.tolist()
    batch, count = len(unit), len(unit[0])

    def e(i, a, j, b):
        return (unit[i][a].dot(unit[j][b]) / temperature).exp()

    terms = []
    for i in range(batch):
        positive = sum(e(i, a, i, b) for a in range(count) for b in range(count) if a != b)
        others = [j for j in range(batch) if people[j] != people[i]]
        if name == "mv_infonce":
            denominator = positive + sum(
                e(i, a, j, b) for j in others for a in range(count) for b in range(count)
            )
        elif others:
            denominator = math.prod(sum(e(i, a, j, a) for j in others) for a in range(count))
        else:
            continue
        terms.append(-(positive / denominator).log())
    return sum(terms) / len(terms)


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("batch", [2, 3, 7])
def test_value_and_gradient_equal_the_loop(name, count, batch):
    made, participants = rows(batch, count)
    ours, theirs = made.clone().requires_grad_(), made.clone().requires_grad_()
    value = MANY[name](ours, participants, temperature=0.3)
    expected = loop(name, theirs, participants, 0.3)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch", [2, 3, 7])
def test_two_views_of_mv_dhel_are_alignment_and_two_uniformities(batch):
    made, _ = rows(batch, 2)
    unit = torch.nn.functional.normalize(made, dim=2)
    tau, itself = 0.4, torch.eye(batch, dtype=torch.bool)
    aligned = (unit[:, 0] * unit[:, 1]).sum(1) / tau
    uniform = [
        (unit[:, view] @ unit[:, view].T / tau).masked_fill(itself, -torch.inf).logsumexp(1)
        for view in range(2)
    ]
    expected = (-aligned - math.log(2) + uniform[0] + uniform[1]).mean()
    assert torch.allclose(mv_dhel(made, torch.arange(batch), temperature=tau), expected)


def test_one_participant_per_row_and_two_equal_directions_make_mv_infonce_symmetric():
    # With u_i1 = u_i2 every anchor's terms are equal, and the loss is NT-Xent of the pair.
    x = torch.randn(6, 4, dtype=torch.float64)
    value = mv_infonce(torch.stack([x, x], dim=1), torch.arange(6), temperature=0.2)
    expected = masked_infonce(x, x, torch.arange(6), temperature=0.2)
    unit = torch.nn.functional.normalize(x, dim=1)
    logits = unit @ unit.T / 0.2
    own = torch.eye(6, dtype=torch.bool)
    by_hand = torch.cat([logits, logits.masked_fill(own, -torch.inf)], 1).logsumexp(1) - 1 / 0.2
    assert torch.allclose(value, by_hand.mean())
    assert torch.allclose(value, expected)


@pytest.mark.parametrize("name", MANY)
def test_collapsed_rows_stay_finite_where_a_product_of_sums_overflows(name):
    views = torch.ones(256, 6, 32, requires_grad=True)
    assert math.log(255) * 6 + 60 > math.log(torch.finfo(torch.float32).max)
    value = MANY[name](views, torch.arange(256), temperature=0.1)
    value.backward()
    assert torch.isfinite(views.grad).all()
    pairs = math.log(6 * 5)
    expected = {
        "mv_infonce": math.log(6 * (256 * 6 - 1)) - pairs,
        "mv_dhel": 6 * (math.log(255) + 10) - pairs - 10,
    }[name]
    assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", MANY)
def test_two_rows_of_one_participant_do_not_move_each_other(name):
    pair = rows(2, 3)[0].requires_grad_()
    value = MANY[name](pair, torch.tensor([3, 3]), temperature=0.3)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert (pair.grad.abs() < 1e-12).all()
    pair.grad = None
    MANY[name](pair, torch.tensor([3, 4]), temperature=0.3).backward()
    assert (pair.grad.abs() > 1e-6).any()


@pytest.mark.parametrize("name", MANY)
def test_order_of_rows_and_views_and_length_do_not_matter(name):
    made, participants = rows(7, 4)
    order, views = torch.randperm(7), torch.randperm(4)
    value = MANY[name](made, participants)
    assert torch.allclose(MANY[name](made[order], participants[order]), value)
    assert torch.allclose(MANY[name](made[:, views], participants), value)
    assert torch.allclose(MANY[name](5 * made, participants), value)


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize(
    ("views", "participants"),
    [
        (torch.randn(1, 3, 4), torch.tensor([3])),
        (torch.zeros(3, 2, 4), torch.arange(3)),
        (torch.randn(4, 2, 4), torch.zeros(4, dtype=torch.long)),
        (torch.randn(4, 2, 4), torch.tensor([0, 0, 0, 1])),
    ],
    ids=["one row", "zero rows", "one participant", "three rows and one"],
)
def test_degenerate_batches_have_finite_value_and_gradient(name, views, participants):
    leaf = views.clone().requires_grad_()
    value = MANY[name](leaf, participants)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(leaf.grad).all()
    if len(participants.unique()) == 1:
        assert value.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", MANY)
def test_half_precision_equals_double(name):
    halves = torch.randn(32, 3, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = MANY[name](halves.double(), torch.arange(32), temperature=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = MANY[name](halves, torch.arange(32), temperature=0.05)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("batch", [2, 3, 7])
def test_symmetric_infonce_equals_the_loop(batch):
    made, participants = rows(batch, 2)
    ours, theirs = made.clone().requires_grad_(), made.clone().requires_grad_()
    value = symmetric_infonce(ours[:, 0], ours[:, 1], participants, temperature=0.3)
    x, y = ([row / row.norm() for row in theirs[:, side]] for side in (0, 1))
    people = participants.tolist()
    terms = []
    for i in range(batch):
        kept = [j for j in range(batch) if j == i or people[j] != people[i]]
        for anchor, others in ((x[i], y), (y[i], x)):
            scores = torch.stack([(anchor.dot(others[j]) / 0.3).exp() for j in kept])
            terms.append(-((anchor.dot(others[i]) / 0.3).exp() / scores.sum()).log())
    expected = sum(terms) / len(terms)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)


def test_symmetric_infonce_is_the_cross_entropy_of_clip():
    x, y = torch.randn(2, 9, 6)
    logits = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T / 0.1
    target = torch.arange(9)
    cross = torch.nn.functional.cross_entropy
    expected = (cross(logits, target) + cross(logits.T, target)) / 2
    assert torch.allclose(symmetric_infonce(x, y, target), expected, rtol=1e-5)


def test_refusals_name_the_objective():
    with pytest.raises(ObjectiveError, match=r"mv_dhel: the views have shape \(3, 1, 4\)"):
        mv_dhel(torch.ones(3, 1, 4), torch.arange(3))
    with pytest.raises(ObjectiveError, match=r"mv_infonce: participants have shape \(2,\)"):
        mv_infonce(torch.ones(3, 2, 4), torch.arange(2))
    with pytest.raises(ObjectiveError, match=r"mv_infonce: the batch has 0 row"):
        mv_infonce(torch.ones(0, 2, 4), torch.arange(0))
    with pytest.raises(ObjectiveError, match=r"symmetric_infonce: embeddings have shapes"):
        symmetric_infonce(torch.ones(3, 4), torch.ones(2, 4), torch.arange(3))
