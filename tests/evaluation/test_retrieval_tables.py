from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from medssl.errors import StageError
from medssl.evaluation.retrieval_metrics import columns
from medssl.evaluation.retrieval_tables import Ranking, tabulate
from medssl.evaluation.statistics import bootstrap

COLUMNS = columns((1,))


def ranking(
    values: np.ndarray, participants: list[str] | np.ndarray, chance: float = 0.1
) -> Ranking:
    values = np.repeat(np.asarray(values, dtype=float)[:, None], len(COLUMNS), axis=1)
    return Ranking(
        task="same sex",
        queries=np.array([f"r{i}" for i in range(len(values))]),
        participants=np.asarray(participants, dtype=np.str_),
        columns=COLUMNS,
        values=values,
        chance=np.full_like(values, chance),
        n_candidates=7,
    )


def test_each_participant_or_each_query_counts_once() -> None:
    given = ranking(np.array([1.0, 1.0, 1.0, 0.0]), ["a", "a", "a", "b"])
    by_participant = tabulate([given], replicates=50).row("same sex", "map")
    assert by_participant.interval.value == pytest.approx(0.5)
    by_query = tabulate([given], replicates=50, average="record").row("same sex", "map")
    assert by_query.interval.value == pytest.approx(0.75)
    assert (by_query.n_queries, by_query.n_participants, by_query.n_candidates) == (4, 2, 7)


@pytest.mark.parametrize("average", ["participant", "record"])
def test_interval_is_that_of_a_bootstrap_over_participants(average: str) -> None:
    rng = np.random.default_rng(0)
    people = np.sort(rng.choice([f"p{i:02d}" for i in range(20)], 100))
    values = rng.random(100)
    counts = {name: int((people == name).sum()) for name in people}
    each = np.array([1 / counts[n] if average == "participant" else 1.0 for n in people.tolist()])
    expected = bootstrap(
        lambda w: (w * each) @ values / (w * each).sum(axis=1), people, replicates=300, seed=5
    )
    row = tabulate(
        [ranking(values, people)], replicates=300, seed=5, average=average
    ).row("same sex", "precision", 1)  # type: ignore[arg-type]  # fmt: skip
    assert row.interval.value == pytest.approx(expected.value)
    assert row.interval.low == pytest.approx(expected.low)
    assert row.interval.high == pytest.approx(expected.high)
    assert row.above_chance


def test_baselines_are_averaged_over_seeds_and_compared_in_pairs() -> None:
    rng = np.random.default_rng(0)
    people = [f"p{i:02d}" for i in range(40)]
    noise = rng.random(40)
    encoder = ranking(noise + 0.1, people)
    seeds = [ranking(noise + 0.02, people), ranking(noise - 0.02, people)]
    table = tabulate([encoder], baselines={"untrained": seeds}, replicates=200)
    row = table.row("same sex", "mrr", features="untrained")
    assert row.interval.value == pytest.approx(noise.mean())
    assert row.difference is not None
    # The noise is shared, so that the paired difference is exact.
    assert row.difference.low == pytest.approx(0.1)
    assert row.difference.high == pytest.approx(0.1)
    assert "untrained: mean of 2 seeds." in table.notes
    assert table.row("same sex", "mrr").difference is None


def test_baselines_of_other_queries_are_refused() -> None:
    one, other = ranking(np.ones(3), list("abc")), ranking(np.ones(2), list("ab"))
    with pytest.raises(StageError, match="answered other queries"):
        tabulate([one], baselines={"untrained": [other]})


def test_a_task_without_answers_has_rows_without_values() -> None:
    empty = replace(ranking(np.empty(0), []), unanswerable=3)
    table = tabulate([empty], replicates=20)
    row = table.row("same sex", "map")
    assert np.isnan(row.interval.value)
    assert not row.above_chance
    assert "left out: 3." in table.notes[-1]
    assert json.loads(table.to_json())["rows"][0]["value"] is None
    assert "| – |" in table.to_markdown()


def test_one_participant_has_a_value_and_no_interval() -> None:
    row = tabulate([ranking(np.array([0.0, 1.0]), ["a", "a"])], replicates=20).rows[0]
    assert row.interval.value == pytest.approx(0.5)
    assert np.isnan(row.interval.low)


def test_json_frame_and_markdown_hold_the_same_rows() -> None:
    table = tabulate([ranking(np.array([0.2, 0.4, 0.3]), list("abc"))], replicates=50)
    value = json.loads(table.to_json())
    assert value == json.loads(json.dumps(table.to_dict()))
    assert len(value["rows"]) == len(table.to_pandas()) == len(COLUMNS)
    first = value["rows"][0]
    assert (first["n_participants"], first["n_queries"]) == (3, 3)
    assert first["chance"] == pytest.approx(0.1)
    text = table.to_markdown()
    assert "precision@1" in text
    assert "mAP" in text
    assert "hit@1" not in text
    with pytest.raises(KeyError):
        table.row("same age", "map")
