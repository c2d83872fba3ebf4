from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from medssl.errors import StageError
from medssl.evaluation import minirocket as module
from medssl.evaluation.minirocket import (
    KERNELS,
    MiniRocket,
    draw_channels,
    fit_minirocket,
    minirocket_features,
    plan_dilations,
    weights,
)
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.views.normalise import zscore


def segments(count: int, channels: int, samples: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return zscore(torch.randn(count, channels, samples, generator=generator).cumsum(-1))


def fitted(x: Tensor, *, n_features: int = 840, seed: int = 0) -> MiniRocket:
    return fit_minirocket(
        lambda places: x[torch.as_tensor(places)],
        [np.array([place]) for place in range(len(x))],
        seed=seed,
        n_features=n_features,
    )


def output_by_loop(x: np.ndarray, kernel: np.ndarray, dilation: int) -> np.ndarray:
    """One kernel over one signal, sample by sample, zeros beyond the ends."""
    found = np.zeros(len(x))
    for place in range(len(x)):
        for tap, weight in enumerate(kernel):
            at = place + (tap - 4) * dilation
            if 0 <= at < len(x):
                found[place] += weight * x[at]
    return found


def features_by_loop(x: np.ndarray, rocket: MiniRocket) -> np.ndarray:
    """Features of one segment (channels, time) from the definitions of the paper."""
    found = []
    for number, layer in enumerate(rocket.layers):
        for kernel in range(KERNELS):
            mixed = x[layer.channels[kernel].numpy() == 1].sum(axis=0)
            output = output_by_loop(mixed, weights()[kernel].numpy(), layer.dilation)
            if (number + kernel) % 2:  # every second one, and the other ones at the next dilation
                output = output[4 * layer.dilation : len(output) - 4 * layer.dilation]
            found += [(output > bias).mean() for bias in layer.biases[kernel].numpy()]
    return np.array(found)


def test_there_are_84_kernels_of_three_twos() -> None:
    kernels = weights()
    assert kernels.shape == (84, 9)
    assert len(kernels.unique(dim=0)) == 84
    assert ((kernels == 2).sum(dim=1) == 3).all()
    assert ((kernels == -1).sum(dim=1) == 6).all()


@pytest.mark.parametrize(("channels", "samples"), [(1, 40), (3, 33)])
def test_features_are_those_of_a_slow_loop(channels: int, samples: int) -> None:
    x = segments(6, channels, samples)
    rocket = fitted(x, n_features=336)
    found = rocket.transform(x[:2]).numpy()
    assert found.shape == (2, 336)
    for one, own in zip(x[:2].double().numpy(), found, strict=True):
        # A tie between an output and a bias may fall to either side: one sample of the segment.
        difference = np.abs(own - features_by_loop(one, rocket))
        assert (difference > 1e-6).mean() < 0.01
        assert difference.max() <= 1 / (samples - 32) + 1e-6


def test_biases_are_quantiles_of_outputs_for_a_training_segment() -> None:
    x = segments(1, 1, 50)
    rocket = fitted(x, n_features=420)
    golden, number = (5**0.5 + 1) / 2, 0
    for layer in rocket.layers:
        for kernel in range(KERNELS):
            output = output_by_loop(
                x[0, 0].double().numpy(), weights()[kernel].numpy(), layer.dilation
            )
            for bias in layer.biases[kernel].tolist():
                number += 1
                expected = np.quantile(output, number * golden % 1)
                assert bias == pytest.approx(expected, abs=1e-4)
    assert number == rocket.dim == 420


@pytest.mark.parametrize(("samples", "features"), [(9, 119), (134, 119), (3840, 119), (50, 3)])
def test_dilations_grow_to_the_whole_segment(samples: int, features: int) -> None:
    plan = plan_dilations(samples, features)
    dilations = [dilation for dilation, _ in plan]
    assert dilations[0] == 1
    assert dilations == sorted(set(dilations))
    assert 8 * dilations[-1] <= samples - 1 < 16 * dilations[-1]
    assert sum(count for _, count in plan) == features
    assert min(count for _, count in plan) >= 1


def test_every_segment_gets_the_same_features_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    x = segments(13, 2, 200)
    rocket = fitted(x)
    whole = rocket.transform(x)
    monkeypatch.setattr(module, "BLOCK", 84 * 200 * 3)
    assert torch.equal(rocket.transform(x), whole)
    assert torch.equal(torch.cat([rocket.transform(one[None]) for one in x]), whole)
    assert rocket.transform(x[:0]).shape == (0, rocket.dim)
    assert float(whole.min()) >= 0
    assert float(whole.max()) <= 1


def test_the_seed_decides_and_only_the_seed() -> None:
    x = segments(10, 1, 60)
    torch.manual_seed(5)
    first = fitted(x, seed=3).transform(x)
    torch.manual_seed(6)
    assert torch.equal(fitted(x, seed=3).transform(x), first)
    assert not torch.equal(fitted(x, seed=4).transform(x), first)


def test_kernels_sum_over_one_to_nine_channels() -> None:
    drawn = draw_channels(np.random.default_rng(0), 12)
    counts = drawn.sum(dim=1)
    assert drawn.shape == (84, 12)
    assert 1 <= int(counts.min()) < int(counts.max()) <= 9
    assert (drawn.sum(dim=0) > 0).all()
    assert draw_channels(np.random.default_rng(0), 1).flatten().tolist() == [1.0] * 84


def test_only_training_records_decide_on_the_biases(ppg_store: Store) -> None:
    rows = ppg_store.rows()
    people = ppg_store.column("participant", rows)
    train = rows[np.isin(people, np.unique(people)[:40])]
    every = minirocket_features(ppg_store, rows, train, 0, 840)
    some = minirocket_features(ppg_store, rows[:30], train, 0, 840)
    assert every.by == "record"
    assert every.values.dtype == np.float32
    assert every.values.shape == (len(rows), 840)
    assert every.keys.tolist() == ppg_store.column("record", rows).tolist()
    np.testing.assert_array_equal(some.values, every.values[:30])
    assert every.note == "840 features; biases from 40 training participants"
    others = minirocket_features(ppg_store, rows[:30], rows[~np.isin(rows, train)], 0, 840)
    assert not np.array_equal(others.values, some.values)


def test_a_participant_with_many_records_is_drawn_no_more_often() -> None:
    seen: list[int] = []
    x = segments(100, 1, 20)

    def read(places: np.ndarray) -> Tensor:
        seen.extend(np.asarray(places).tolist())
        return x[torch.as_tensor(places)]

    fit_minirocket(read, [np.arange(99), np.array([99])], seed=0, n_features=9996)
    share = np.mean(np.array(seen) == 99)
    assert 0.35 < share < 0.65


def test_what_cannot_be_fitted_is_refused(
    record: Callable[..., Record], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(StageError, match="84 features, not 83"):
        fitted(segments(2, 1, 20), n_features=83)
    with pytest.raises(StageError, match="9 samples, not 8"):
        fitted(segments(2, 1, 8))
    rocket = fitted(segments(2, 1, 20))
    with pytest.raises(ValueError, match="fitted to 1 × 20"):
        rocket.transform(segments(2, 1, 21))
    bad = np.full((1, 64), 3.0, dtype=np.float32)
    bad[0, 5] = np.inf
    folder = tmp_path_factory.mktemp("bad")
    store = write_store(folder / "store", [record("p", 0, bad)])
    with pytest.raises(StageError, match="NaN or infinite"):
        minirocket_features(store, store.rows(), store.rows(), seed=0)
    good = write_store(folder / "good", [record("p", 0, np.ones((1, 64), dtype=np.float32))])
    with pytest.raises(StageError, match="a training segment"):
        minirocket_features(good, good.rows(), good.rows()[:0], seed=0)
    constant = minirocket_features(good, good.rows(), good.rows(), seed=0, n_features=168)
    assert np.isfinite(constant.values).all()
