from itertools import product

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import (
    Matches,
    check_share,
    false_negative_rate,
    find_matches,
    weighted_cross_entropy,
)

RULES = ["mask", "positive", "ignore"]


def codes(rows, seed):
    """Participants with several studies, studies with several images, texts that come twice."""
    generator = torch.Generator().manual_seed(seed)
    studies = torch.randint(rows, (rows,), generator=generator)
    participants = studies // 2
    return participants, studies, torch.randint(rows // 2, (rows,), generator=generator)


@pytest.mark.parametrize(("same_report", "same_participant"), list(product(RULES, RULES)))
def test_matches_equal_the_rules_one_combination_at_a_time(same_report, same_participant):
    participants, studies, texts = codes(12, seed=3)
    found = find_matches(
        participants, studies, texts, same_report=same_report, same_participant=same_participant
    )
    seen = set()
    for i, j in product(range(12), range(12)):
        rules = {same_report} if texts[i] == texts[j] else set()
        rules |= {same_participant} if participants[i] == participants[j] else set()
        if studies[i] == studies[j] or "positive" in rules:
            expected = (True, True)
        elif "mask" in rules:
            expected = (False, False)
        else:
            expected = (False, True)
        assert (bool(found.positive[i, j]), bool(found.compared[i, j])) == expected
        assert bool(found.negative[i, j]) == (expected == (False, True))
        seen.add(expected)
    assert len(seen) == (3 if "mask" in (same_report, same_participant) else 2)


@pytest.mark.parametrize("rule", RULES)
def test_of_several_draws_one_that_two_reports_share_is_enough(rule):
    # Rows 0 and 1 share their first draw, 2 and 3 different ones, 4 and 5 none.
    drawn = torch.tensor([[1, 2], [1, 3], [4, 5], [6, 4], [7, 8], [9, 10]])
    found = find_matches(torch.arange(6), torch.arange(6), drawn, same_report=rule)
    for i, j in product(range(6), range(6)):
        alike = i != j and bool(set(drawn[i].tolist()) & set(drawn[j].tolist()))
        assert alike == ({i, j} in ({0, 1}, {2, 3}))
        assert bool(found.positive[i, j]) == (i == j or (alike and rule == "positive"))
        assert bool(found.compared[i, j]) == (not alike or rule != "mask")


def test_only_the_diagonal_is_positive_where_all_rows_differ():
    found = find_matches(*torch.arange(5).repeat(3, 1))
    assert torch.equal(found.positive, torch.eye(5, dtype=torch.bool))
    assert bool(found.compared.all())


def test_the_rate_is_the_share_of_others_that_are_no_true_negatives():
    participants, studies, texts = codes(12, seed=3)
    shares = []
    for i in range(12):
        others = [j for j in range(12) if j != i]
        false = [j for j in others if texts[j] == texts[i] or participants[j] == participants[i]]
        shares.append(len(false) / len(others))
    assert false_negative_rate(participants, texts).item() == pytest.approx(sum(shares) / 12)
    left_out = ~find_matches(participants, studies, texts).negative
    assert left_out.sum().item() - 12 == pytest.approx(11 * sum(shares))
    assert false_negative_rate(torch.tensor([3]), torch.tensor([1])).item() == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([0, 1], [0, 0], [0, 1]), "a study has two participants; number studies over all"),
        (([0, 1], [0, 1], [0]), r"codes have shapes \[\(2,\), \(2,\), \(1,\)\]"),
        (([[0, 1]], [[0, 1]], [[0, 1]]), "codes have shapes"),
    ],
)
def test_codes_that_cannot_be_are_refused(given, message):
    with pytest.raises(ObjectiveError, match=f"^find_matches: {message}"):
        find_matches(*(torch.tensor(each) for each in given))


def test_an_unknown_rule_is_refused():
    with pytest.raises(ObjectiveError, match="no rule 'drop'; choose from mask, positive, ignore"):
        find_matches(*torch.zeros(3, 2).long(), same_report="drop")


@pytest.mark.parametrize(
    ("positive", "compared", "message"),
    [
        ([[1, 0], [0, 0]], [[1, 1], [1, 1]], "a row is not its own positive"),
        ([[1, 1], [0, 1]], [[1, 0], [1, 1]], "a positive is not compared"),
        ([[1, 0]], [[1, 1]], r"shapes \(1, 2\) and \(1, 2\)"),
        ([[1]], [[1, 0], [0, 1]], r"shapes \(1, 1\) and \(2, 2\)"),
    ],
)
def test_matches_that_break_the_rules_are_refused(positive, compared, message):
    with pytest.raises(ObjectiveError, match=message):
        Matches(torch.tensor(positive).bool(), torch.tensor(compared).bool())


def test_matches_are_booleans():
    with pytest.raises(ObjectiveError, match=r"torch.float32 and torch.bool; give Booleans"):
        Matches(torch.eye(2), torch.ones(2, 2, dtype=torch.bool))


def test_cross_entropy_with_several_targets_is_torchs():
    generator = torch.Generator().manual_seed(0)
    logits, weights = torch.randn(6, 9, generator=generator), torch.rand(6, 9, generator=generator)
    everything = torch.ones(6, 9, dtype=torch.bool)
    expected = torch.nn.functional.cross_entropy(
        logits, weights / weights.sum(1, keepdim=True), reduction="none"
    )
    assert torch.allclose(weighted_cross_entropy(logits, weights, everything), expected, rtol=1e-5)
    # Left out columns are as if they were not there.
    fewer = everything.clone()
    fewer[:, 6:] = False
    kept = weighted_cross_entropy(logits, weights * fewer, fewer)
    alone = weighted_cross_entropy(logits[:, :6], weights[:, :6], fewer[:, :6])
    assert torch.allclose(kept, alone)


def test_shares_lie_between_0_and_1():
    check_share("an objective", weight=1.0)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ObjectiveError, match="an objective: weight is .*between 0 and 1"):
            check_share("an objective", weight=wrong)
