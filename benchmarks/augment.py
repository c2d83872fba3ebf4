"""Views per second: medssl's batched cascade beside a per-sample NumPy cascade.

    python benchmarks/augment.py            # about a minute on two cores
    python benchmarks/augment.py --quick

Both apply the published PPG cascade with medssl's parameters (cut-out 0.4, magnitude warp 0.25,
monotone time warp 0.15, Gaussian noise 0.25, channel permutation 0.25), drawing included. The NumPy
one works segment by segment, as data loader workers do, with SciPy splines and `numpy.interp`; with
two threads it runs in two processes that hold their own data and return nothing, so that no
transfer is charged to it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

# As the command line does; must be set before torch is loaded. Spinning threads would make the
# figures depend on what else the machine does.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np
import scipy
import torch
from rich.console import Console
from rich.table import Table
from scipy.interpolate import CubicSpline

from medssl.views import ViewsConfig

SHAPES = ((4, 3840), (1, 128), (1, 640), (1, 1280))
CONFIG = ViewsConfig()


def numpy_cutout(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Zero a stretch."""
    length = round(x.shape[1] * rng.uniform(*CONFIG.cutout.fraction))
    start = rng.integers(x.shape[1] - length + 1)
    out = x.copy()
    out[:, start : start + length] = 0
    return out


def numpy_curve(length: int, values: np.ndarray) -> np.ndarray:
    """A natural cubic through evenly spaced knots."""
    knots = np.linspace(0, length - 1, len(values))
    return CubicSpline(knots, values, bc_type="natural")(np.arange(length))


def numpy_magnitude_warp(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Multiply by a smooth curve."""
    config = CONFIG.magnitude_warp
    curve = numpy_curve(x.shape[1], rng.normal(1, config.sigma, config.knots))
    return x * curve.astype(x.dtype)


def numpy_time_warp(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Run faster and slower, one set of positions for all channels."""
    config, length = CONFIG.time_warp, x.shape[1]
    speed = np.exp(numpy_curve(length, rng.normal(0, config.sigma, config.knots)))
    walked = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
    positions = walked / walked[-1] * (length - 1)
    time_axis = np.arange(length)
    return np.stack([np.interp(positions, time_axis, channel) for channel in x]).astype(x.dtype)


def numpy_noise(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add white noise."""
    sigma = np.float32(rng.uniform(*CONFIG.gaussian_noise.sigma))
    return x + sigma * rng.standard_normal(x.shape, dtype=np.float32)


def numpy_permutation(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reorder the channels."""
    return x[rng.permutation(len(x))]


NUMPY_VIEWS: tuple[tuple[float, Callable[..., np.ndarray]], ...] = (
    (CONFIG.cutout.probability, numpy_cutout),
    (CONFIG.magnitude_warp.probability, numpy_magnitude_warp),
    (CONFIG.time_warp.probability, numpy_time_warp),
    (CONFIG.gaussian_noise.probability, numpy_noise),
    (CONFIG.channel_permutation.probability, numpy_permutation),
)


def numpy_batch(batch: np.ndarray, seed: int) -> np.ndarray:
    """Every segment through the cascade, one by one, stacked into a batch."""
    rng = np.random.default_rng(seed)
    views = []
    for segment in batch:
        view = segment
        for probability, transform in NUMPY_VIEWS:
            if rng.random() < probability:
                view = transform(view, rng)
        views.append(view)
    return np.stack(views)


def time_batches(function: Callable[[int], object], repeats: int) -> list[float]:
    """Seconds of each of `repeats` calls, after one that warms up."""
    function(-1)
    seconds = []
    for seed in range(repeats):
        start = time.perf_counter()
        function(seed)
        seconds.append(time.perf_counter() - start)
    return seconds


def numpy_process(batch: int, channels: int, length: int, repeats: int) -> list[float]:
    """Seconds per batch of the NumPy cascade, in this process."""
    data = np.random.default_rng(0).standard_normal((batch, channels, length), dtype=np.float32)
    return time_batches(lambda seed: numpy_batch(data, seed + 1), repeats)


def numpy_rate(
    pool: ProcessPoolExecutor, processes: int, shape: tuple[int, int, int], repeats: int
) -> float:
    """Views per second of the NumPy cascade, summed over processes."""
    work = [pool.submit(numpy_process, *shape, repeats) for _ in range(processes)]
    return sum(shape[0] / statistics.median(task.result()) for task in work)


def medssl_rate(threads: int, shape: tuple[int, int, int], repeats: int) -> float:
    """Views per second of medssl's cascade."""
    torch.set_num_threads(threads)
    cascade = CONFIG.build()
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
    return shape[0] / statistics.median(
        time_batches(lambda seed: cascade(x, seed=seed + 1), repeats)
    )


def machine() -> str:
    """What the figures were taken on."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"numpy {np.__version__}, scipy {scipy.__version__}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description="Views per second of the PPG cascade: batched torch beside per-sample NumPy."
    )
    parser.add_argument("--batch", type=int, default=256, help="segments in a batch")
    parser.add_argument("--repeats", type=int, default=15, help="batches timed; the median counts")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads to compare")
    parser.add_argument("--quick", action="store_true", help="64 segments, 3 batches")
    options = parser.parse_args()
    batch, repeats = (64, 3) if options.quick else (options.batch, options.repeats)

    table = Table(title=f"PPG cascade, views per second (batches of {batch})")
    for heading in ("channels × samples", "threads", "NumPy, per sample", "medssl", "times faster"):
        table.add_column(heading, justify="right")
    with ProcessPoolExecutor(max(options.threads), mp_context=get_context("spawn")) as pool:
        measure = partial(numpy_rate, pool)
        measure(max(options.threads), (8, 1, 64), 1)  # imports are not timed
        for channels, length in SHAPES:
            for threads in options.threads:
                shape = (batch, channels, length)
                theirs = measure(threads, shape, repeats)
                ours = medssl_rate(threads, shape, repeats)
                table.add_row(
                    f"{channels} × {length}",
                    str(threads),
                    f"{theirs:,.0f}",
                    f"{ours:,.0f}",
                    f"{ours / theirs:.1f}",
                )
    console = Console(width=max(100, Console().width))
    console.print(table)
    console.print(machine())


if __name__ == "__main__":
    main()
