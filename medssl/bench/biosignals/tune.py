"""Choosing each arm's learning rate on validation participants; the test is not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from medssl.bench.arms import Arm
from medssl.bench.biosignals.arms import BASE
from medssl.bench.linear import score_linear
from medssl.bench.options import Options
from medssl.bench.parts import Part
from medssl.bench.runs import Report
from medssl.bench.scores import Score
from medssl.bench.training import ingest_part, train_arms
from medssl.config import merge
from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.probes import ProbeConfig
from medssl.sampling.splits import TRAIN, VALIDATION
from medssl.stages.embed import EMBEDDINGS
from medssl.stages.ingest import store_folder
from medssl.store import Store

LEARNING_RATES: Final = (1e-3, 3e-3)
"""The recipe did worse with 3e-4 on both legs."""
MINIMUM: Final = 20
"""Validation participants that a target needs to have a say."""


def candidates(arms: Sequence[Arm]) -> list[Arm]:
    """Every arm with every learning rate; one of the recipe's keeps its name, as the reference."""
    found = []
    for arm in arms:
        for rate in LEARNING_RATES:
            reference = arm.name == BASE and rate == LEARNING_RATES[0]
            changed = merge(dict(arm.pretrain), {"optimiser": {"learning_rate": rate}})
            name = arm.name if reference else f"{arm.name}, {rate:g}"
            found.append(Arm(name=name, group=arm.name, pretrain=changed))
    return found


def tune(leg: Part, arms: Sequence[Arm], options: Options, *, report: Report) -> pd.DataFrame:
    """Score candidates on validation participants, fitted on training participants.

    Args:
        leg: The leg; what it has chosen before is put aside.
        arms: Whose learning rates.
        options: Where outputs stand, steps and workers; one seed is used.
        report: Called with lines of progress.

    Returns:
        One row per candidate: its arm, learning rate, the score of each target, and `chosen`: the
        arm's best mean rank over targets with at least `MINIMUM` validation participants.

    Raises:
        StageError: No target has as many.
    """
    folders = ingest_part(leg, options, report=report)
    tried = candidates(arms)
    runs = train_arms(leg, tried, replace(options, seeds=1), report=report)
    store = Store.open(store_folder(folders["ingest"]))
    probe = ProbeConfig.model_validate(
        {
            **leg.config.pipeline["stages"]["probe"],
            "fit_on": [TRAIN], "score_on": [VALIDATION], "bootstrap": 100,
        }
    )  # fmt: skip
    embeddings = {run.arm: [Embeddings.read(run.folders["embed"] / EMBEDDINGS)] for run in runs}
    scores, _ = score_linear(leg, store, embeddings, [], base=BASE, config=probe)
    return table_of(tried, scores)


def table_of(tried: Sequence[Arm], scores: Sequence[Score]) -> pd.DataFrame:
    """The table of `tune` from the scores of the candidates."""
    rows = []
    for arm in tried:
        own = [s for s in scores if s.features == arm.name]
        rate = arm.pretrain["optimiser"]["learning_rate"]
        row: dict[str, Any] = {"arm": arm.group, "learning_rate": rate}
        rows.append(row | {s.target: s.interval.value for s in own})
    frame = pd.DataFrame(rows)
    counted = {s.target: s for s in scores if s.interval.n_participants >= MINIMUM}
    if not counted:
        msg = f"no target has {MINIMUM} labelled validation participants: nothing can be chosen"
        raise StageError(msg)
    ranks = [
        frame.groupby("arm")[name].rank(ascending=not one.metric.higher_is_better)
        for name, one in counted.items()
    ]
    frame["mean_rank"] = np.mean(ranks, axis=0)
    best = frame.groupby("arm")["mean_rank"].transform("min")
    frame["chosen"] = (frame["mean_rank"] == best) & ~frame.duplicated(["arm", "mean_rank"])
    return frame
