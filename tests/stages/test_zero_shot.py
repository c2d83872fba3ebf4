"""The zero_shot stage behind a small ConVIRT run, and what the audit makes of it."""

import json

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from medssl.errors import ConfigError, LeakageError, StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.stages.base import Context
from medssl.stages.pipeline import Pipeline, run_pipeline
from medssl.stages.zero_shot import STAGE, ZeroShotConfig
from medssl.store import Store
from medssl.tracking import Run

SPLIT = SplitConfig(train=0.5, validation=0.1, test=0.4)
PROMPTS = {
    "findings": {
        "effusion": {
            "positive": ["there is a pleural effusion"], "negative": ["no pleural effusion"],
        },
        "mass": {"positive": ["there is a mass"], "negative": ["the bones are intact"]},
    }
}  # fmt: skip


class Listening(Run):
    """Remembers what would be sent to MLflow."""

    def __init__(self):
        super().__init__(None, "", "")
        self.sent = []

    def artifacts(self, path, folder=None):
        self.sent.append(path.name)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.yaml"
    path.write_text(yaml.safe_dump(PROMPTS))
    return path


def run(store, trained, out, prompts, split=SPLIT, **config):
    out.mkdir(exist_ok=True)
    listening = Listening()
    values = {
        "findings": ["effusion", "mass"], "prompts": prompts, "bootstrap": 100,
        "untrained_seeds": 2, **config,
    }  # fmt: skip
    result = STAGE.run(
        Context(
            config=ZeroShotConfig.model_validate(values),
            inputs={"ingest": store, "pretrain": trained},
            out=out, seed=0, split=split, assigned={}, run=listening,
            progress=lambda done, total: None,
        )
    )  # fmt: skip
    return result, listening


@pytest.fixture(scope="module")
def finished(image_text_store, image_text_run, prompts, tmp_path_factory):
    out = tmp_path_factory.mktemp("zero_shot")
    return out, *run(image_text_store, image_text_run, out, prompts)


def test_what_was_learned_is_found_by_words_alone(finished):
    value = json.loads((finished[0] / "zero_shot.json").read_text())
    rows = {(row["finding"], row["features"]): row for row in value["findings"]["rows"]}
    effusion = rows["effusion", "zero-shot"]
    assert effusion["low"] > 0.7
    assert rows["effusion", "untrained encoder"]["difference"]["low"] > 0.2
    assert rows["mass", "zero-shot"]["low"] < 0.5
    assert value["image_use"]["effusion"]["verdict"] == "depends"
    assert set(value["image_use"]) == {"effusion", "mass", "pairs"}
    assert value["modality_gap"]["distance"]["low"] > value["modality_gap"]["chance"]
    found = {
        (row["task"], row["metric"], row["k"], row["features"]) for row in value["pairs"]["rows"]
    }
    assert ("image → report", "hit", 1, "untrained encoder") in found
    assert "image → report: 27 reports, of which 4 differ" in " ".join(value["pairs"]["notes"])
    page = (finished[0] / "zero_shot.md").read_text()
    assert "Scored: 27 images, 27 reports, 21 participants." in page


def test_only_scores_leave_and_nothing_names_anybody(finished, image_text_store):
    out, result, listening = finished
    assert sorted(listening.sent) == ["zero_shot.json", "zero_shot.md"]
    assert sorted(p.name for p in (out / "maps").iterdir()) == ["01-effusion.png", "02-mass.png"]
    store = Store.open(image_text_store)
    names = {*store.participants.index, *store.column("record").tolist()}
    sent = "".join((out / name).read_text() for name in listening.sent) + json.dumps(result.summary)
    assert not [name for name in names if name in sent]
    scores = result.summary["scores"]
    assert scores["effusion/zero-shot/auroc"]["value"] > 0.9
    assert scores["image _ report/encoder/hit_at_1"]["chance"] == pytest.approx(0.25)
    assert scores["modality gap"]["n"] == 21
    json.dumps(result.summary, allow_nan=False)


def test_scored_are_participants_whom_nobody_trained_on(finished, image_text_store):
    store = Store.open(image_text_store)
    splits = assign_splits(store.participants, SPLIT)
    for name, modality in (("images", "radiograph"), ("reports", "report")):
        projected = Embeddings.read(finished[0] / f"projected_{name}.parquet")
        assert {splits[p] for p in projected.participants.tolist()} == {"test"}
        assert projected.metadata["modality"] == modality
        np.testing.assert_allclose(np.linalg.norm(projected.values, axis=1), 1, rtol=1e-5)


