"""One table of rivals: behind the whole pipeline, and before anything was pretrained."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from medssl.errors import ConfigError, LeakageError, StageError
from medssl.evaluation.predictions import read_predictions
from medssl.files import read_json, write_json
from medssl.records import Record
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.stages.pipeline import Pipeline
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId

RIVALS = {
    "minirocket": 168,
    "supervised": {
        "seeds": 2, "steps": 4, "batch_size": 8, "validate_every": 2, "threads": 1,
        "accelerator": "cpu",
    },
}  # fmt: skip
EVERYTHING = {
    "encoder", "untrained encoder", "heart rate", "heart-rate variability", "signal statistics",
    "acquisition metadata", "demographics", "predict the mean", "MiniRocket",
    "supervised from scratch",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_pipeline):
    """All stages up to the rivals; gives the settings and the last step."""
    folder = tmp_path_factory.mktemp("rivals")
    stages = {name: small_pipeline["stages"][name]
              for name in ("ingest", "reduce", "pretrain", "embed", "probe")}  # fmt: skip
    config = {
        **small_pipeline, "root": str(folder / "runs"), "tracking": {"enabled": False},
        "stages": {**stages, "rivals": RIVALS},
    }  # fmt: skip
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return config, Pipeline(path).run()


@pytest.fixture
def alone(finished, tmp_path):
    """A pipeline of the rivals behind finished stages, without those that are not named."""
    config, _ = finished

    def make(*inputs, **changes):
        done = f"{config['root']}/{config['name']}"
        inputs = inputs or ("ingest",)
        settings = {
            **config, "name": "alone", "root": str(tmp_path / "runs"),
            "inputs": {name: f"{done}/{name}" for name in inputs},
            "stages": {"rivals": {**RIVALS, **changes}},
        }  # fmt: skip
        path = tmp_path / "alone.yaml"
        path.write_text(yaml.safe_dump(settings, sort_keys=False))
        return Pipeline(path)

    return make


def test_every_rival_stands_beside_the_encoder(finished):
    _, steps = finished
    folder = steps[-1].folder
    value = read_json(folder / "rivals.json")
    rows = pd.DataFrame(value["rows"])
    assert set(rows["features"]) == EVERYTHING
    assert set(rows["target"]) == {"age", "sex"}
    told = rows[rows["value"].notna()]
    assert set(told["features"]) == EVERYTHING - {"heart-rate variability"}
    # 2 s say nothing of variability, and the table says so.
    why = rows.loc[rows["features"] == "heart-rate variability", "note"]
    assert set(why) == {"no recording has beats over 10 s without a gap"}
    compared = {row["baseline"] for row in value["differences"]}
    assert compared == set(told["features"]) - {"encoder"}
    scored = told[(told["target"] == "sex") & (told["metric"] == "auroc")]
    assert scored["n_score"].nunique() == 1
    notes = dict(zip(told["features"], told["note"], strict=True))
    assert notes["MiniRocket"].startswith("168 features; biases from")
    assert "2 seeds" in notes["supervised from scratch"]
    assert (folder / "rivals.md").read_text().startswith("| target | metric |")
    assert not list(folder.rglob(".runs"))
    score = steps[-1].summary["scores"]["sex/MiniRocket/auroc"]
    assert score["low"] <= score["value"] <= score["high"]


def test_the_probe_table_is_part_of_it(finished):
    """The same participants, the same metrics, and for what both have the same numbers."""
    _, steps = finished
    tables = [
        pd.DataFrame(read_json(folder)["rows"]).set_index(["target", "features", "metric"])
        for folder in (steps[-2].folder / "probes.json", steps[-1].folder / "rivals.json")
    ]
    probe, rivals = tables
    assert set(probe.index) < set(rivals.index)
    both = rivals.loc[probe.index]
    pd.testing.assert_frame_equal(both, probe, check_dtype=False)


def test_all_predict_the_same_test_participants(finished):
    config, steps = finished
    store = Store.open(f"{config['root']}/{config['name']}/ingest/store")
    splits = assign_splits(store.participants, SplitConfig(**config["split"]))
    found = read_predictions(steps[-1].folder / "predictions.parquet")
    reference = found["age", "encoder"]
    assert {splits[name] for name in reference.participants} == {"test"}
    for (target, features), one in found.items():
        if target == "age":
            assert one.units.tolist() == reference.units.tolist(), features
            np.testing.assert_array_equal(one.truth, reference.truth)
    supervised = found["age", "supervised from scratch"]
    assert supervised.scores.shape[0] == 2
    fitted = sum(split == "train" for split in splits.values())
    assert supervised.n_fit <= fitted < reference.n_fit


def test_nobody_is_named_outside_the_predictions(finished):
    config, steps = finished
    names = set(Store.open(f"{config['root']}/{config['name']}/ingest/store").participants.index)
    for file in steps[-1].folder.iterdir():
        if file.suffix in (".json", ".md"):
            assert not any(name in file.read_text() for name in names)


def test_rivals_alone_before_anything_was_pretrained(alone, finished):
    config, _ = finished
    probe = {**config["stages"]["probe"], "folds": 2, "repeats": 1,
             "targets": config["stages"]["probe"]["targets"][1:]}  # fmt: skip
    encoder = config["stages"]["pretrain"]["encoder"]
    step = alone("ingest", probe=probe, encoder=encoder, untrained_seeds=1).run()[-1]
    value = read_json(step.folder / "rivals.json")
    told = {row["features"] for row in value["rows"] if row["value"] is not None}
    assert told == EVERYTHING - {"heart-rate variability", "encoder"}
    assert value["differences"] == []
    found = read_predictions(step.folder / "predictions.parquet")
    folds = {name: one.folds[0].tolist() for (_, name), one in found.items()}
    assert folds["supervised from scratch"] == folds["MiniRocket"] == folds["predict the mean"]


def test_without_an_encoder_what_needs_one_is_left_out_and_said(alone, finished):
    probe = {**finished[0]["stages"]["probe"]}
    step = alone("ingest", "reduce", probe=probe, minirocket=0).run()[-1]
    rows = read_json(step.folder / "rivals.json")["rows"]
    told = {row["features"] for row in rows if row["value"] is not None}
    assert not told & {"MiniRocket", "untrained encoder", "supervised from scratch"}
    (why,) = {row["note"] for row in rows if row["features"] == "supervised from scratch"}
    assert why == "which encoder is not known: set rivals.encoder"


def test_targets_are_needed(alone):
    with pytest.raises(ConfigError, match="no targets: add a probe stage"):
        alone("ingest").run()


def test_one_of_several_modalities_has_to_be_named(alone, tmp_path):
    names = [f"p{i:02d}" for i in range(30)]
    records = [
        Record(
            participant=ParticipantId(name), session="s", recording=f"{name}-{modality}",
            modality=modality, rate=64.0, channels=("x",), units="mV",
            source_digest=name + modality,
            data=np.random.default_rng(i).normal(size=(1, 64)).astype(np.float32),
        )
        for i, name in enumerate(names)
        for modality in (Modality.PPG, Modality.ECG)
    ]  # fmt: skip
    people = pd.DataFrame({"age": np.arange(30.0)}, index=pd.Index(names))
    store = write_store(tmp_path / "store", records, participants=people)
    probe = {"targets": [{"name": "age", "column": "age", "kind": "regression"}], "bootstrap": 100}
    with pytest.raises(StageError, match="the store holds ecg, ppg: set rivals.modality"):
        _with_store(alone(probe=probe), store).run()
    step = _with_store(alone(probe=probe, modality="respiration"), store)
    with pytest.raises(StageError, match="holds no respiration record"):
        step.run()
    step = _with_store(alone(probe=probe, modality="ecg", supervised=None), store).run()[-1]
    rows = pd.DataFrame(read_json(step.folder / "rivals.json")["rows"])
    assert rows.loc[rows["features"] == "MiniRocket", "value"].notna().all()


def _with_store(pipeline, store):
    pipeline.config.inputs["ingest"] = store.path
    return pipeline


def test_an_encoder_that_saw_test_participants_is_refused(alone, finished, tmp_path):
    config, _ = finished
    done = f"{config['root']}/{config['name']}"
    copied = tmp_path / "embed"
    shutil.copytree(f"{done}/embed", copied)
    write_json(
        copied / "participants.json", sorted(Store.open(f"{done}/ingest/store").participants.index)
    )
    made = alone("ingest", "embed", "probe", supervised=None, minirocket=0)
    made.config.inputs["embed"] = copied
    with pytest.raises(LeakageError):
        made.run()


def test_a_killed_stage_goes_on_with_the_trainings_that_are_left(alone, monkeypatch):
    from medssl.finetuning import supervised

    made = alone("ingest", "reduce", "pretrain", "probe", minirocket=0)
    real, trained = supervised.train_one, []

    def stopping(*args, **others):
        trained.append(1)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return real(*args, **others)

    monkeypatch.setattr(supervised, "train_one", stopping)
    with pytest.raises(KeyboardInterrupt):
        made.run()
    step = made.run()[-1]
    assert len(trained) == 3 + 2  # four in all, of which two were finished
    assert not list(step.folder.rglob(".runs"))
    resumed = (step.folder / "rivals.json").read_text()
    monkeypatch.setattr(supervised, "train_one", real)
    made.run(force=["rivals"])
    assert (step.folder / "rivals.json").read_text() == resumed


@pytest.fixture
def of_images(image_text_store, tmp_path):
    """A pipeline of the rivals alone on the synthetic store of images and reports."""

    def make(modality, **changes):
        target = {"name": "sex", "column": "sex", "kind": "binary", "positive": "M"}
        settings = {
            "name": "images", "root": str(tmp_path / "runs"), "tracking": {"enabled": False},
            "inputs": {"ingest": str(image_text_store)},
            "split": {"train": 0.5, "validation": 0.1, "test": 0.4},
            "stages": {"rivals": {
                **RIVALS, "modality": modality, "untrained_seeds": 1,
                "probe": {"targets": [target], "bootstrap": 100}, **changes,
            }},
        }  # fmt: skip
        path = tmp_path / "images.yaml"
        path.write_text(yaml.safe_dump(settings, sort_keys=False))
        return Pipeline(path)

    return make


def test_images_have_their_own_rivals_and_none_of_waveforms(of_images):
    encoder = {"name": "resnet2d", "width": 4, "block": "basic", "blocks": [1, 1], "stem": "small"}
    step = of_images("radiograph", encoder=encoder).run()[-1]
    rows = pd.DataFrame(read_json(step.folder / "rivals.json")["rows"])
    assert set(rows["features"]) == {
        "untrained encoder", "image statistics", "image shape", "acquisition metadata",
        "predict the mean", "supervised from scratch", "demographics",
    }  # fmt: skip
    scored = rows[(rows["metric"] == "auroc") & (rows["features"] != "demographics")]
    assert scored["value"].notna().all()
    assert scored["n_score"].nunique() == 1


def test_without_a_tokenizer_reports_are_trained_on_by_nobody_and_that_is_said(of_images):
    encoder = {"name": "text_transformer", "vocabulary": 200, "width": 16, "depth": 1, "heads": 2}
    step = of_images("report", encoder=encoder).run()[-1]
    rows = read_json(step.folder / "rivals.json")["rows"]
    assert {row["features"] for row in rows if row["value"] is not None} == {
        "acquisition metadata", "bag of words", "predict the mean",
    }  # fmt: skip
    (why,) = {row["note"] for row in rows if row["features"] == "supervised from scratch"}
    assert why == ("report records need the tokenizer of an encoder that was pretrained on them")


def test_an_encoder_of_another_kind_is_refused(of_images):
    encoder = {"name": "resnet1d", "channels": 1}
    with pytest.raises(StageError, match="rivals.encoder is resnet1d, which takes no radiograph"):
        of_images("radiograph", encoder=encoder).run()
