import json
import os
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from medssl import tracking
from medssl.bundle import bundle_digest, load_encoder, write_manifest
from medssl.errors import StageError
from medssl.tracking import DIGEST_TAG, Tracker, flatten, register_bundle, tracking_uri


@pytest.fixture
def client():
    return MlflowClient(tracking_uri())


def metrics_of(client, run, name):
    return [(m.step, m.value) for m in client.get_metric_history(run.id, name)]


def test_the_default_store_is_one_file_at_one_absolute_place(medssl_home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert tracking_uri() == f"sqlite:///{medssl_home}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert tracking_uri() == "http://server:5000"


def test_a_run_ends_as_its_block_ends(client):
    tracker = Tracker(experiment="ends")
    with tracker.run("good") as good:
        pass
    with pytest.raises(ValueError, match="x"), tracker.run("bad") as bad:
        raise ValueError("x")
    with pytest.raises(KeyboardInterrupt), tracker.run("stopped") as stopped:
        raise KeyboardInterrupt
    status = [client.get_run(run.id).info.status for run in (good, bad, stopped)]
    assert status == ["FINISHED", "FAILED", "KILLED"]


def test_metrics_arrive_in_batches_and_whole(client, monkeypatch):
    tracker = Tracker(experiment="batches")
    calls = []
    with tracker.run("many") as run:
        real = MlflowClient.log_batch
        monkeypatch.setattr(
            MlflowClient, "log_batch",
            lambda self, *a, **k: (calls.append(len(k.get("metrics", ()))), real(self, *a, **k)),
        )  # fmt: skip
        for step in range(1200):
            run.metrics({"loss": step / 2}, step=step)
    assert metrics_of(client, run, "loss") == [(s, s / 2) for s in range(1200)]
    assert sum(calls) == 1200
    assert len(calls) < 10


def test_private_settings_are_never_sent(client):
    with Tracker(experiment="private").run("r") as run:
        run.params(
            {"ingest": {"sources": [{"name": "a", "path": "/data/Jane", "rate": 64.0}],
                        "pseudonym_key": "secret"}, "split": {"salt": "s", "train": 0.5}}
        )  # fmt: skip
    params = client.get_run(run.id).data.params
    assert params == {
        "cfg.ingest.sources.0.name": "a", "cfg.ingest.sources.0.rate": "64.0",
        "cfg.split.train": "0.5",
    }  # fmt: skip


def test_long_settings_and_many_of_them_fit(client):
    with Tracker(experiment="long").run("r") as run:
        run.params({f"k{i}": "x" * 7000 for i in range(150)})
    params = client.get_run(run.id).data.params
    assert len(params) == 150
    assert set(map(len, params.values())) == {6000}


def test_a_run_of_mlflow_projects_is_continued_once(client, monkeypatch):
    experiment = client.create_experiment("project")
    given = client.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    tracker = Tracker()
    with tracker.run("outer") as outer, tracker.run("inner", parent=outer) as inner:
        pass
    assert outer.id == given
    assert inner.id != given
    assert client.get_run(inner.id).data.tags["mlflow.parentRunId"] == given
    assert client.get_run(inner.id).info.experiment_id == experiment
    assert "MLFLOW_RUN_ID" not in os.environ


def test_datasets_are_named_by_digest(client):
    with Tracker(experiment="data").run("r") as run:
        run.dataset("store", "d" * 64)
    found = client.get_run(run.id)
    assert found.inputs.dataset_inputs[0].dataset.digest == "d" * 36
    assert found.data.tags["medssl.store"] == "d" * 64


def test_runs_left_open_are_closed_as_failed(client):
    tracker = Tracker(experiment="left")
    experiment = client.get_experiment_by_name("left").experiment_id
    run_id = client.create_run(experiment).info.run_id
    tracker.fail_left_open(run_id)
    assert client.get_run(run_id).info.status == "FAILED"
    tracker.fail_left_open("")
    tracker.fail_left_open("0" * 32)


def test_without_tracking_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    with Tracker(enabled=False).run("r") as run:
        run.params({"a": 1})
        run.metrics({"a": 1.0})
        run.tags({"a": "b"})
        run.dataset("store", "d")
        run.artifacts(tmp_path)
    assert not (tmp_path / "home").exists()


def test_secrets_are_known_by_name():
    assert flatten({"pattern": "x", "a": {"table": "t", "b": [1, 2]}}) == {"a.b": "[1, 2]"}
    assert {"path", "pseudonym_key"} <= tracking.PRIVATE_KEYS


@pytest.fixture
def bundle():
    return Path(__file__).parent / "data" / "bundle_v1"


def test_a_registered_bundle_is_found_by_its_alias(client, bundle, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri())
    with Tracker(experiment="registry").run("r") as run:
        assert register_bundle(run, bundle, "wearable", "candidate") == "1"
    version = client.get_model_version_by_alias("wearable", "candidate")
    assert version.run_id == run.id
    assert version.tags == {DIGEST_TAG: bundle_digest(bundle)}
    model = mlflow.pyfunc.load_model("models:/wearable@candidate")
    segments = np.random.default_rng(0).normal(size=(3, 1, 134)).astype(np.float32)
    expected = load_encoder(bundle).embed_segments(segments)
    np.testing.assert_array_equal(model.predict(segments), expected)
    files = {Path(f.path).name for f in client.list_artifacts(run.id, "model")}
    assert not [name for name in files if name.endswith(("pkl", "pickle"))]
    described = Path(client.download_artifacts(run.id, "model/MLmodel")).read_text()
    assert str(bundle.parent) not in described


def test_an_alias_moves_and_a_bundle_is_registered_once(client, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    (tmp_path / "other" / "config.json").write_text(json.dumps({**config, "version": 1}))
    write_manifest(tmp_path / "other")
    with Tracker(experiment="registry").run("r") as run:
        assert register_bundle(run, bundle, "moves", "candidate") == "1"
        assert register_bundle(run, tmp_path / "other", "moves", "candidate") == "2"
        assert register_bundle(run, bundle, "moves", "production") == "1"
        assert register_bundle(run, tmp_path / "other", "moves", "candidate") == "2"
    assert len(client.search_model_versions("name = 'moves'")) == 2
    aliases = client.get_registered_model("moves").aliases
    assert {name: str(version) for name, version in aliases.items()} == {
        "candidate": "2", "production": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("a/b", "x"),
        ("a' or 1", "x"),
        ("", "x"),
        ("a", ""),
        ("a", "Latest"),
        ("a", "v3"),
        ("a", "ä"),
    ],
)
def test_names_that_the_registry_would_refuse_are_refused_before(client, bundle, name, alias):
    with (
        Tracker(experiment="registry").run("r") as run,
        pytest.raises(StageError, match="cannot be registered"),
    ):
        register_bundle(run, bundle, name, alias)
    assert "a" not in {model.name for model in client.search_registered_models()}


def test_a_damaged_bundle_is_not_registered(client, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "model.safetensors").write_bytes(b"x")
    with (
        Tracker(experiment="registry").run("r") as run,
        pytest.raises(StageError, match="is not registered: model.safetensors"),
    ):
        register_bundle(run, tmp_path / "bundle", "damaged", "candidate")
    assert "damaged" not in {model.name for model in client.search_registered_models()}


def test_what_is_no_encoder_is_not_registered(bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "task")
    config = json.loads((tmp_path / "task" / "config.json").read_text())
    (tmp_path / "task" / "config.json").write_text(json.dumps({**config, "format": "medssl-task"}))
    with (
        Tracker(experiment="registry").run("r") as run,
        pytest.raises(StageError, match="a task bundle is used with"),
    ):
        register_bundle(run, tmp_path / "task", "task", "candidate")


def test_without_tracking_nothing_can_be_registered(bundle):
    with (
        Tracker(enabled=False).run("r") as run,
        pytest.raises(StageError, match=r"tracking\.enabled"),
    ):
        register_bundle(run, bundle, "wearable", "candidate")


def test_neither_names_of_people_nor_cells_of_tables_become_parameters():
    rule = {"from_parent": True, "aliases": {"Jane Doe": "J. Doe"}}
    labels = {"columns": {"age": "Age"}, "replace": {"age": {">89": "90"}}, "values": {"sex": {}}}
    assert flatten({"participant": rule, "labels": labels}) == {
        "participant.from_parent": "True",
        "labels.columns.age": "Age",
    }


def test_any_name_of_a_label_can_be_logged(client):
    with Tracker(experiment="odd").run("names") as run:
        run.params({"columns": {"BMI(kg/m²)": "a", "<5%": "b"}})
    params = client.get_run(run.id).data.params
    assert sorted(params.values()) == ["a", "b"]