def test_it_repeats(finished, image_text_store, image_text_run, prompts, tmp_path):
    again, _ = run(image_text_store, image_text_run, tmp_path / "again", prompts)
    assert again.digest == finished[1].digest


def test_participants_of_pretraining_are_refused(
    image_text_store, image_text_run, prompts, tmp_path
):
    for name, split in (("train", SPLIT), ("test", SplitConfig(train=0, validation=0, test=1))):
        with pytest.raises(LeakageError):
            run(image_text_store, image_text_run, tmp_path / "out", prompts, split, score_on=[name])


def test_images_without_reports_and_labels_that_are_none(
    image_text_store, image_text_run, prompts, tmp_path
):
    result, _ = run(
        image_text_store, image_text_run, tmp_path / "out", prompts, true_pairs=False, maps=0,
        untrained_seeds=0, findings={"effusion": "effusion"}, image_use=[],
    )  # fmt: skip
    value = json.loads((tmp_path / "out" / "zero_shot.json").read_text())
    assert (value["pairs"], value["modality_gap"], value["image_use"]) == (None, None, {})
    assert {row["features"] for row in value["findings"]["rows"]} == {"zero-shot"}
    assert not list((tmp_path / "out").glob("*.parquet"))
    assert result.summary["reports"] == 0
    with pytest.raises(ConfigError, match="label column 'sex' is not 1, 0 or missing"):
        run(image_text_store, image_text_run, tmp_path / "b", prompts, findings={"mass": "sex"})
    with pytest.raises(StageError, match="no participant with images is in validation"):
        run(
            image_text_store, image_text_run, tmp_path / "c", prompts,
            SplitConfig(train=0.6, validation=0, test=0.4), score_on=["validation"],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"true_pairs": False}, "there is nothing to score"),
        ({"findings": ["effusionn"]}, r"no prompts for 'effusionn'; did you mean effusion\?"),
        ({"findings": ["edema"], "image_use": ["pair"]}, r"did you mean pairs\?"),
        ({"prompts": "/nowhere/prompts.yaml"}, "no configuration file at"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_runs(given, says):
    with pytest.raises(ValidationError, match=says):
        ZeroShotConfig.model_validate(given)
    assert ZeroShotConfig(findings=["Pleural_Effusion"]).findings == {
        "Pleural_Effusion": "Pleural_Effusion"
    }


@pytest.fixture(scope="module")
def audited(image_text_pipeline, image_text_run, prompts):
    """The pipeline of the small run with all stages behind it; pretraining is not run again."""
    path = image_text_pipeline.with_name("audited.yaml")
    values = yaml.safe_load(image_text_pipeline.read_text())
    (path.with_name("prompts.yaml")).write_text(prompts.read_text())
    target = {"name": "effusion", "kind": "binary", "column": "effusion", "level": "record"}
    values["stages"] |= {
        "embed": {"untrained_seeds": 1},
        "probe": {"bootstrap": 100, "targets": [target]},
        "zero_shot": {
            "findings": ["effusion"], "prompts": "prompts.yaml", "bootstrap": 100,
            "untrained_seeds": 1,
        },
        "audit": {},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(values))
    return path, {step.stage: step for step in run_pipeline(path)}


def test_the_audit_tells_whether_images_are_used_and_the_gap(audited):
    _, steps = audited
    assert steps["pretrain"].action == "skip"
    value = json.loads((steps["audit"].folder / "audit.json").read_text())
    told = {(f["audit"], f["severity"], f["title"][:40]) for f in value["findings"]}
    assert ("image_use", "ok", "The zero-shot score of effusion depends on the image"[:40]) in told
    assert ("modality_gap", "note", "radiograph and report lie apart: gap of 0.9"[:40]) in told
    # Scores are traced through the encoder of images, whose squares are changed.
    occluded = [f for f in value["findings"] if f["audit"] == "shortcut_occlusion"]
    assert occluded[0]["title"].startswith("effusion follows the input")


def test_a_changed_prompt_is_a_changed_input_and_a_moved_file_is_none(audited):
    path, _ = audited
    file = path.with_name("prompts.yaml")
    (step,) = [s for s in Pipeline(path).plan() if s.stage == "zero_shot"]
    assert step.why == "nothing changed"
    moved = path.with_name("elsewhere.yaml")
    moved.write_text(file.read_text())
    other = Pipeline(path, ["zero_shot.prompts=elsewhere.yaml"])
    assert [s.action for s in other.plan() if s.stage == "zero_shot"] == ["skip"]
    moved.write_text(file.read_text().replace("no pleural effusion", "no effusion"))
    (step,) = [s for s in other.plan() if s.stage == "zero_shot"]
    assert step.why.startswith("changed: files.prompts")
