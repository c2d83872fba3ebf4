import hashlib
import json
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from medssl.bundle import Encoder, bundle_digest, export_bundle, load_encoder
from medssl.bundle.exports import check_equal, example_batches, export_encoder
from medssl.errors import StageError, StoreError

EXPORTS = ["onnx", "torch"]


def run_export(path, to, batches):
    """What somebody without medssl would do."""
    if to == "onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return [session.run(["embeddings"], {"segments": batch})[0] for batch in batches]
    module = torch.export.load(path).module()
    with torch.no_grad():
        return [module(torch.from_numpy(batch)).numpy() for batch in batches]


def segments(n):
    made = np.random.default_rng(n).normal(size=(n, 1, 256)).astype(np.float32) * 400 + 2048
    made[0] = 7.0
    return made


@pytest.fixture(scope="module")
def made(save, tmp_path_factory):
    """Makes each export once: (bundle, file) by encoder and format."""
    folder, done = tmp_path_factory.mktemp("exports"), {}

    def make(name, to):
        if (name, to) not in done:
            path = folder / name
            if not path.exists():
                save(path, name)
            before = {p.name: p.read_bytes() for p in path.iterdir()}
            done[name, to] = path, export_bundle(path, to)
            assert {p.name: p.read_bytes() for p in path.iterdir()} == before
        return done[name, to]

    return make


@pytest.mark.parametrize("name", ["resnet1d", "efficientnet1d", "vit1d"])
@pytest.mark.parametrize("to", EXPORTS)
def test_raw_segments_of_any_batch_size_give_the_encoders_embeddings(made, name, to):
    path, file = made(name, to)
    encoder = load_encoder(path, device="cpu")
    assert file == path.with_name(path.name + {"onnx": ".onnx", "torch": ".pt2"}[to])
    batches = [segments(n) for n in (1, 2, 5, 64)]
    for batch, found in zip(batches, run_export(file, to, batches), strict=True):
        expected = encoder.embed_segments(batch)
        assert np.abs(found - expected).max() <= 1e-6 + 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("to", EXPORTS)
def test_facts_stand_beside_the_export(made, to):
    path, file = made("resnet1d", to)
    facts = json.loads(file.with_name(file.name + ".json").read_text())
    assert facts["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert facts["bundle_digest"] == bundle_digest(path)
    assert facts["contract"]["units"] == "mV"
    assert facts["max_difference"] <= 1e-4
    assert facts["segments_checked"] == 16


@pytest.mark.parametrize("to", EXPORTS)
def test_exports_repeat_and_tell_nothing_of_the_machine(made, to, tmp_path):
    path, file = made("resnet1d", to)
    again = export_bundle(path, to, tmp_path / "deep" / "mine.bin").read_bytes()
    assert again == file.read_bytes()
    assert (tmp_path / "deep" / "mine.bin.json").exists()
    for place in (b"site-packages", b"resnet1d.py", str(path.parent).encode()):
        assert place not in again


def test_the_onnx_file_carries_its_contract(made):
    model = onnx.load(made("resnet1d", "onnx")[1])
    onnx.checker.check_model(model, full_check=True)
    properties = {p.key: p.value for p in model.metadata_props}
    assert json.loads(properties["medssl.contract"])["channels"] == ["I"]
    shape = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", 1, 256]
    assert [entry.version for entry in model.opset_import if not entry.domain] == [18]


def test_the_torch_file_holds_no_pickle(made):
    with zipfile.ZipFile(made("resnet1d", "torch")[1]) as archive:
        for name in archive.namelist():
            assert not archive.read(name).startswith((b"\x80", b"PK")), name
        (config,) = (n for n in archive.namelist() if n.endswith("weights_config.json"))
        payloads = json.loads(archive.read(config))["config"].values()
    assert {payload["use_pickle"] for payload in payloads} == {False}


class Different(nn.Module):
    """Gives other embeddings once it is exported."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.dim = module.dim

    def forward(self, x):
        out = self.module(x)
        return out * 1.001 if torch.compiler.is_exporting() else out


class Impossible(Different):
    """Looks at a value, which no exported program can."""

    def forward(self, x):
        out = self.module(x)
        return out if out.sum() > 0 else -out


@pytest.mark.parametrize("to", EXPORTS)
def test_an_export_with_other_outputs_is_not_written(save, contract, tmp_path, to):
    module = Different(save(tmp_path / "bundle"))
    encoder = Encoder(module, contract, digest="d", device="cpu")
    with pytest.raises(StageError, match=f"the {to} export differs from the encoder by"):
        export_encoder(encoder, to, tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_an_encoder_that_cannot_be_traced_is_one_line(save, contract, tmp_path):
    module = Impossible(save(tmp_path / "bundle"))
    encoder = Encoder(module, contract, digest="d", device="cpu")
    with pytest.raises(StageError, match="torch.export cannot trace") as caught:
        export_encoder(encoder, "torch", tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x + 2e-3, "differs"),
        (lambda x: x * np.nan, "differs"),
        (lambda x: x[:, :-1], "shape"),
        (lambda x: x[:1], "shape"),
    ],
)
def test_differences_are_found(bundle, change, says):
    encoder = load_encoder(bundle, device="cpu")
    with pytest.raises(StageError, match=says):
        check_equal(encoder, lambda x: change(encoder.embed_segments(x)), what="it")
    n, difference = check_equal(encoder, encoder.embed_segments, what="it")
    assert (n, difference) == (16, 0.0)


def test_examples_have_several_scales_a_constant_and_two_batch_sizes(contract):
    batches = list(example_batches(contract))
    assert {len(batch) for batch in batches} == {1, 3}
    assert any(np.ptp(batch[0]) == 0 for batch in batches)
    assert {round(float(np.log10(np.ptp(batch) + 1e-9))) for batch in batches} >= {-2, 1, 3}


def test_a_damaged_bundle_is_not_exported(bundle, tmp_path):
    (bundle / "contract.json").write_text("{}")
    with pytest.raises(StoreError, match="contract.json was changed"):
        export_bundle(bundle, "torch", tmp_path / "m")
    assert not (tmp_path / "m").exists()
