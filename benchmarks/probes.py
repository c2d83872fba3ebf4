"""Nested cross-validation of linear probes and their bootstrap: medssl beside scikit-learn.

    python benchmarks/probes.py             # one to three minutes, most of it scikit-learn's
    python benchmarks/probes.py --quick     # does it run? too small for the figures to mean much

Embeddings and targets are synthetic: each participant has a place, its records lie around it, all
directions are mixed with a falling spectrum, and the target is linear in the place plus noise of
the participant. Both sides get the same float64 rows, the same outer and inner folds (dealt over
participants, of equal size), the same penalties and one thread. scikit-learn does what its users
do: in each outer fold `GridSearchCV` over `Pipeline(StandardScaler, Ridge or LogisticRegression)`,
refitted with the best penalty. The logistic regression is solved by newton-cholesky at the default
tolerance: lbfgs, scikit-learn's default, takes several times as long on these data (`--solver`).

The bootstrap draws participants. scikit-learn's metrics are called once a replicate with the drawn
counts as weights; medssl's time includes the jackknife that BCa intervals need besides.

Times are of the processor, which on one thread are those of the clock on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
import sklearn
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.linalg import LinAlgWarning
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mean_absolute_error, roc_auc_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from medssl.evaluation.folds import grouped_folds
from medssl.evaluation.metrics.ranking import prepare_auroc
from medssl.evaluation.metrics.regression import prepare_mae
from medssl.evaluation.models import ModelConfig, nested_cross_validate
from medssl.evaluation.statistics import draw_counts, resample

QUICK = {"participants": 100, "records": 4, "dimensions": 16, "replicates": 100, "wide": 40}
WIDE = 9_996
"""Features of the wide data, as many as MiniRocket has."""
SEED = 0
Kind = str


@dataclass(frozen=True)
class Data:
    """Synthetic embeddings.

    Args:
        x: Shape (n, d).
        y: Number to regress on, shape (n,); above its median is the binary target.
        participants: Shape (n,).
        folds: Outer fold of each row.
    """

    x: np.ndarray
    y: np.ndarray
    participants: np.ndarray
    folds: np.ndarray

    def target(self, kind: Kind) -> np.ndarray:
        """Of a regression or a binary probe."""
        return self.y if kind == "regression" else (self.y > np.median(self.y)).astype(np.float64)


def make_data(participants: int, records: int, dimensions: int, folds: int) -> Data:
    """Records of participants, as described above."""
    rng = np.random.default_rng(SEED)
    places = rng.normal(size=(participants, dimensions))
    mix = rng.normal(size=(dimensions, dimensions)) * np.geomspace(1, 0.05, dimensions)
    scattered = np.repeat(places, records, axis=0)
    scattered += rng.normal(size=scattered.shape)
    y = places @ rng.normal(size=dimensions) / np.sqrt(dimensions)
    y += rng.normal(size=participants)
    names = np.repeat([f"p{number:06d}" for number in range(participants)], records)
    y = np.repeat(y, records)
    dealt = grouped_folds(names, y, folds=folds, seed=SEED)
    return Data(scattered @ mix.T, y, names, dealt)


def make_wide(participants: int, folds: int) -> Data:
    """Many more features than participants: mixtures of 32 directions, and noise."""
    rng = np.random.default_rng(SEED)
    places = rng.normal(size=(participants, 32))
    x = places @ rng.normal(size=(32, WIDE)) + 3 * rng.normal(size=(participants, WIDE))
    y = places[:, 0] + rng.normal(size=participants)
    names = np.array([f"p{number:06d}" for number in range(participants)])
    return Data(x, y, names, grouped_folds(names, y, folds=folds, seed=SEED))


def pipeline(kind: Kind, solver: str, config: ModelConfig) -> tuple[object, dict[str, object]]:
    """The model whose penalty is searched for, and the grid; larger penalties first, as here."""
    alphas = config.alphas[::-1]
    if kind == "regression":
        return make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": alphas}
    model = LogisticRegression(solver=solver, max_iter=1000)
    grid = {"logisticregression__C": [1 / alpha for alpha in alphas]}
    return make_pipeline(StandardScaler(), model), grid


def with_scikit_learn(
    data: Data, kind: Kind, solver: str, config: ModelConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all rows and the penalty of each outer fold."""
    y, scores, penalties = data.target(kind), np.empty(len(data.y)), []
    scoring = "neg_mean_squared_error" if kind == "regression" else "neg_log_loss"
    for fold in np.unique(data.folds):
        held = data.folds == fold
        inner = grouped_folds(
            data.participants[~held], y[~held], folds=config.inner_folds, seed=SEED + 1 + int(fold)
        )
        model, grid = pipeline(kind, solver, config)
        search = GridSearchCV(model, grid, cv=PredefinedSplit(inner), scoring=scoring)
        search.fit(data.x[~held], y[~held])
        chosen = next(iter(search.best_params_.values()))
        penalties.append(chosen if kind == "regression" else 1 / chosen)
        predict = search.predict if kind == "regression" else search.decision_function
        scores[held] = predict(data.x[held])
    return scores, np.array(penalties)


def with_medssl(data: Data, kind: Kind, config: ModelConfig) -> tuple[np.ndarray, np.ndarray]:
    """The same."""
    scores, _, penalties = nested_cross_validate(
        data.x, data.target(kind), data.participants, data.folds,
        kind=kind, config=config, seed=SEED,
    )  # fmt: skip
    return scores, penalties


