import numpy as np
import pytest
import torch

from medssl.methods.config import MethodConfig
from medssl.methods.registry import build_method
from medssl.objectives.moco import moco_loss
from medssl.sampling.pairs import PairConfig, PairSampler

OFF = {
    name: {"probability": 0}
    for name in ("cutout", "magnitude_warp", "time_warp", "gaussian_noise", "channel_permutation")
}


def method(**settings):
    config = MethodConfig.model_validate(
        {
            "method": {"name": "moco", "queue": 50, **settings},
            "encoder": {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2},
            "head": {"hidden": 16, "out": 8, "dropout": 0},
            "views": OFF,
        }
    )
    return build_method(config, seed=0, steps=10)


def batch(position, size=6):
    first, second = torch.randn(2, size, 1, 64, generator=torch.Generator().manual_seed(position))
    return {
        "first": first, "second": second,
        "participants": torch.arange(size) + 2 * position, "position": position,
    }  # fmt: skip


def project(network, segments):
    with torch.no_grad():
        return network(segments)


@pytest.mark.parametrize("symmetric", [True, False])
def test_both_views_are_queries_in_turn_or_the_first_alone(symmetric):
    made = method(symmetric=symmetric)
    given = batch(0)
    first, second = made.view(given, "first"), made.view(given, "second")
    keys = [project(made.teacher, view) for view in (second, first)]
    queries = [project(made.student(), view) for view in (first, second)]
    used = 2 if symmetric else 1
    whose = given["participants"].repeat(used)
    expected = [
        moco_loss(queries[i], keys[i], torch.cat(keys[:used]), given["participants"], whose)
        for i in range(used)
    ]
    torch.testing.assert_close(made.loss(given)["loss"], torch.stack(expected).mean())
    assert int(made.queue.filled) == 6 * used


def test_the_first_batch_has_negatives_and_one_participant_alone_has_none():
    assert method().loss(batch(0))["loss"] > 1
    alone = {**batch(0), "participants": torch.zeros(6, dtype=torch.long)}
    assert method().loss(alone)["loss"] == 0


def test_keys_of_the_own_participant_in_earlier_batches_are_no_negatives():
    made = method()
    for position in range(3):
        made.loss({**batch(position), "participants": torch.full((6,), 4)})
    assert int(made.queue.filled) == 36
    assert made.loss({**batch(3), "participants": torch.full((6,), 4)})["loss"] == 0


def test_an_empty_and_a_full_queue_have_the_same_shape_in_a_checkpoint():
    made = method()
    before = {name: value.shape for name, value in made.state_dict().items()}
    for position in range(6):
        made.loss(batch(position))
    assert {name: value.shape for name, value in made.state_dict().items()} == before
    assert int(made.queue.filled) == 50


def test_a_participant_has_one_number_in_all_epochs_and_on_all_ranks():
    """What the queue relies on: a key that was put in long ago is still known as one's own."""
    participants = np.random.default_rng(0).permutation(np.repeat([f"p{i}" for i in range(20)], 3))
    owner = dict(enumerate(participants.tolist()))
    known = {}
    for rank in range(2):
        sampler = PairSampler(
            np.arange(60), participants, batch_size=6, config=PairConfig(), seed=0,
            rank=rank, world_size=2,
        )  # fmt: skip
        for epoch in range(10):
            for pairs in sampler.epoch(epoch):
                for row, code in zip(
                    pairs.first.tolist(), pairs.participants.tolist(), strict=True
                ):
                    assert known.setdefault(code, owner[row]) == owner[row]
    assert len(known) == len(set(known.values())) == 20
