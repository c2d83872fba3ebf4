"""The encoder from scratch, on the sample recordings and on waves in which the target is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medssl.encoders import ResNet1dConfig
from medssl.errors import ConfigError, LeakageError, StageError
from medssl.evaluation.cases import build_case
from medssl.evaluation.folds import grouped_folds
from medssl.evaluation.probes import ProbeConfig, dealing_seed
from medssl.evaluation.targets import Target
from medssl.evaluation.units import Records
from medssl.finetuning import supervised
from medssl.finetuning.config import FinetuneConfig, SupervisedConfig
from medssl.finetuning.supervised import supervised_predictions, supervised_rival
from medssl.records import Record
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId

ENCODER = ResNet1dConfig(channels=1, width=4, stages=2)
QUICK = SupervisedConfig(seeds=2, steps=4, batch_size=8, validate_every=2, threads=1,
                         accelerator="cpu")  # fmt: skip
SEX = Target(name="sex", column="sex", kind="binary", positive="M")


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Synthetic: sixty participants whose waves are the faster, the larger their number."""
    rng = np.random.default_rng(0)
    names = [f"p{i:03d}" for i in range(60)]
    number = rng.permutation(np.linspace(-1, 1, 60))
    grid = np.arange(64) / 64
    records = [
        Record(
            participant=ParticipantId(name), session="s", recording=f"{name}-{k}",
            modality=Modality.PPG, rate=64.0, channels=("x",), units="counts",
            source_digest=f"{name}{k}",
            data=np.sin(2 * np.pi * (5 + 3 * number[i]) * grid + rng.uniform(0, 6))[None].astype(
                np.float32
            ),
        )
        for i, name in enumerate(names)
        for k in range(2)
    ]  # fmt: skip
    labels = pd.DataFrame({"number": 50 + 20 * number}, index=pd.Index(names))
    folder = tmp_path_factory.mktemp("waves")
    return write_store(folder / "store", records, participants=labels)


def test_what_can_be_seen_is_learned(waves: Store) -> None:
    names = waves.participants.index.to_numpy()
    found = supervised_predictions(
        waves, waves.rows(), Target(name="number", column="number", kind="regression"),
        fit=names[:36], stop=names[36:44], score=names[44:], encoder=ENCODER,
        config=QUICK.model_copy(
            update={"steps": 150, "seeds": 1, "validate_every": 10, "learning_rate": 1e-2}
        ),
    )  # fmt: skip
    assert found.scores.shape == (1, 16)
    assert found.n_fit == 36
    assert found.units.tolist() == names[44:].tolist()
    assert np.corrcoef(found.scores[0], found.truth)[0, 1] > 0.8


def test_predictions_depend_on_nobody_who_is_scored(ppg_store: Store) -> None:
    """Not on their number, and not on their labels."""
    names = np.unique(ppg_store.column("participant"))
    fit, stop = names[:40], names[40:60]
    both = [
        supervised_predictions(
            ppg_store, ppg_store.rows(), SEX, fit=fit, stop=stop, score=score, encoder=ENCODER,
            config=QUICK,
        )
        for score in (names[60:], names[60:80])
    ]  # fmt: skip
    assert both[0].scores.shape == (2, len(names) - 60)
    same = np.isin(both[0].units, both[1].units)
    np.testing.assert_allclose(both[0].scores[:, same], both[1].scores, rtol=1e-5)
    assert not np.array_equal(both[0].scores[0], both[0].scores[1])  # another seed
    assert both[0].kind == "binary"


def test_who_is_on_two_sides_is_refused(ppg_store: Store) -> None:
    names = np.unique(ppg_store.column("participant")).tolist()
    groups = {"fit": names[:40], "stop": names[40:60], "score": names[60:]}
    for left, right in (("fit", "stop"), ("fit", "score"), ("stop", "score")):
        torn = {**groups, right: [*groups[right], groups[left][0]]}
        with pytest.raises(LeakageError):
            supervised_predictions(
                ppg_store, ppg_store.rows(), SEX, **torn, encoder=ENCODER, config=QUICK
            )


def test_too_few_are_refused_in_one_line(ppg_store: Store) -> None:
    names = np.unique(ppg_store.column("participant")).tolist()
    cases = [
        (names[:1], names[40:60], names[60:], "too few to fit on"),
        (names[:40], [], names[60:], "no validation participant"),
        (names[:40], names[40:60], ["nobody"], "nobody to score"),
    ]
    for fit, stop, score, message in cases:
        with pytest.raises(StageError, match=message):
            supervised_predictions(
                ppg_store, ppg_store.rows(), SEX, fit=fit, stop=stop, score=score,
                encoder=ENCODER, config=QUICK,
            )  # fmt: skip
    with pytest.raises(ConfigError, match="no label column 'hex'"):
        supervised_predictions(
            ppg_store, ppg_store.rows(), SEX.model_copy(update={"column": "hex"}),
            fit=names[:9], stop=names[9:15], score=names[15:], encoder=ENCODER,
        )  # fmt: skip


