from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.errors import ObjectiveError
from medssl.objectives.queue import KeyQueue


def keys(count, start=0):
    """Keys that tell their number apart, and that number as the participant."""
    numbers = torch.arange(start, start + count)
    angles = numbers / 1000
    return torch.stack([angles.cos(), angles.sin()], dim=1), numbers


def held(queue):
    """What the queue holds, told from the keys themselves and checked against the codes."""
    rows = queue.remembered
    told = (torch.atan2(rows[:, 1], rows[:, 0]) * 1000).round().long()
    assert torch.equal(told, queue.participants)
    return told.tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.lists(st.integers(1, 25), max_size=12))
def test_it_holds_the_newest_keys_whatever_divides(size, batches):
    queue, expected, start = KeyQueue(size, 2), deque(maxlen=size), 0
    assert held(queue) == []
    for count in batches:
        rows, numbers = keys(count, start)
        queue.put(rows * 7, numbers)
        expected.extend(numbers.tolist())
        start += count
        assert sorted(held(queue)) == list(expected)


@pytest.mark.parametrize("before", [0, 1, 2, 3, 7])
def test_saved_and_loaded_it_goes_on_bit_for_bit(tmp_path, before):
    queue = KeyQueue(10, 2)
    for step in range(before):
        queue.put(*keys(4, 4 * step))
    torch.save(queue.state_dict(), tmp_path / "queue.pt")
    again = KeyQueue(10, 2)
    again.load_state_dict(torch.load(tmp_path / "queue.pt", weights_only=True))
    for made in (queue, again):
        made.put(*keys(4, 500))
        made.put(*keys(9, 600))
    assert torch.equal(queue.remembered, again.remembered)
    assert torch.equal(queue.participants, again.participants)
    assert {k: v.tolist() for k, v in queue.state_dict().items()} == {
        k: v.tolist() for k, v in again.state_dict().items()
    }


def test_state_has_the_types_that_checkpoints_keep():
    state = KeyQueue(10, 3).state_dict()
    assert {name: (tuple(v.shape), v.dtype) for name, v in state.items()} == {
        "keys": ((10, 3), torch.float32),
        "codes": ((10,), torch.int64),
        "pointer": ((), torch.int64),
        "filled": ((), torch.int64),
    }


def test_keys_are_stored_as_unit_rows_without_a_gradient():
    queue = KeyQueue(4, 3)
    rows = torch.randn(2, 3, dtype=torch.bfloat16).requires_grad_()
    queue.put(rows, torch.tensor([1, 2]))
    torch.testing.assert_close(queue.remembered.norm(dim=1), torch.ones(2))
    assert not queue.remembered.requires_grad


def test_refusals_say_what_does_not_fit():
    with pytest.raises(ObjectiveError, match="KeyQueue: size 0 and dim 4 must be at least 1"):
        KeyQueue(0, 4)
    queue = KeyQueue(5, 3)
    with pytest.raises(ObjectiveError, match=r"KeyQueue.put: keys have length 2"):
        queue.put(*keys(2))
    with pytest.raises(ObjectiveError, match=r"KeyQueue.put: participants have shape \(1,\)"):
        queue.put(torch.ones(2, 3), torch.tensor([0]))
