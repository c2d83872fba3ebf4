import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import yaml
from mlflow import MlflowClient

import medssl
from medssl.errors import (
    ConfigError,
    IngestError,
    LeakageError,
    ObjectiveError,
    StageError,
)
from medssl.stages.pipeline import Pipeline
from medssl.stages.registry import STAGES
from medssl.tracking import tracking_uri

ALL = ["ingest", "reduce", "pretrain", "embed", "probe", "audit"]


def actions(steps):
    return {step.stage: step.action for step in steps}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_pipeline):
    """A pipeline that ran once; tests work on copies."""
    folder = tmp_path_factory.mktemp("finished")
    path = folder / "small.yaml"
    config = {
        **small_pipeline,
        "root": str(folder / "runs"),
        "tracking": {"experiment": "finished"},
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path, medssl.run_pipeline(path)


def test_all_stages_run_in_order_and_leave_what_they_say(finished):
    path, steps = finished
    assert [step.stage for step in steps] == ALL
    assert set(actions(steps).values()) == {"run"}
    runs = path.parent / "runs"
    for name in (
        "small/ingest/store/store.json", "small/reduce/selection.parquet",
        "small/pretrain/bundle/model.safetensors", "small/pretrain/metrics.jsonl",
        "small/embed/embeddings.parquet", "small/probe/probes.json", "small/probe/probes.md",
        "small/audit/audit.html", "small/audit/audit.json",
    ):  # fmt: skip
        assert (runs / name).is_file(), name
    assert not list(runs.rglob("*.partial"))


def test_a_second_run_skips_everything_and_a_dry_run_says_so(finished):
    path, first = finished
    plan = Pipeline(path).plan()
    assert set(actions(plan).values()) == {"skip"}
    started = time.perf_counter()
    again = medssl.run_pipeline(path)
    assert time.perf_counter() - started < 10
    assert set(actions(again).values()) == {"skip"}
    assert [s.folder for s in again] == [s.folder for s in first]


def test_a_dry_run_names_what_changed_and_what_follows(finished):
    plan = {s.stage: s for s in Pipeline(finished[0], ["pretrain.steps=13"]).plan()}
    assert plan["reduce"].action == "skip"
    assert plan["pretrain"].why == "changed: config.steps: 12 → 13"
    assert plan["embed"].why == "its input pretrain would be made anew"
    assert actions(plan.values())["audit"] == "run"
    plan = {s.stage: s for s in Pipeline(finished[0], ["seed=7"]).plan()}
    assert plan["ingest"].action == "skip"
    assert plan["pretrain"].why == "changed: seed: 0 → 7"


def test_comments_and_order_of_keys_are_no_change(finished, tmp_path):
    path = finished[0]
    text = "# a comment\n" + path.read_text()
    (tmp_path / "other.yaml").write_text(text)
    assert set(actions(Pipeline(tmp_path / "other.yaml").plan()).values()) == {"skip"}


def test_lost_outputs_are_made_again_and_equal_outputs_end_the_chain(finished, tmp_path):
    path, _ = finished
    shutil.copytree(path.parent, tmp_path / "copy", symlinks=True)
    path = tmp_path / "copy" / "small.yaml"
    override = f"root={tmp_path / 'copy' / 'runs'}"
    selection = tmp_path / "copy" / "runs" / "small" / "reduce" / "selection.parquet"
    selection.unlink()
    plan = {s.stage: s for s in Pipeline(path, [override]).plan()}
    assert plan["reduce"].why == "its output selection.parquet is gone"
    steps = medssl.run_pipeline(path, override)
    # The new selection equals the old one, so nothing after it has changed.
    assert [s.stage for s in steps if s.action == "run"] == ["reduce"]
    (tmp_path / "copy/runs/small/probe/probes.json").write_text("{}")
    plan = {s.stage: s for s in Pipeline(path, [override]).plan()}
    assert plan["probe"].why == "its output probes.json changed its size"


def test_every_stage_is_a_run_below_one_parent(finished):
    client = MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name("finished")
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    first = min((r for r in runs if r.info.run_name == "small"), key=lambda r: r.info.start_time)
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == first.info.run_id]
    assert sorted(r.info.run_name for r in children) == sorted(ALL)
    assert all(r.info.status == "FINISHED" for r in runs)
    by_name = {r.info.run_name: r for r in children}
    pretrain = by_name["pretrain"]
    assert pretrain.data.params["cfg.pretrain.steps"] == "12"
    history = client.get_metric_history(pretrain.info.run_id, "train/loss")
    assert [m.step for m in history] == list(range(1, 13))
    assert {f.path for f in client.list_artifacts(pretrain.info.run_id)} == {"bundle"}
    assert "scores/age/encoder/mae/value" in by_name["probe"].data.metrics
    assert pretrain.inputs.dataset_inputs[0].dataset.name == "store"