def setting(**changes: object) -> ProbeConfig:
    return ProbeConfig.model_validate({"targets": [SEX.model_dump()], "bootstrap": 100} | changes)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[set[str], set[str], set[str]]]:
    """Who was fitted, who stopped and who was scored in each run."""
    seen: list[tuple[set[str], set[str], set[str]]] = []
    real = supervised.train_from_scratch

    def watch(store, fit, stop, score, **others):  # type: ignore[no-untyped-def]
        seen.append(tuple(set(part.participants.tolist()) for part in (fit, stop, score)))
        return real(store, fit, stop, score, **others)

    monkeypatch.setattr(supervised, "train_from_scratch", watch)
    return seen


@pytest.mark.parametrize("level", ["participant", "record"])
def test_holdout_fits_on_train_and_stops_by_validation(
    ppg_store: Store, watched: list[tuple[set[str], set[str], set[str]]], level: str
) -> None:
    rows = ppg_store.rows()
    config = setting(targets=[{**SEX.model_dump(), "level": level}])
    splits = assign_splits(ppg_store.participants, SplitConfig())
    people = {name: {p for p, s in splits.items() if s == name} for name in splits.values()}
    case = build_case(
        config.targets[0], Records.of(ppg_store, rows), ppg_store.participants,
        ppg_store.record_labels, splits, config, None,
    )  # fmt: skip
    rival = supervised_rival(ppg_store, rows, splits, config, encoder=ENCODER, config=QUICK, seed=0)
    found = rival.predict(case)
    assert not isinstance(found, str)
    for fit, stop, score in watched:
        assert fit == people["train"]
        assert stop == people["validation"]
        assert score == people["test"]
    np.testing.assert_array_equal(found.truth, case.truth[case.scored])
    np.testing.assert_array_equal(found.participants, case.participants[case.scored])
    assert found.units.tolist() == case.units.names[case.rows[case.scored]].tolist()
    assert found.scores.shape == found.base.shape == found.folds.shape == (2, len(found.truth))
    assert np.isfinite(found.scores).all()
    assert found.n_fit == len(people["train"])
    assert found.n_records == case.n_records


def test_folds_are_those_of_the_probe_and_finished_runs_are_kept(
    ppg_store: Store, watched: list[tuple[set[str], set[str], set[str]]], tmp_path: Path
) -> None:
    rows = ppg_store.rows()
    config = setting(folds=3, score_on=["validation", "test"], inner_folds=4)
    splits = assign_splits(ppg_store.participants, SplitConfig())
    case = build_case(
        SEX, Records.of(ppg_store, rows), ppg_store.participants, ppg_store.record_labels,
        splits, config, None,
    )  # fmt: skip
    made: list[int] = []
    rival = supervised_rival(
        ppg_store, rows, splits, config, encoder=ENCODER, config=QUICK, seed=0,
        folder=tmp_path / "runs", report=lambda: made.append(1),
    )  # fmt: skip
    found = rival.predict(case)
    assert not isinstance(found, str)
    everyone = set(case.participants.tolist())
    for run in range(2):
        dealt = grouped_folds(
            case.participants, case.truth, folds=3, seed=dealing_seed(config, run)
        )
        np.testing.assert_array_equal(found.folds[run], dealt)
        for fold in range(3):
            fit, stop, score = watched[3 * run + fold]
            assert score == set(case.participants[dealt == fold].tolist())
            assert fit | stop | score == everyone
            assert len(stop) == pytest.approx(len(everyone - score) / 4, abs=1)
    assert np.isfinite(found.scores).all()
    assert len(made) == len(list((tmp_path / "runs").iterdir())) == 6
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*.npy")}
    again = rival.predict(case)
    assert not isinstance(again, str)
    np.testing.assert_array_equal(again.scores, found.scores)
    assert {f: f.stat().st_mtime_ns for f in (tmp_path / "runs").rglob("*.npy")} == before


def test_what_cannot_be_trained_is_said_in_the_table(waves: Store) -> None:
    """Two positives to fit on, of whom one is needed to stop by."""
    ordered = waves.participants["number"].sort_values(ascending=False)
    high = {"name": "high", "column": "number", "kind": "binary", "threshold": ordered.iloc[4]}
    config = setting(targets=[high], fit_on=["train"], minimum=4, inner_folds=2)
    names = ordered.index.tolist()
    splits = {name: "train" if i % 2 else "test" for i, name in enumerate(names)}
    rows = waves.rows()
    case = build_case(
        config.targets[0], Records.of(waves, rows), waves.participants, waves.record_labels,
        splits, config, None,
    )  # fmt: skip
    assert not case.problem
    rival = supervised_rival(waves, rows, splits, config, encoder=ENCODER, config=QUICK, seed=0)
    found = rival.predict(case)
    assert isinstance(found, str)
    assert "too few to fit on (1 participant with class yes)" in found


def test_settings_from_scratch_are_those_of_fine_tuning() -> None:
    config = SupervisedConfig(steps=7, learning_rate=0.5).from_scratch(SEX)
    assert isinstance(config, FinetuneConfig)
    assert (config.steps, config.learning_rate, config.warmup_steps) == (7, 0.5, 0)
    assert (config.start, config.fractions) == (("scratch",), (1.0,))