def timed(function: Callable[[], object], rounds: int = 1) -> tuple[float, object]:
    """Median processor seconds of some calls, and what the last one returned."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        found = function()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds)), found


def compare_probes(
    data: Data, wide: Data, solver: str, config: ModelConfig, rounds: int, console: Console
) -> tuple[Table, dict[Kind, np.ndarray]]:
    """The table of nested cross-validations, and medssl's scores."""
    table = Table(box=box.MARKDOWN, title="Nested cross-validation of a linear probe")
    table.add_column("probe", no_wrap=True)
    for heading in (
        "scikit-learn s", "medssl s", "times faster", "same penalties", "largest difference",
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    kept = {}
    # scikit-learn's logistic regression has no fast way for wide features.
    for kind, name, some in (
        ("regression", f"ridge, {len(wide.x):,} × {WIDE:,}", wide),
        ("regression", "ridge", data),
        ("binary", f"logistic, {solver}", data),
    ):
        with console.status(f"{name}: scikit-learn"):
            theirs, (expected, wanted) = timed(
                lambda kind=kind, some=some: with_scikit_learn(some, kind, solver, config)
            )
        with console.status(f"{name}: medssl"):
            ours, (scores, penalties) = timed(
                lambda kind=kind, some=some: with_medssl(some, kind, config), rounds
            )
        same = int(np.isclose(penalties, wanted, rtol=1e-9).sum())
        difference = np.abs(scores - expected).max() / expected.std()
        table.add_row(
            name, f"{theirs:.2f}", f"{ours:.2f}", f"{theirs / ours:.1f}",
            f"{same} of {len(wanted)}", f"{difference:.0e} SD",
        )  # fmt: skip
        kept[kind] = scores
    return table, kept


def compare_bootstraps(
    data: Data, scores: dict[Kind, np.ndarray], replicates: int, rounds: int, console: Console
) -> Table:
    """The table of bootstraps over participants."""
    table = Table(box=box.MARKDOWN, title=f"Bootstrap over participants, {replicates:,} replicates")
    table.add_column("metric", no_wrap=True)
    for heading in ("value", "scikit-learn s", "medssl s", "times faster", "largest difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    names, owners = np.unique(data.participants, return_inverse=True)
    for metric, kind, prepare, peer in (
        ("AUROC", "binary", prepare_auroc, roc_auc_score),
        ("MAE", "regression", prepare_mae, mean_absolute_error),
    ):
        truth, predicted = data.target(kind), scores[kind]

        def loop(truth=truth, predicted=predicted, peer=peer) -> np.ndarray:
            rng = np.random.default_rng(SEED)
            found = np.empty(replicates)
            for place in range(replicates):
                weights = draw_counts(rng, len(names), 1)[0][owners]
                found[place] = peer(truth, predicted, sample_weight=weights)
            return found

        with console.status(f"{metric}: scikit-learn"):
            theirs, expected = timed(loop)
        with console.status(f"{metric}: medssl"):
            ours, found = timed(
                lambda prepare=prepare, truth=truth, predicted=predicted: resample(
                    {"metric": prepare(truth, predicted)}, data.participants,
                    replicates=replicates, seed=SEED,
                ),
                rounds,
            )  # fmt: skip
        difference = np.abs(found.draws["metric"] - expected).max()
        table.add_row(
            metric, str(found.interval("metric")), f"{theirs:.2f}", f"{ours:.2f}",
            f"{theirs / ours:.1f}", f"{difference:.0e}",
        )  # fmt: skip
    return table


def machine() -> str:
    """What the figures were taken on, and how busy it is."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores{load}, {platform.system()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"scikit-learn {sklearn.__version__}"
    )


def parse_options() -> argparse.Namespace:
    """The command line; what is given beats `--quick`."""
    parser = argparse.ArgumentParser(description="Speed of linear probes and their bootstrap.")
    parser.add_argument("--participants", type=int, default=2_000)
    parser.add_argument("--records", type=int, default=10, help="of each participant")
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--folds", type=int, default=5, help="outer and inner")
    parser.add_argument("--wide", type=int, default=200, help="participants of the wide data")
    parser.add_argument("--replicates", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3, help="of medssl; the median counts")
    parser.add_argument("--solver", default="newton-cholesky", help="of LogisticRegression")
    parser.add_argument("--quick", action="store_true", help="little data")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = parse_options()
    console = Console(width=max(120, Console().width))
    config = ModelConfig(inner_folds=options.folds)
    data = make_data(options.participants, options.records, options.dimensions, options.folds)
    wide = make_wide(options.wide, options.folds)
    with threadpool_limits(1), warnings.catch_warnings():
        for category in (ConvergenceWarning, LinAlgWarning):  # of the smallest penalties
            warnings.simplefilter("ignore", category)
        small = make_data(40, 2, 4, 2)  # imports and first calls are not timed
        compare_probes(small, small, options.solver, config, 1, console)
        probes, scores = compare_probes(data, wide, options.solver, config, options.rounds, console)
        bootstraps = compare_bootstraps(data, scores, options.replicates, options.rounds, console)
    console.print(probes)
    console.print(bootstraps)
    console.print(
        f"Synthetic: {len(data.x):,} records × {data.x.shape[1]} dimensions, "
        f"{options.participants:,} participants, {options.folds} × {options.folds} folds, "
        f"{len(config.alphas)} penalties, one thread each.\n"
        "Differences of scores are in standard deviations of scikit-learn's scores; its logistic "
        "regression stops at its default tolerance, medssl's much later.\n"
        f"{machine()}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
