import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from medssl.views import functional


@pytest.fixture
def x():
    return torch.randn(5, 4, 200, generator=torch.Generator().manual_seed(0))


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_cutout_zeroes_exactly_the_stretch_in_all_channels(x):
    start, length = torch.tensor([0, 50, 199, 20, 7]), torch.tensor([60, 100, 1, 0, 193])
    out = functional.cutout(x, start=start, length=length)
    for row in range(5):
        expected = x[row].clone()
        expected[:, start[row] : start[row] + length[row]] = 0
        assert torch.equal(out[row], expected)


def test_magnitude_warp_equals_scipy(x):
    knots = 1 + 0.2 * normal(5, 7)
    out = functional.magnitude_warp(x, knots=knots)
    for row in range(5):
        spline = CubicSpline(np.linspace(0, 199, 7), knots[row].double().numpy(), bc_type="natural")
        expected = x[row].double().numpy() * spline(np.arange(200))
        assert np.allclose(out[row], expected, atol=1e-5)


def test_time_warp_equals_scipy_and_interp(x):
    knots = 0.5 * normal(5, 7)
    out = functional.time_warp(x, knots=knots)
    for row in range(5):
        log_speed = CubicSpline(
            np.linspace(0, 199, 7), knots[row].double().numpy(), bc_type="natural"
        )(np.arange(200))
        speed = np.exp(log_speed)
        walked = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
        at = walked / walked[-1] * 199
        for channel in range(4):
            expected = np.interp(at, np.arange(200), x[row, channel].double().numpy())
            assert np.allclose(out[row, channel], expected, atol=1e-5)


def test_public_time_warp_equals_scipy_and_interp(x):
    knots = 1 + 0.1 * normal(5, 4, 7)
    out = functional.time_warp_public(x, knots=knots)
    at = np.linspace(0, 199, 7)
    for row in range(5):
        for channel in range(4):
            curve = CubicSpline(at, at * knots[row, channel].double().numpy())(np.arange(200))
            positions = np.clip(curve * 199 / curve[-1], 0, 199)
            expected = np.interp(positions, np.arange(200), x[row, channel].double().numpy())
            assert np.allclose(out[row, channel], expected, atol=1e-5)


@pytest.mark.parametrize("length", [3840, 128])
def test_monotone_warp_takes_no_negative_step_in_2000_draws(length):
    positions = functional.monotone_positions(0.1 * normal(2000, 7), length)
    steps = positions.diff(dim=1)
    assert (steps > 0).all()
    assert (positions[:, 0] == 0).all()
    assert (positions[:, -1] == length - 1).all()


def test_extreme_warp_stays_inside_and_monotone():
    positions = functional.monotone_positions(5 * normal(200, 7), 500)
    assert (positions.diff(dim=1) >= 0).all()
    assert positions.min() == 0
    assert positions.max() == 499


def test_public_warp_turns_back_and_freezes_as_often_as_was_measured():
    # About 20 % and 29 % of draws: what the monotone form is there to avoid.
    positions = functional.public_positions(1 + 0.1 * normal(4000, 1, 7), 960)[:, 0]
    steps = positions.diff(dim=1)
    assert (steps < 0).any(dim=1).float().mean() == pytest.approx(0.21, abs=0.03)
    frozen = (steps == 0).float().mean(dim=1) > 0.05
    assert frozen.float().mean() == pytest.approx(0.29, abs=0.03)


def test_warp_keeps_channels_in_step():
    ramp = torch.arange(400.0).expand(3, 4, 400)
    shifted = ramp + torch.arange(4.0)[None, :, None]
    knots = 0.3 * normal(3, 7)
    out = functional.time_warp(shifted, knots=knots)
    apart = out - out[:, :1]
    assert torch.allclose(apart, torch.arange(4.0)[None, :, None].expand(3, 4, 400), atol=1e-3)
    public = functional.time_warp_public(shifted, knots=1 + 0.1 * normal(3, 4, 7))
    assert (public - public[:, :1] - torch.arange(4.0)[:, None]).abs().max() > 1


def test_noise_depends_on_its_own_seed_alone(x):
    sigma, seeds = torch.full((5,), 0.5), torch.tensor([3, 4, 3, 0, 2**53 - 1])
    out = functional.gaussian_noise(x, sigma=sigma, seeds=seeds)
    noise = out - x
    assert torch.allclose(noise[0], noise[2], atol=1e-6)
    alone = functional.gaussian_noise(x[3:4], sigma=sigma[:1], seeds=seeds[3:4])
    assert torch.equal(alone[0], out[3])
    assert not torch.allclose(noise[0], noise[1])


def test_noise_has_the_standard_deviation_asked_for():
    x = torch.zeros(2, 4, 5000)
    out = functional.gaussian_noise(x, sigma=torch.tensor([0.05, 1.0]), seeds=torch.tensor([0, 1]))
    assert out[0].std() == pytest.approx(0.05, rel=0.02)
    assert out[1].std() == pytest.approx(1.0, rel=0.02)


def test_permutation_takes_the_named_channels(x):
    permutation = torch.stack([torch.randperm(4) for _ in range(5)])
    out = functional.permute_channels(x, permutation=permutation)
    for row in range(5):
        assert torch.equal(out[row], x[row][permutation[row]])


@pytest.mark.parametrize("length", [1, 2, 3])
def test_shortest_segments(length):
    x = torch.randn(2, 1, length)
    warped = functional.time_warp(x, knots=torch.randn(2, 7))
    assert torch.equal(warped[..., 0], x[..., 0])
    assert torch.equal(warped[..., -1], x[..., -1])
    assert functional.time_warp_public(x, knots=torch.ones(2, 1, 7)).isfinite().all()
    assert torch.isfinite(functional.magnitude_warp(x, knots=torch.randn(2, 7))).all()
