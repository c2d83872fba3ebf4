"""What pretrain leaves, and what embed makes of it, where it is not one encoder and one head."""

import json

import numpy as np
import pytest
import yaml

import medssl
from medssl.bundle import load_encoder
from medssl.config import merge
from medssl.errors import StageError
from medssl.evaluation.cross_modal import moment_retrieval
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.layers import HEAD, load_head
from medssl.sampling.moments import match_moments
from medssl.store import Store

PEOPLE = 10
SENSORS = {"ppg": ("PLETH", 32, "pleth"), "ecg": ("II", 64, "lead II")}
TINY = {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2}
VIEWS = {"channel_permutation": {"probability": 0}}


def write(path, config):
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A pipeline over text files that hold PPG and ECG of one time; it ran once."""
    folder = tmp_path_factory.mktemp("both")
    rng = np.random.default_rng(0)
    (folder / "raw").mkdir()
    for person in range(PEOPLE):
        time = np.arange(64 * 20) / 64
        angle = np.cumsum(6.28 * (1 + 0.4 * np.sin(time / 3 + person)) / 64)
        table = np.stack([time, np.cos(angle) ** 9, np.sin(angle)], axis=1)
        table[:, 1:] += 0.1 * rng.normal(size=(len(time), 2))
        np.savetxt(
            folder / "raw" / f"{person:02d}.csv", table, delimiter=",", fmt="%.6f",
            header="time,II,PLETH", comments="",
        )  # fmt: skip
    sources = [
        {
            "name": modality, "format": "text", "path": str(folder / "raw"), "header": True,
            "rate_in": 64, "modality": modality, "units": "counts", "rate": rate,
            "channels": [{"source": column, "name": name}], "segment_seconds": 2,
            "cohort": "clinic", "participant": {"pattern": r"(?P<participant>\d+)\.csv$"},
        }
        for modality, (column, rate, name) in SENSORS.items()
    ]  # fmt: skip
    config = {
        "name": "both",
        "root": str(folder / "runs"),
        "split": {"train": 0.6, "validation": 0.1, "test": 0.3},
        "tracking": {"enabled": False},
        "stages": {
            "ingest": {"sources": sources, "quality": False},
            "pretrain": {
                "modality": "ppg", "encoder": TINY, "views": VIEWS,
                "partner": {"encoder": {**TINY, "width": 6}, "views": VIEWS},
                "head": {"hidden": 16, "out": 8}, "method": "multiview",
                "pairs": {"level": "moment", "partner": "ecg", "per_participant": 2},
                "batch_size": 8, "steps": 6, "log_every": 1, "accelerator": "cpu",
            },
            "embed": {"untrained_seeds": 1, "layers": 1},
        },
    }  # fmt: skip
    path = write(folder / "both.yaml", config)
    medssl.run_pipeline(path)
    return path, folder / "runs" / "both", config


def test_two_modalities_give_two_bundles_that_tell_of_each_other(both):
    _, runs, _ = both
    folders = {"ppg": runs / "pretrain/bundle", "ecg": runs / "pretrain/partner_bundle"}
    for modality, folder in folders.items():
        encoder = load_encoder(folder)
        _, rate, name = SENSORS[modality]
        contract = encoder.contract
        assert (contract.modality, contract.rate, contract.channels) == (modality, rate, (name,))
        told = json.loads((folder / "config.json").read_text())["provenance"]
        assert told["moments of"] == "ppg and ecg"
        assert told["positive pairs"] == "moment"
        assert told["training records"] == told["moments"]
    assert load_encoder(folders["ppg"]).dim == 8
    assert load_encoder(folders["ecg"]).dim == 12
    summary = json.loads((runs / "pretrain/manifest.json").read_text())["summary"]
    assert summary["moments"] == summary["records"] == summary["partner_records"]
    assert summary["records_without_partner"] == summary["partner_records_without_partner"] == 0


def test_one_line_embeds_the_partner(both, tmp_path):
    _, runs, config = both
    ppg = Embeddings.read(runs / "embed/embeddings.parquet")
    medssl.run_pipeline(write(tmp_path / "b.yaml", merge(config, {"stages": {"embed": {
        "encoder": "partner"}}})))  # fmt: skip
    ecg = Embeddings.read(runs / "embed/embeddings.parquet")
    assert (ppg.dim, ecg.dim) == (8, 12)
    assert (ppg.metadata["modality"], ecg.metadata["modality"]) == ("ppg", "ecg")
    assert sorted(ppg.participants) == sorted(ecg.participants)
    heads = [Embeddings.read(f) for f in sorted((runs / "embed").glob("layer-*.parquet"))]
    assert heads[-1].metadata["layer"] == HEAD
    assert heads[-1].dim == 8


def test_moments_of_held_out_participants_can_be_looked_for(both):
    _, runs, _ = both
    out = runs / "pretrain"
    store = Store.open(runs / "ingest/store")
    trained = set(json.loads((out / "participants.json").read_text()))
    people = [name for name in store.participants.index if name not in trained]
    moments = match_moments(
        store, *(store.rows(modality=m, participants=people) for m in ("ppg", "ecg"))
    )
    sides = []
    for bundle, head in (("bundle", "head"), ("partner_bundle", "partner_head")):
        encoder = load_encoder(out / bundle)
        sides.append((encoder, load_head(out / f"{head}.safetensors", encoder.dim)))
    table = moment_retrieval(*sides, store, moments, replicates=20)
    assert {row.n_participants for row in table.rows} == {len(people)}
    assert {row.task for row in table.rows} == {
        "ppg → ecg", "ecg → ppg", "ppg → ecg, own participant", "ecg → ppg, own participant",
    }  # fmt: skip


def test_the_partners_channels_are_checked(both, tmp_path):
    _, _, config = both
    wrong = {"stages": {"pretrain": {"partner": {"encoder": {"channels": 3}}}}}
    with pytest.raises(
        StageError, match=r"pretrain.partner.encoder.channels is 3 and the ecg records have 1"
    ):
        medssl.run_pipeline(write(tmp_path / "b.yaml", merge(config, wrong)))


@pytest.fixture(scope="module")
def masked(tmp_path_factory, small_pipeline):
    """The small pipeline with a masked autoencoder, up to its embeddings."""
    folder = tmp_path_factory.mktemp("masked")
    stages = {name: small_pipeline["stages"][name] for name in ("ingest", "reduce")}
    pretrain = {
        **small_pipeline["stages"]["pretrain"],
        "encoder": {"name": "vit1d", "channels": 1, "patch": 8, "width": 16, "depth": 2},
        "method": "masked_autoencoder",
    }
    stages |= {"pretrain": pretrain, "embed": {"untrained_seeds": 1, "layers": 2}}
    config = {
        **small_pipeline, "name": "masked", "root": str(folder / "runs"),
        "tracking": {"enabled": False}, "stages": stages,
    }  # fmt: skip
    path = write(folder / "masked.yaml", config)
    medssl.run_pipeline(path)
    return config, folder / "runs" / "masked"


def test_a_method_without_a_head_leaves_none(masked):
    _, runs = masked
    assert not (runs / "pretrain/head.safetensors").exists()
    encoder = load_encoder(runs / "pretrain/bundle")
    assert encoder.dim == 16
    names = [
        Embeddings.read(file).metadata["layer"]
        for file in sorted((runs / "embed").glob("layer-*.parquet"))
    ]
    assert names == ["layer patches", "layer block 1"]
    assert not (runs / "pretrain/partner_bundle").exists()


def test_a_partner_that_was_not_trained_cannot_embed(masked, tmp_path):
    config, _ = masked
    changed = merge(config, {"stages": {"embed": {"encoder": "partner"}}})
    with pytest.raises(StageError, match="embed.encoder is partner and pretrain made one encoder"):
        medssl.run_pipeline(write(tmp_path / "b.yaml", changed))
