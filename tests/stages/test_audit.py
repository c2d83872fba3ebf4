"""The audit stage, alone and behind the real command line."""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import medssl
from medssl.bundle import save_bundle
from medssl.encoders import ResNet1dConfig, build_encoder
from medssl.files import write_json
from medssl.records import Record
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.stages.base import PARTICIPANTS, Manifest
from medssl.stages.pretrain import BUNDLE
from medssl.store import write_store
from medssl.types import Modality

SPLIT = {"train": 0.5, "validation": 0.1, "test": 0.4}


def pulse(generator):
    """Like a pulse wave, with rate, shape and noise of its own."""
    beats = np.cumsum(generator.normal(1.2, 0.05) / 100 * (1 + 0.02 * generator.normal(size=400)))
    phase = 2 * np.pi * (beats + generator.uniform())
    wave = np.cos(phase) + generator.uniform(0.3, 0.5) * np.cos(2 * phase + 1.0)
    return (wave + 0.02 * generator.normal(size=400))[None].astype(np.float32)


def write_pipeline(folder, *, leak):
    """A store of 60 participants, a bundle that was never trained, and a pipeline on both."""
    generator = np.random.default_rng(0)
    names = [f"p{number:03d}" for number in range(60)]
    labels = pd.DataFrame(
        {"age": generator.normal(50, 12, size=60).round(), "sex": np.resize(["F", "M"], 60)},
        index=pd.Index(names, name="participant"),
    )
    splits = assign_splits(labels, SplitConfig(**SPLIT))
    signals = {name: [pulse(generator) for _ in range(2)] for name in names}
    if leak:
        left = next(name for name in names if splits[name] == "train")
        right = next(name for name in names if splits[name] == "test")
        signals[right][0] = signals[left][0]
    store = write_store(
        folder / "store",
        [
            Record(
                participant=name, session="s", recording=f"{name}-{place}", modality=Modality.PPG,
                data=signal, source_digest="0" * 32, rate=100.0, channels=("ppg",),
                units="counts", quality=0.9, source="test",
            )
            for name, own in signals.items()
            for place, signal in enumerate(own)
        ],
        participants=labels,
    )  # fmt: skip
    config = ResNet1dConfig(channels=1, width=4, stages=2)
    torch.manual_seed(0)
    digest = save_bundle(
        folder / "pretrain" / BUNDLE, build_encoder(config), encoder=config,
        provenance={"calibration records": 64}, contract=store.contract("ppg"),
    )  # fmt: skip
    trained = [name for name in names if splits[name] == "train"]
    write_json(folder / "pretrain" / PARTICIPANTS, trained)
    manifest = Manifest(
        stage="pretrain", key="k", parts={}, digest=digest, outputs={}, seconds=0.0, run_id="",
        summary={"parameters": 1, "steps": 0, "participants": len(trained)},
    )  # fmt: skip
    write_json(folder / "pretrain" / "manifest.json", asdict(manifest))
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump({
        "name": "gate", "root": str(folder / "runs"), "split": SPLIT,
        "tracking": {"enabled": False},
        "inputs": {"ingest": str(folder / "store"), "pretrain": str(folder / "pretrain")},
        "stages": {
            "embed": {"untrained_seeds": 1},
            "probe": {"bootstrap": 100, "targets": [
                {"name": "age", "column": "age", "kind": "regression"},
            ]},
            "audit": {"fail_on": "critical"},
        },
    }))  # fmt: skip
    return path


