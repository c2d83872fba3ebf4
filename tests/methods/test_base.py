"""What is the same in every method: where views start from, and what their numbers depend on."""

import pytest
import torch

from medssl.methods.config import MethodConfig
from medssl.methods.registry import build_method
from medssl.sampling.loader import PairLoader
from medssl.sampling.pairs import PairConfig, PairSampler
from medssl.store.schema import PARTICIPANT
from medssl.views.normalise import zscore


@pytest.fixture
def batch(ppg_store):
    rows = ppg_store.rows()
    sampler = PairSampler(
        rows, ppg_store.column(PARTICIPANT, rows), batch_size=8, config=PairConfig(), seed=0
    )
    return next(iter(PairLoader(ppg_store, sampler, total=1)))


def method(seed=0, **views):
    config = MethodConfig.model_validate(
        {
            "encoder": {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2},
            "views": {"channel_permutation": {"probability": 0}, **views},
        }
    )
    return build_method(config, seed=seed, steps=10)


def test_views_start_from_segments_that_are_normalised_at_the_stores_rate(batch):
    off = {name: {"probability": 0} for name in ("cutout", "magnitude_warp", "time_warp",
                                                 "gaussian_noise")}  # fmt: skip
    seen = method(**off).view(batch, "first")
    assert torch.equal(seen, zscore(batch["first"]))
    torch.testing.assert_close(seen.mean(dim=-1), torch.zeros(8, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std(dim=-1, correction=0), torch.ones(8, 1))
    assert abs(batch["first"].mean()) > 10  # the store holds the units of the recording


def test_views_depend_on_seed_position_side_and_number_alone(batch):
    torch.manual_seed(1)
    first = method().view(batch, "first")
    torch.manual_seed(2)
    assert torch.equal(method().view(batch, "first"), first)
    same = {**batch, "second": batch["first"]}
    later = {**batch, "position": 1}
    others = [
        method().view(same, "second"),
        method().view(later, "first"),
        method().view(batch, "first", 1),
        method(seed=1).view(batch, "first"),
    ]
    assert not any(torch.equal(first, other) for other in others)
