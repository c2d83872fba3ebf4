import os

import pytest
from mlflow import MlflowClient

from medssl import tracking
from medssl.tracking import Tracker, flatten, tracking_uri


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