@pytest.mark.parametrize(("leak", "code"), [(False, 0), (True, 3)], ids=["clean", "leak"])
def test_the_command_line_fails_with_code_3_at_a_planted_leak(tmp_path, leak, code):
    path = write_pipeline(tmp_path, leak=leak)
    done = subprocess.run(
        [sys.executable, "-m", "medssl.cli", "run", str(path)],
        capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    folder = tmp_path / "runs" / "gate" / "audit"
    value = json.loads((folder / "audit.json").read_text())
    critical = [f["audit"] for f in value["findings"] if f["severity"] == "critical"]
    assert critical == (["exact_duplicates"] if leak else [])
    assert (folder / "audit.html").is_file()
    assert "audit page" in done.stdout
    # A second run skips the stage, and fails as the first did.
    again = subprocess.run(
        [sys.executable, "-m", "medssl.cli", "audit", str(path), "--dry-run"],
        capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert "nothing changed" in again.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The clean pipeline, run once with tracking."""
    folder = tmp_path_factory.mktemp("audit")
    path = write_pipeline(folder, leak=False)
    steps = medssl.run_pipeline(path, "tracking.enabled=true", "tracking.experiment=audit")
    return path, {step.stage: step for step in steps}


def test_scores_are_traced_to_the_signal_through_the_bundle(finished):
    _, steps = finished
    value = json.loads((steps["audit"].folder / "audit.json").read_text())
    occluded = [f for f in value["findings"] if f["audit"] == "shortcut_occlusion"]
    assert len(occluded) == 2
    assert all("age" in f["title"] and f["n_participants"] > 10 for f in occluded)
    assert {f["audit"] for f in value["findings"]} >= {"missing_predicts_label", "baselines"}
    assert set(value["seconds"]) >= {"overlap", "map"}


def test_only_what_names_nobody_leaves_for_mlflow(finished):
    from mlflow import MlflowClient

    from medssl.tracking import tracking_uri

    path, steps = finished
    client = MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name("audit").experiment_id
    (run,) = [r for r in client.search_runs([experiment]) if r.info.run_name == "audit"]
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["audit-public.json"]
    assert run.data.metrics["findings/critical"] == 0
    public = (steps["audit"].folder / "audit-public.json").read_text()
    assert client.download_artifacts(run.info.run_id, "audit-public.json")
    store = medssl.Store.open(path.parent / "store")
    names = [*store.participants.index, *store.column("record")]
    assert not [name for name in names if name in public]
    assert str(path.parent) not in public
    assert json.loads(public)["counts"] == steps["audit"].summary["findings"]


def test_seconds_do_not_change_what_later_stages_see(finished):
    path, _ = finished
    manifest = path.parent / "runs" / "gate" / "audit" / "manifest.json"
    first = json.loads(manifest.read_text())["digest"]
    (step,) = medssl.run_pipeline(path, only="audit", force=["audit"])
    assert (step.stage, step.action) == ("audit", "run")
    assert json.loads(manifest.read_text())["digest"] == first


def test_a_bundle_that_did_not_make_the_embeddings_is_told_and_no_more(finished, tmp_path):
    path, steps = finished
    other = write_pipeline(tmp_path, leak=False)
    config = ResNet1dConfig(channels=1, width=4, stages=2)
    torch.manual_seed(1)
    store = medssl.Store.open(path.parent / "store")
    save_bundle(
        tmp_path / "other" / BUNDLE, build_encoder(config), encoder=config, provenance={},
        contract=store.contract("ppg"),
    )  # fmt: skip
    manifest = json.loads((other.parent / "pretrain" / "manifest.json").read_text())
    write_json(tmp_path / "other" / "manifest.json", manifest)
    given = yaml.safe_load(path.read_text())
    given["root"] = str(tmp_path / "runs")
    given["inputs"] |= {
        "pretrain": str(tmp_path / "other"), "embed": str(steps["embed"].folder),
        "probe": str(steps["probe"].folder),
    }  # fmt: skip
    given["stages"] = {"audit": {}}
    (tmp_path / "elsewhere.yaml").write_text(yaml.safe_dump(given))
    done = medssl.run_pipeline(tmp_path / "elsewhere.yaml")
    value = json.loads((done[-1].folder / "audit.json").read_text())
    (found,) = [f for f in value["findings"] if f["audit"] == "shortcut_occlusion"]
    assert (found["severity"], found["title"]) == ("note", "Shortcut occlusion could not be run")
    assert "did not make these embeddings" in found["local"]


def test_embeddings_of_the_second_modality_are_audited_with_its_own_encoder(
    image_text_store, image_text_run, tmp_path
):
    """Of reports nothing can be covered; with the encoder of images it would be another bundle."""
    target = {"name": "sex", "column": "sex", "kind": "binary", "positive": "M"}
    path = tmp_path / "reports.yaml"
    path.write_text(yaml.safe_dump({
        "name": "reports", "root": str(tmp_path / "runs"), "tracking": {"enabled": False},
        "split": {"train": 0.5, "validation": 0.1, "test": 0.4},
        "inputs": {"ingest": str(image_text_store), "pretrain": str(image_text_run)},
        "stages": {
            "embed": {"encoder": "partner", "untrained_seeds": 0},
            "probe": {"targets": [target], "bootstrap": 100},
            "audit": {},
        },
    }))  # fmt: skip
    step = medssl.run_pipeline(path)[-1]
    value = json.loads((step.folder / "audit.json").read_text())
    titles = {f["title"] for f in value["findings"]}
    assert (
        "Shortcut occlusion does not apply: reports have no places that could be covered" in titles
    )
    assert "Identical reports: 4 texts shared by 60 participants" in titles
    assert not {f["audit"] for f in value["findings"]} & {"exact_duplicates"}
    assert not [f for f in value["findings"] if f["severity"] == "critical"]