def test_no_identifier_reaches_mlflow_or_the_bundle(finished, medssl_home):
    path, _ = finished
    store = medssl.Store.open(path.parent / "runs/small/ingest/store")
    pseudonyms = [str(name).encode() for name in store.participants.index]
    places = [medssl_home / "mlflow.db", *(medssl_home / "artifacts" / "finished").rglob("*")]
    content = b"".join(p.read_bytes() for p in places if p.is_file())
    assert not [name for name in pseudonyms if name in content]
    assert b"sample:ppg_bp" not in content
    assert b"0_subject" not in content
    bundle = path.parent / "runs/small/pretrain/bundle"
    content = b"".join(p.read_bytes() for p in bundle.iterdir())
    assert not [name for name in pseudonyms if name in content]


def test_one_stage_runs_alone_on_what_the_others_left(finished):
    path = finished[0]
    steps = Pipeline(path, ["quality_floor=0"], only="reduce").run()
    assert actions(steps) == {"reduce": "skip"}
    with pytest.raises(StageError, match="needs pretrain, which must run first: changed"):
        Pipeline(path, ["pretrain.steps=99"], only="embed").run()


def test_outputs_from_elsewhere_can_be_used(finished, tmp_path):
    _path, steps = finished
    other = tmp_path / "other.yaml"
    folders = {s.stage: s.folder for s in steps}
    other.write_text(
        f"root: {tmp_path / 'runs'}\nsplit: {{train: 0.5, validation: 0.1, test: 0.4}}\n"
        f"inputs: {{ingest: {folders['ingest']}, embed: {folders['embed']}}}\n"
        "stages: {audit: {}}\n"
    )
    done = medssl.run_pipeline(other)
    assert actions(done) == {"ingest": "skip", "embed": "skip", "audit": "run"}
    assert done[-1].folder.is_relative_to(tmp_path / "runs")


def test_all_bad_keys_of_all_stages_are_named_at_once(pipeline_file):
    overrides = ["pretrain.stpes=1", "reduce.quality_flor=1", "prob.targets=[]", "sed=1"]
    with pytest.raises(ConfigError) as caught:
        Pipeline(pipeline_file, overrides)
    message = str(caught.value)
    for part in (
        "4 problems", "pretrain.stpes: unknown key; did you mean steps?",
        "reduce.quality_flor: unknown key; did you mean quality_floor?",
        "prob: unknown key; did you mean probe?", "sed: unknown key; did you mean seed?",
    ):  # fmt: skip
        assert part in message


def test_a_missing_stage_is_asked_for(pipeline_file):
    text = pipeline_file.read_text().replace("  ingest:", "  ingets:")
    pipeline_file.write_text(text)
    with pytest.raises(ConfigError, match="ingets: unknown stage; did you mean ingest"):
        Pipeline(pipeline_file)
    pipeline_file.write_text("stages: {reduce: {}}\n")
    with pytest.raises(ConfigError, match="stage reduce needs ingest"):
        Pipeline(pipeline_file)


def test_a_stage_that_dies_leaves_a_failed_run_and_nothing_that_looks_finished(pipeline_file):
    overrides = ["pretrain.optimiser.learning_rate=1.0e+30", "tracking.experiment=dies"]
    with pytest.raises(ObjectiveError):
        medssl.run_pipeline(pipeline_file, *overrides)
    client = MlflowClient(tracking_uri())
    runs = client.search_runs([client.get_experiment_by_name("dies").experiment_id])
    status = {r.info.run_name: r.info.status for r in runs}
    assert status == {
        "ingest": "FINISHED", "reduce": "FINISHED", "pretrain": "FAILED", "small": "FAILED",
    }  # fmt: skip
    folder = pipeline_file.parent / "runs" / "outputs" / "pretrain"
    assert [p for p in folder.iterdir() if not p.name.startswith(".")] == []


def test_a_stage_that_ends_in_a_user_error_leaves_no_folder(pipeline_file):
    text = pipeline_file.read_text()
    pipeline_file.write_text(text.replace("segment_seconds: 2", "segment_seconds: 60"))
    with pytest.raises(IngestError, match="no file gave a record"):
        medssl.run_pipeline(pipeline_file, only="ingest")
    folder = pipeline_file.parent / "runs" / "outputs" / "ingest"
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []


def test_a_stage_that_fails_keeps_what_it_can_go_on_from(pipeline_file, monkeypatch):
    def write_and_fail(context):
        (context.out / "empty").mkdir()
        if context.config.quality:
            (context.out / "checkpoint").write_text("half of it")
        msg = "correct something"
        raise StageError(msg)

    monkeypatch.setitem(STAGES, "ingest", replace(STAGES["ingest"], run=write_and_fail))
    folder = pipeline_file.parent / "runs" / "outputs" / "ingest"
    for quality, left in (("false", []), ("true", ["checkpoint"])):
        with pytest.raises(StageError, match="correct something"):
            medssl.run_pipeline(pipeline_file, f"ingest.quality={quality}", only="ingest")
        files = [path.name for path in folder.glob(".*.partial/*") if path.is_file()]
        assert [name for name in files if name != ".run.json"] == left
        assert len(list(folder.glob(".*.partial"))) == len(left)


