"""Everything at once, on projections whose quality is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medssl.errors import StageError
from medssl.evaluation.baselines import UNTRAINED
from medssl.evaluation.image_text.evaluate import (
    IMAGE_TASK,
    TEXT_TASK,
    Statistics,
    evaluate,
    modality_gap_of,
    paired_embeddings,
)
from medssl.evaluation.image_text.prompts import PromptSet
from medssl.evaluation.image_text.scored import Projections, Scored, gather
from medssl.evaluation.image_text.scores import PAIRS
from medssl.evaluation.image_text.zero_shot import PromptVectors
from medssl.evaluation.image_text.zero_shot_table import MACRO
from medssl.sampling.studies import Studies
from medssl.store import Store
from medssl.text.policy import TextPolicy

PROMPTS = PromptSet.from_templates(["effusion", "mass"])
QUICK = Statistics(replicates=200, method="percentile")
DIM = 40


@pytest.fixture(scope="module")
def scored(image_text_store: Path) -> Scored:
    store = Store.open(image_text_store)
    images, reports = (store.rows(modality=name) for name in ("radiograph", "report"))
    columns = {"effusion": "effusion", "mass": "mass"}
    return gather(store, images, columns=columns, prompts=PROMPTS, reports=reports)


def known(scored: Scored, *, signal: float, seed: int = 0) -> Projections:
    """Axis 0 tells the effusion, the others the study; images and reports have noise of their own.

    Without signal, images say nothing of either.
    """
    assert scored.pairs is not None
    rng = np.random.default_rng(seed)
    code = dict(zip(scored.pairs.images.tolist(), scored.pairs.codes.tolist(), strict=True))
    said = dict(zip(scored.pairs.reports.tolist(), scored.pairs.codes.tolist(), strict=True))
    fluid = scored.labels["effusion"].fillna(0).to_numpy()
    studies = np.random.default_rng(99).normal(size=(max(code.values()) + 1, DIM - 1))
    own = studies[[code[row] for row in scored.images.tolist()]]
    images = signal * np.c_[8 * fluid - 4, own] + rng.normal(size=(len(own), DIM))
    theirs = studies[[said[row] for row in scored.reports.tolist()]]
    reports = np.c_[np.zeros(len(theirs)), theirs] + 0.3 * rng.normal(size=(len(theirs), DIM))
    axis = np.eye(DIM)[0]
    side = axis + 0.01 * rng.normal(size=(2, DIM)), -axis + 0.01 * rng.normal(size=(2, DIM))
    blind = rng.normal(size=(2, DIM)), rng.normal(size=(2, DIM))
    prompts = {"effusion": PromptVectors(*side), "mass": PromptVectors(*blind)}
    return Projections(images, reports, prompts)


def test_what_is_known_is_found_beside_chance_and_untrained_models(scored: Scored) -> None:
    found = known(scored, signal=1.0)
    untrained = [known(scored, signal=0.0, seed=seed) for seed in (1, 2)]
    blank = np.random.default_rng(5).normal(size=DIM)
    scores = evaluate(
        scored, found, untrained=untrained, blank=blank, ks=(5, 500), statistics=QUICK,
    )  # fmt: skip
    assert scores.counts == {"images": 80, "reports": 80, "participants": 60}
    assert scores.findings is not None
    effusion = scores.findings.row("effusion")
    assert effusion.interval.low > 0.9
    random = scores.findings.row("effusion", UNTRAINED)
    assert random.difference is not None
    assert random.difference.low > 0.2
    label = scored.labels["effusion"].to_numpy()
    there = np.isfinite(label)
    each = [
        roc_auc_score(
            label[there], one.images[there, 0] / np.linalg.norm(one.images[there], axis=1)
        )
        for one in untrained
    ]
    assert random.interval.value == pytest.approx(np.mean(each), abs=0.03)
    assert not scores.findings.row("mass").above_chance
    assert scores.findings.row(MACRO).interval.value < effusion.interval.value
    # Retrieval by finding: only ranks that say something.
    assert scores.retrieval is not None
    assert {row.k for row in scores.retrieval.rows} == {5}
    assert any("Not cut at 500: there are 80" in note for note in scores.retrieval.notes)
    assert any("2 images lack a label" in note for note in scores.retrieval.notes)
    assert scores.retrieval.row(IMAGE_TASK, "precision", 5).interval.value > 0.8
    text = scores.retrieval.row(TEXT_TASK, "precision", 5)
    assert (text.resampled, text.interval.method) == (
        "candidates",
        "percentile bootstrap over participants",
    )
    asked = scores.retrieval.row(IMAGE_TASK, "precision", 5)
    assert 0 < asked.n_participants <= 60
    assert asked.interval.method == "percentile bootstrap over participants"
    assert (text.n_queries, text.n_candidates) == (4, 80)
    # Pairs.
    assert scores.pairs is not None
    for task in ("image → report", "report → image"):
        assert scores.pairs.row(task, "hit", 1).interval.low > 0.3
        baseline = scores.pairs.row(task, "hit", 1, features=UNTRAINED)
        assert baseline.interval.value < 0.1
    assert scores.image_use["effusion"].verdict == "depends"
    assert scores.image_use[PAIRS].verdict == "depends"
    assert scores.image_use["mass"].verdict != "depends"
    text_out = scores.to_markdown()
    assert "| image → report | hit@1 | encoder |" in text_out
    assert "### Which report belongs to the image?" in text_out
    json.dumps(scores.to_dict(), allow_nan=False)


def test_a_gap_is_told_where_images_and_reports_lie_apart(scored: Scored) -> None:
    found = known(scored, signal=1.0)
    near = modality_gap_of(*paired_embeddings(scored, found), QUICK)
    shift = np.zeros(DIM)
    shift[1] = 12.0
    apart = replace(found, images=found.images + shift)
    far = modality_gap_of(*paired_embeddings(scored, apart), QUICK)
    assert near is not None
    assert far is not None
    assert near.distance.value < far.chance < far.distance.low
    assert far.separability.value > 0.95
    assert far.distance.n_participants == 60
    few = scored.images[:6]
    less = replace(scored, images=few, pairs=_only(scored, few), labels=scored.labels.iloc[:6])
    theirs = found.reports[np.isin(scored.reports, less.reports)]
    scores = evaluate(
        less,
        replace(found, images=found.images[:6], reports=theirs),
        questions=(),
        statistics=QUICK,
    )
    assert scores.gap is None
    assert any("fewer than 10 participants" in note for note in scores.notes)


def _only(scored: Scored, images: np.ndarray) -> Studies:
    assert scored.pairs is not None
    kept = np.isin(scored.pairs.images, images)
    return replace(
        scored.pairs, images=scored.pairs.images[kept], reports=scored.pairs.reports[kept],
        codes=scored.pairs.codes[kept], participants=scored.pairs.participants[kept],
    )  # fmt: skip


def test_equal_reports_are_one_when_their_contents_are_given(scored: Scored) -> None:
    contents = scored.contents(TextPolicy())
    assert len(contents) == 80
    assert len(np.unique(contents)) == 4  # two sentences on fluid, two beside
    found = known(scored, signal=1.0)
    scores = evaluate(scored, found, contents=contents, questions=(), statistics=QUICK)
    assert scores.pairs is not None
    assert scores.pairs.row("image → report", "hit", 1).n_candidates == 4
    assert {row.k for row in scores.pairs.rows} == {1, None}
    assert any("80 reports, of which 4 differ" in note for note in scores.pairs.notes)
    assert any("Not cut at 5, 10" in note for note in scores.pairs.notes)


def test_findings_alone_and_pairs_alone(image_text_store: Path) -> None:
    store = Store.open(image_text_store)
    images, reports = (store.rows(modality=name) for name in ("radiograph", "report"))
    make: Callable[..., Scored] = lambda **given: gather(store, images, prompts=PROMPTS, **given)  # noqa: E731
    alone = make(columns={"effusion": "effusion"}, reports=None)
    assert (alone.pairs, len(alone.reports), alone.notes) == (None, 0, ())
    none = make(columns={"effusion": "effusion"}, reports=reports[:0])
    assert "No scored image has a report" in " ".join(none.notes)
    pairs = make(columns={}, reports=reports[1:])
    assert pairs.findings == ()
    assert pairs.notes == ("In no pair: 1 images without a report, 0 reports without an image.",)
    with pytest.raises(StageError, match="no image has a label of a finding or a report"):
        make(columns={}, reports=None)
    with pytest.raises(StageError, match="no image has a report"):
        paired_embeddings(alone, Projections(np.ones((80, 2)), np.ones((0, 2)), {}))


def test_a_finding_that_nobody_has_is_left_out_and_named(image_text_store: Path) -> None:
    store = Store.open(image_text_store)
    images = store.rows(modality="radiograph")
    names = pd.Index(store.column("record", images))
    lacking = (store.record_labels["effusion"].reindex(names) == 0).to_numpy()
    found = gather(
        store, images[lacking], columns={"effusion": "effusion", "mass": "mass"}, prompts=PROMPTS,
        reports=None,
    )  # fmt: skip
    assert found.findings == ("mass",)
    assert found.notes == ("Left out, for want of images with and without it: effusion.",)


def test_questions_that_cannot_be_answered_are_notes(scored: Scored) -> None:
    found = known(scored, signal=1.0)
    one = "p006"
    mine = np.flatnonzero(scored.participants == one)
    few = np.r_[mine, np.flatnonzero(scored.participants != one)[:1]]
    less = replace(
        scored, images=scored.images[few], labels=scored.labels.iloc[few], pairs=None,
    )  # fmt: skip
    scores = evaluate(
        less, replace(found, images=found.images[few]), questions=(PAIRS, "effusion"),
        statistics=QUICK,
    )  # fmt: skip
    assert scores.image_use == {}
    said = " ".join(scores.notes)
    assert "Image use of pairs: nothing to ask it of." in said
    assert "Image use of the score of effusion cannot be told: one participant has" in said
