"""pretrain and embed with images and their reports: two bundles, killed runs, clear errors."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

import medssl
from medssl.bundle import load_encoder
from medssl.config import merge
from medssl.errors import ConfigError, LeakageError, StageError, StoreError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.layers import load_head
from medssl.stages.pipeline import Pipeline
from medssl.store import Store

PRETRAIN = {
    "modality": "radiograph",
    "method": {"name": "convirt", "warm_up": {"steps": 4, "batch_size": 8}},
    "encoder": {"name": "resnet2d", "width": 4, "blocks": [1, 1], "block": "basic",
                "stem": "small"},
    "views": {"size": 16},
    "partner": {"encoder": {"name": "text_transformer", "vocabulary": 120, "width": 16, "depth": 1,
                            "heads": 2, "tokens": 16}},
    "head": {"hidden": 16, "out": 8},
    "pairs": {"level": "study", "partner": "report"},
    "optimiser": {"learning_rate": 0.02, "schedule": "plateau", "patience": 1},
    "batch_size": 8, "steps": 8, "log_every": 1, "checkpoint_every": 3, "accelerator": "cpu",
    "validate_every": 2, "validate_batches": 2, "keep": "best",
}  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory, studies_store_path):
    """Writes a pipeline file over the synthetic studies; `changes` are merged into its stages."""
    folder = tmp_path_factory.mktemp("image_text")

    def write(name, root="runs", store=studies_store_path, **changes):
        config = {
            "name": name, "root": str(folder / root), "tracking": {"enabled": False},
            "split": {"train": 0.6, "validation": 0.2, "test": 0.2},
            "inputs": {"ingest": str(store)},
            "stages": merge({"pretrain": PRETRAIN}, changes),
        }  # fmt: skip
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="module")
def finished(pipeline):
    """Outputs of the pipeline with both embeddings: a folder for each stage."""
    path = pipeline("whole", embed={"untrained_seeds": 1, "layers": 1})
    return {step.stage: step.folder.resolve() for step in medssl.run_pipeline(path)}


def contents(folder):
    """Every file of both bundles, with their heads."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for pattern in ("*bundle/*", "*head.safetensors")
        for file in sorted(folder.glob(pattern))
    }


def test_both_bundles_load_and_embed(finished):
    out = finished["pretrain"]
    images, texts = (load_encoder(out / name) for name in ("bundle", "partner_bundle"))
    assert images.contract.noun == "images of 16 x 16 pixels"
    pixels = np.linspace(0, 1, 40 * 30).reshape(40, 30)
    prepared = images.prepare(pixels)
    assert prepared.shape == (24, 18)
    assert images.embed([prepared, prepared]).shape == (2, images.dim)
    found = texts.embed(["No pleural effusion.", "Heart size is normal."])
    assert found.shape == (2, 16)
    torch.manual_seed(1)
    assert (texts.embed("No pleural effusion.") == found[:1]).all()
    for name, encoder in (("head", images), ("partner_head", texts)):
        head = load_head(out / f"{name}.safetensors", encoder.dim)
        assert head(torch.zeros(1, encoder.dim)).shape == (1, 8)


def test_the_summary_counts_what_was_paired_and_what_was_not(finished, studies_store):
    summary = json.loads((finished["pretrain"] / "manifest.json").read_text())["summary"]
    people = json.loads((finished["pretrain"] / "participants.json").read_text())
    images, reports = (
        studies_store.rows(modality=name, participants=people) for name in ("radiograph", "report")
    )
    assert summary["records"] == len(images)
    assert summary["pairs"] + summary["records_without_partner"] == len(images)
    alone = summary["partner_records_without_partner"]
    assert summary["studies"] == summary["partner_records"] - alone
    assert summary["partner_records"] <= len(reports)
    assert summary["warm_up"].keys() == {
        "first_loss", "last_loss", "perplexity", "unigram_perplexity",
    }  # fmt: skip
    assert "validation/best_loss" in summary["final"]
    told = json.loads((finished["pretrain"] / "bundle/config.json").read_text())["provenance"]
    assert told["weights of"] == "lowest validation loss"
    assert told["image-report pairs of"] == "radiograph and report"
    assert told["image-report pairs"] == summary["pairs"]


def test_the_cards_tell_the_perplexity_beside_that_of_word_frequencies(finished):
    out = finished["pretrain"]
    told = json.loads((out / "manifest.json").read_text())["summary"]["warm_up"]
    said = f"{told['perplexity']:.1f} (word frequencies alone: {told['unigram_perplexity']:.1f})"
    assert 1 < told["perplexity"] < 121  # guessing blindly among the vocabulary gives 120
    for name in ("bundle", "partner_bundle"):
        provenance = json.loads((out / name / "config.json").read_text())["provenance"]
        assert provenance["perplexity of the warm-up on validation reports"] == said
        assert said in (out / name / "card.md").read_text()


def test_nothing_that_is_left_holds_a_path_or_the_text_of_a_report(finished, studies_store_path):
    out = finished["pretrain"]
    words = ("effusion. Heart", "effusion. Bones", "Cough", str(studies_store_path))
    for file in out.rglob("*"):
        if file.is_file() and file.name != "manifest.json":
            content = file.read_bytes()
            assert not [word for word in words if word.encode() in content], file.name


def test_images_and_reports_are_embedded(finished, pipeline, studies_store):
    images = Embeddings.read(finished["embed"] / "embeddings.parquet")
    rows = studies_store.rows(modality="radiograph")
    assert len(images.values) == len(rows)
    path = pipeline("reports", embed={"encoder": "partner", "untrained_seeds": 1, "layers": 1})
    (_, _, step) = medssl.run_pipeline(path)
    reports = Embeddings.read(step.folder / "embeddings.parquet")
    random = Embeddings.read(step.folder / "untrained-0.parquet")
    # The report without findings cannot be read.
    assert len(reports.values) == len(random.values)
    assert len(reports.values) == len(studies_store.rows(modality="report")) - 1
    assert step.summary["records_unusable"] == 1
    assert reports.metadata["modality"] == "report"
    assert not np.allclose(reports.values, random.values)


DEATH = """
import os, signal, sys
from medssl.training import language, monitors
where, path = sys.argv[1:]
calls = [0]
def dying(function, after):
    def call(*given, **named):
        calls[0] += 1
        if calls[0] > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **named)
    return call
if where == "warm-up":
    language._move = dying(language._move, 2)
else:
    monitors.LossMonitor.measure = dying(monitors.LossMonitor.measure, int(where))
from medssl.stages.pipeline import run_pipeline
run_pipeline(path)
"""


def test_killed_in_the_warm_up_and_in_training_it_ends_with_the_same_bytes(finished, pipeline):
    path = pipeline("killed", root="killed")
    for where in ("warm-up", "5"):
        died = subprocess.run([sys.executable, "-c", DEATH, where, str(path)], capture_output=True)
        assert died.returncode == -9, died.stderr.decode()
    (_, step) = medssl.run_pipeline(path)
    expected = contents(finished["pretrain"])
    assert len(expected) > 10
    assert contents(step.folder) == expected
    assert not (step.folder / "training").exists()


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A tiny BERT in the layout of Hugging Face; gives its folder."""
    import transformers

    folder = tmp_path_factory.mktemp("bert")
    names = "[PAD] [UNK] [CLS] [SEP] [MASK] no there is a pleural effusion heart size normal . are"
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=len(names.split()), hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=20,
    )  # fmt: skip
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(names.split()) + "\n")
    return folder


SHORT = {"steps": 2, "validate_every": 0, "keep": "last",
         "optimiser": {"learning_rate": 0.02, "schedule": "constant"}, "method": "convirt",
}  # fmt: skip


def key(path):
    """The key that decides whether pretrain must run."""
    made = Pipeline(path)
    return made._look("pretrain", {"ingest": "0"})[0].folder.name


def test_a_folder_gives_weights_that_the_bundle_keeps(pipeline, words, tmp_path, monkeypatch):
    folder = tmp_path / "bert"
    shutil.copytree(words, folder)
    monkeypatch.setenv("BERT", str(folder))
    encoder = {"name": "text_transformer", "folder": "${BERT}", "tokens": 16, "freeze_layers": 2,
               "freeze_embeddings": True}  # fmt: skip
    path = pipeline("folder", pretrain={**SHORT, "partner": {"encoder": encoder}})
    before = key(path)
    (_, step) = medssl.run_pipeline(path)
    bundle = step.folder / "partner_bundle"
    assert str(folder).encode() not in (bundle / "config.json").read_bytes()
    config = json.loads((bundle / "config.json").read_text())["encoder"]
    assert config["folder"] is None
    from safetensors.torch import load_file

    started = {
        name.removeprefix("bert."): value
        for name, value in load_file(folder / "model.safetensors").items()
    }
    left = load_file(bundle / "model.safetensors")
    moved = {
        name for name, value in left.items()
        if not torch.equal(value, started[name.removeprefix("network.")])
    }  # fmt: skip
    assert moved
    assert all("layer.2." in name for name in moved)
    # The key follows the bytes; the bundle stands without the folder.
    assert key(path) == before
    with (folder / "vocab.txt").open("a") as file:
        file.write("more\n")
    assert key(path) != before
    shutil.rmtree(folder)
    assert load_encoder(bundle).embed("No effusion.").shape == (1, 16)
    with pytest.raises(ConfigError, match=r"bert has neither tokenizer.json nor vocab.txt|exist"):
        medssl.run_pipeline(path)


def test_a_file_gives_weights_that_the_bundle_keeps(pipeline, tmp_path):
    from medssl.encoders import build_encoder, parse_encoder_config

    torch.manual_seed(0)
    config = PRETRAIN["encoder"]
    state = build_encoder(parse_encoder_config(config)).state_dict()
    state["conv1.weight"] = state["conv1.weight"].repeat(1, 3, 1, 1)
    torch.save(state, tmp_path / "images.pth")
    path = pipeline("file", pretrain={**SHORT, "steps": 1, "encoder": {
        "weights": str(tmp_path / "images.pth")},
        "optimiser": {"learning_rate": 1e-9, "schedule": "constant"}})  # fmt: skip
    before = key(path)
    (_, step) = medssl.run_pipeline(path)
    told = json.loads((step.folder / "bundle/config.json").read_text())
    assert told["encoder"]["weights"] is None
    assert str(tmp_path) not in json.dumps(told)
    encoder = load_encoder(step.folder / "bundle")
    expected = state["conv1.weight"].sum(dim=1, keepdim=True)
    torch.testing.assert_close(encoder.module.conv1.weight, expected, atol=1e-6, rtol=0)
    state["fc.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "images.pth")
    assert key(path) != before


def test_paths_in_a_pipeline_file_start_at_the_file(pipeline, words, monkeypatch, tmp_path):
    path = pipeline("beside", pretrain={**SHORT, "partner": {"encoder": {
        "name": "text_transformer", "folder": "bert", "tokens": 16}}})  # fmt: skip
    monkeypatch.chdir(tmp_path)
    made = Pipeline(path)
    assert made.configs["pretrain"].partner.encoder.folder == path.resolve().parent / "bert"


def test_a_reference_is_part_of_the_key(pipeline, finished, tmp_path):
    shutil.copytree(finished["pretrain"] / "partner_bundle", tmp_path / "reference")
    loss = {"name": "cwcl", "reference": str(tmp_path / "reference")}
    path = pipeline("cwcl", pretrain={**SHORT, "method": {"name": "convirt", "loss": loss}})
    before = key(path)
    medssl.run_pipeline(path)
    (tmp_path / "reference" / "card.md").write_text("Another one.")
    assert key(path) != before


def changed(store, path, keep, data=lambda row, data: data):
    """A copy of a store with some of its records, whose data are passed through `data`."""
    from medssl.records import Record
    from medssl.store import write_store
    from medssl.types import Modality, ParticipantId

    records = [
        Record(
            participant=ParticipantId(row["participant"]), session=row["session"],
            recording=row["recording"], modality=Modality(row["modality"]), study=row["study"],
            data=data(row, store.read_record(place)), source_digest=row["source_digest"],
            source="synthetic",
        )
        for place, row in enumerate(store.records.to_pylist())
        if keep(row)
    ]  # fmt: skip
    return write_store(path, records).path


def test_perplexity_is_measured_on_sentences_of_validation_participants(
    pipeline, tmp_path, studies_store, monkeypatch
):
    from medssl.sampling.splits import SPLITS, assign_splits
    from medssl.training import warm_up

    def signed(row, data):
        return f"{data} Told of {row['participant']}." if row["modality"] == "report" else data

    def spy(encoder, tokenizer, texts, *, held_out, **settings):
        seen.update(train=people(texts), validation=people(held_out))
        return real(encoder, tokenizer, texts, held_out=held_out, **settings)

    def people(texts):
        found = {text.split()[2].strip(".") for text in texts if text.startswith("told of")}
        assert len(texts) > len(found)  # of every report all sentences, not the last alone
        return found

    seen, real = {}, warm_up.warm_up
    monkeypatch.setattr(warm_up, "warm_up", spy)
    # The last two participants have no pair.
    store = changed(
        studies_store, tmp_path / "store", lambda row: row["participant"] < "p38", signed
    )
    path = pipeline("signed", root=str(tmp_path), store=store, pretrain={
        **SHORT, "method": PRETRAIN["method"]})  # fmt: skip
    medssl.run_pipeline(path)
    splits = assign_splits(Store.open(store).participants, Pipeline(path).config.split)
    wanted = {name: {p for p, split in splits.items() if split == name} for name in SPLITS}
    assert all(wanted.values())
    assert seen == {name: wanted[name] for name in ("train", "validation")}


def test_a_warm_up_without_validation_participants_is_not_measured(pipeline, tmp_path):
    path = pipeline("unmeasured", root=str(tmp_path), pretrain={
        **SHORT, "method": PRETRAIN["method"]})  # fmt: skip
    (_, step) = medssl.run_pipeline(path, "split={train: 0.8, validation: 0.0, test: 0.2}")
    assert step.summary["warm_up"].keys() == {"first_loss", "last_loss"}
    assert "perplexity" not in (step.folder / "partner_bundle" / "card.md").read_text()


@pytest.mark.parametrize(
    ("keep", "changes", "says"),
    [
        (lambda row: row["modality"] == "radiograph", {}, "the store holds no report record"),
        (
            lambda row: (row["modality"], row["study"]) in (("report", "1"), ("radiograph", "2")),
            {},
            "images has a report of its study: ingest both with a rule for study",
        ),
        (lambda row: int(row["participant"][1:]) < 8, {"batch_size": 8}, "set pretrain.batch_size"),
        (
            None, {"partner": {"views": {"policy": {"sections": ["history"]}}}},
            "no training report has one of the sections history: correct pretrain.partner.views",
        ),
        (
            None, {"partner": {"views": {"policy": {"sections": ["history"], "missing": "error"}}}},
            "a report without history (it has findings): set `missing` to skip",
        ),
        (
            lambda row: row["participant"] < "p30", {"validate_every": 2, "batch_size": 4},
            None,
        ),
    ],
    ids=["no reports", "no report of a study", "few people", "no text", "strict", "fine"],
)  # fmt: skip
def test_what_cannot_be_trained_is_told_in_one_line(
    pipeline, tmp_path, studies_store, studies_store_path, keep, changes, says
):
    store = changed(studies_store, tmp_path / "store", keep) if keep else studies_store_path
    path = pipeline("wrong", root=str(tmp_path), store=store, pretrain={**SHORT, **changes})
    if says is None:
        medssl.run_pipeline(path)
        return
    with pytest.raises(medssl.errors.MedsslError) as caught:
        medssl.run_pipeline(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_few_validation_participants_are_told(pipeline):
    path = pipeline("few", pretrain={"batch_size": 8})
    with pytest.raises(StageError, match="enlarge split.validation, or set validate_every to 0"):
        medssl.run_pipeline(path, "split={train: 0.95, validation: 0.0, test: 0.05}")


def test_participants_of_pretraining_may_not_be_tested(pipeline, finished):
    path = pipeline("leak", embed={"untrained_seeds": 0})
    with pytest.raises(LeakageError, match="pretraining and validation or test"):
        medssl.run_pipeline(
            path, f"inputs.pretrain={finished['pretrain']}",
            "split={train: 0.6, validation: 0.2, test: 0.2, salt: other}", only="embed",
        )  # fmt: skip


def test_a_bundle_that_would_read_another_file_is_refused(finished, tmp_path):
    """Nothing that a bundle says may make a program open a file that somebody chose."""
    from medssl.bundle.manifest import write_manifest

    for name, setting in (("bundle", "weights"), ("partner_bundle", "folder")):
        folder = tmp_path / name
        shutil.copytree(finished["pretrain"] / name, folder)
        config = json.loads((folder / "config.json").read_text())
        config["encoder"][setting] = "/etc/passwd"
        if setting == "folder":
            config["encoder"]["architecture"] = None
        (folder / "config.json").write_text(json.dumps(config))
        write_manifest(folder)
        with pytest.raises(StoreError, match=f"encoder.{setting} names a file, and a bundle holds"):
            load_encoder(folder)


def test_the_store_stays_as_it_was(studies_store_path, finished):
    assert (
        Store.open(studies_store_path).digest
        == json.loads((finished["pretrain"] / "bundle/config.json").read_text())["provenance"][
            "store digest"
        ]
    )