def start(path, *items):
    return subprocess.Popen(
        [sys.executable, "-m", "medssl.cli", "run", str(path), *items],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ,
    )  # fmt: skip


@pytest.mark.parametrize("after", [3, 9])
def test_a_killed_pretraining_goes_on_to_the_same_weights(finished, tmp_path, after):
    path, steps = finished
    expected = next(s.folder for s in steps if s.stage == "pretrain") / "bundle/model.safetensors"
    items = (f"root={tmp_path / 'runs'}", f"tracking.experiment=killed{after}")
    process = start(path, *items)
    folder = tmp_path / "runs" / "outputs" / "pretrain"
    link = tmp_path / "runs" / "small" / "pretrain"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        logs = list(folder.glob(".*.partial/training/metrics.jsonl"))
        if logs and logs[0].read_bytes().count(b"train/loss") >= after:
            break
        assert process.poll() is None, process.stdout.read().decode()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not link.exists()
    process = start(path, *items)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output.decode()
    got = link / "bundle" / "model.safetensors"
    assert got.read_bytes() == expected.read_bytes()
    steps_logged = [
        json.loads(line)["step"]
        for line in (link / "metrics.jsonl").read_text().splitlines()
        if "train/loss" in line
    ]
    assert steps_logged == list(range(1, 13))
    client = MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name(f"killed{after}")
    status = [
        r.info.status
        for r in client.search_runs([experiment.experiment_id])
        if r.info.run_name in ("pretrain", "small")
    ]
    assert sorted(status) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]


def test_two_processes_do_not_write_one_output(pipeline_file):
    from filelock import FileLock

    steps = Pipeline(pipeline_file, only="ingest").run()
    folder = steps[0].folder.resolve()
    with (
        FileLock(folder.with_name(f".{folder.name}.lock")),
        pytest.raises(StageError, match="another process is running this stage"),
    ):
        Pipeline(pipeline_file, only="ingest").run(force=["ingest"])


def test_paths_of_sources_are_relative_to_the_file(pipeline_file, tmp_path, monkeypatch):
    shutil.copytree(medssl.sample_path("ppg_bp"), tmp_path / "data")
    monkeypatch.chdir("/")
    text = pipeline_file.read_text().replace("sample:ppg_bp", "data")
    pipeline_file.write_text(text)
    steps = Pipeline(pipeline_file, only="ingest").run()
    assert steps[0].summary["participants"] == 131
    # A new file is noticed without reading any content.
    (tmp_path / "data" / "0_subject" / "999_1.txt").write_text("1\t2\n")
    assert "files" in Pipeline(pipeline_file, only="ingest").plan()[0].why


def test_pipelines_share_outputs_and_keep_links_of_their_own(finished):
    path, steps = finished
    other = medssl.run_pipeline(path, "name=other", "embed.untrained_seeds=0")
    assert actions(other)["pretrain"] == "skip"
    assert actions(other)["embed"] == "run"
    by_name = {s.stage: s.folder for s in other}
    assert by_name["pretrain"] == path.parent / "runs" / "other" / "pretrain"
    mine = {s.stage: s.folder for s in steps}
    assert by_name["pretrain"].resolve() == mine["pretrain"].resolve()
    assert by_name["embed"].resolve() != mine["embed"].resolve()
    with pytest.raises(ConfigError, match="'outputs' is where outputs stand"):
        Pipeline(path, ["name=outputs"])


def test_an_encoder_that_saw_the_test_participants_is_a_leak(finished, tmp_path):
    path, steps = finished
    folders = {s.stage: s.folder for s in steps}
    other = yaml.safe_load(path.read_text())
    other |= {
        "root": str(tmp_path / "runs"),
        "inputs": {"ingest": str(folders["ingest"]), "pretrain": str(folders["pretrain"])},
        "stages": {"embed": {"untrained_seeds": 0}, "audit": {}},
        "tracking": {"enabled": False},
    }
    (tmp_path / "same.yaml").write_text(yaml.safe_dump(other))
    assert actions(medssl.run_pipeline(tmp_path / "same.yaml"))["embed"] == "run"
    other["split"]["salt"] = "another"
    (tmp_path / "leak.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(LeakageError, match="pretraining and validation or test"):
        medssl.run_pipeline(tmp_path / "leak.yaml")
    # The same holds for embeddings that were made elsewhere.
    probe = yaml.safe_load(path.read_text())["stages"]["probe"]
    other["inputs"] = {"ingest": str(folders["ingest"]), "embed": str(folders["embed"])}
    (tmp_path / "leak.yaml").write_text(yaml.safe_dump({**other, "stages": {"probe": probe}}))
    with pytest.raises(LeakageError, match="pretraining and validation or test"):
        medssl.run_pipeline(tmp_path / "leak.yaml")
    (tmp_path / "typo.yaml").write_text(yaml.safe_dump({**other, "inputs": {"ingset": "x"}}))
    with pytest.raises(ConfigError, match="inputs.ingset: unknown stage; did you mean ingest"):
        Pipeline(tmp_path / "typo.yaml")


def test_stratified_splits_stay_when_files_are_added_and_ingested_anew(tmp_path, small_pipeline):
    sample = medssl.sample_path("ppg_bp")
    (tmp_path / "data" / "0_subject").mkdir(parents=True)
    shutil.copy(sample / "labels.csv", tmp_path / "data")
    files = sorted((sample / "0_subject").glob("*.txt"))
    source = {**small_pipeline["stages"]["ingest"]["sources"][0], "path": "data"}
    config = {
        "name": "grow", "root": str(tmp_path / "runs"), "tracking": {"enabled": False},
        "split": {"train": 0.5, "validation": 0.2, "test": 0.3, "stratify_by": ["sex", "age"]},
        "stages": {"ingest": {"sources": [source], "quality": False}, "reduce": {}},
    }  # fmt: skip
    path = tmp_path / "grow.yaml"
    path.write_text(yaml.safe_dump(config))
    assigned = []
    for chosen in (files[::2], files):
        for file in chosen:
            shutil.copy2(file, tmp_path / "data" / "0_subject")
        medssl.run_pipeline(path)
        assigned.append(json.loads((tmp_path / "runs/grow/splits.json").read_text())["assigned"])
    first, second = assigned
    assert len(first) <= len(second) == 131
    assert all(second[name] == split for name, split in first.items())


def test_a_store_made_elsewhere_can_be_the_input(ppg_store_path, tmp_path):
    path = tmp_path / "from_store.yaml"
    path.write_text(
        f"root: {tmp_path / 'runs'}\ninputs: {{ingest: {ppg_store_path}}}\n"
        "tracking: {enabled: false}\nstages: {reduce: {}}\n"
    )
    steps = medssl.run_pipeline(path)
    assert actions(steps) == {"ingest": "skip", "reduce": "run"}
    assert steps[-1].summary["records"]["kept"] == 388


def test_settings_that_change_no_result_redo_nothing_and_secrets_stay_secret(finished):
    path = finished[0]
    same = ["ingest.workers=2", "pretrain.log_every=7", "pretrain.checkpoint_every=5"]
    assert set(actions(Pipeline(path, same).plan()).values()) == {"skip"}
    plan = Pipeline(path, ["ingest.pseudonym_key=TopSecret"]).plan()
    assert plan[0].action == "run"
    assert "pseudonym_key" in plan[0].why
    assert "TopSecret" not in plan[0].why


def test_the_links_may_be_deleted_for_good(finished, tmp_path):
    shutil.copytree(finished[0].parent, tmp_path / "copy", symlinks=True)
    path = tmp_path / "copy" / "small.yaml"
    for links in (tmp_path / "copy").rglob("links.parquet"):
        links.unlink()
    steps = medssl.run_pipeline(path, f"root={tmp_path / 'copy' / 'runs'}")
    assert set(actions(steps).values()) == {"skip"}
    assert not list((tmp_path / "copy").rglob("links.parquet"))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("pretrain=5", "valid dictionary"),
        ("stages=3", "valid dictionary"),
        ("pretrain.batch_size=1", "greater than or equal to 2"),
        ("stages={}", None),
    ],
)
def test_malformed_settings_are_one_line_each(pipeline_file, override, says):
    if says is None:
        pipeline_file.write_text("stages: {}\n")
        with pytest.raises(ConfigError, match="has no stages"):
            Pipeline(pipeline_file)
        return
    with pytest.raises(ConfigError, match=says):
        Pipeline(pipeline_file, [override])


def test_impossible_settings_are_named_before_training(finished):
    for override, says in (
        ("pretrain.encoder.channels=2", "set it to 1"),
        ("pretrain.accelerator=cuda", "no GPU here"),
    ):
        if "cuda" in override and torch.cuda.is_available():
            continue
        with pytest.raises(StageError, match=says):
            medssl.run_pipeline(finished[0], override, "tracking.enabled=false")


def test_a_wrong_tracking_address_is_one_line(pipeline_file, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "foo://x")
    with pytest.raises(StageError, match=r"correct \$MLFLOW_TRACKING_URI") as caught:
        medssl.run_pipeline(pipeline_file)
    assert "\n" not in str(caught.value)
