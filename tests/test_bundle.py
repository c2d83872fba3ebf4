import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import medssl
from medssl.bundle import CARD, CONFIG, CONTRACT, WEIGHTS, load_encoder, save_bundle
from medssl.encoders import EfficientNet1dConfig, ResNet1dConfig, build_encoder
from medssl.errors import ContractError, StoreError
from medssl.records import Contract
from medssl.views.normalise import zscore

CONTRACT_VALUE = Contract(
    modality="ecg", rate=128, channels=("I",), units="mV", length=256, filter="none"
)


@pytest.fixture(params=[EfficientNet1dConfig(channels=1, width=36, depth="small", expansion=2),
                        ResNet1dConfig(channels=1, width=8)])  # fmt: skip
def saved(request, tmp_path):
    torch.manual_seed(0)
    module = build_encoder(request.param).eval()
    save_bundle(
        tmp_path / "bundle", module,
        encoder=request.param, contract=CONTRACT_VALUE, provenance={"steps": 3},
    )  # fmt: skip
    return module, tmp_path / "bundle"


def recording(samples):
    return np.random.default_rng(0).normal(size=(1, samples)).astype(np.float32)


def test_a_loaded_encoder_gives_what_the_saved_one_gave(saved):
    module, path = saved
    encoder = medssl.load_encoder(path, device="cpu")
    signal = recording(600)
    embeddings = encoder.embed(signal, rate=128, channels=["I"])
    assert embeddings.shape == (2, module.dim)
    assert embeddings.dtype == np.float32
    segments = torch.from_numpy(np.stack([signal[:, :256], signal[:, 256:512]]))
    with torch.no_grad():
        expected = module(zscore(segments)).numpy()
    np.testing.assert_array_equal(embeddings, expected)
    assert encoder.contract == CONTRACT_VALUE


def test_scale_and_offset_of_the_input_do_not_matter(saved):
    encoder = load_encoder(saved[1], device="cpu")
    signal = recording(256)
    one = encoder.embed(signal, rate=128, channels=["I"])
    other = encoder.embed(signal * 200 + 2048, rate=128, channels=["I"])
    np.testing.assert_allclose(one, other, atol=2e-3 * np.abs(one).max())


def test_a_loaded_encoder_is_in_evaluation_mode(saved):
    encoder = load_encoder(saved[1], device="cpu")
    signal = recording(256)
    first = encoder.embed(signal, rate=128, channels=["I"])
    encoder.embed(recording(2560) * 9, rate=128, channels=["I"])
    np.testing.assert_array_equal(first, encoder.embed(signal, rate=128, channels=["I"]))
    assert not encoder.module.training


def test_what_breaks_the_contract_is_refused(saved):
    encoder = load_encoder(saved[1], device="cpu")
    with pytest.raises(ContractError, match="from_rate=500, to_rate=128"):
        encoder.embed(recording(256), rate=500, channels=["I"])


def test_a_bundle_is_four_readable_files_without_pickles(saved):
    _, path = saved
    assert sorted(p.name for p in path.iterdir()) == sorted([WEIGHTS, CONFIG, CONTRACT, CARD])
    card = (path / CARD).read_text()
    assert "128" in card
    assert "channels=['I']" in card
    assert "not a diagnosis" in card
    assert json.loads((path / CONTRACT).read_text())["units"] == "mV"


def damage_weights(path):
    data = bytearray((path / WEIGHTS).read_bytes())
    data[-3] ^= 1
    (path / WEIGHTS).write_bytes(data)


def truncate_weights(path):
    (path / WEIGHTS).write_bytes((path / WEIGHTS).read_bytes()[:-100])


def rename_a_tensor(path):
    state = load_file(path / WEIGHTS)
    state["other"] = state.pop(sorted(state)[0])
    save_file(state, path / WEIGHTS)
    from medssl.files import digest_file, read_json, write_json

    config = read_json(path / CONFIG)
    write_json(path / CONFIG, {**config, "weights_digest": digest_file(path / WEIGHTS)})


def newer_version(path):
    config = json.loads((path / CONFIG).read_text())
    (path / CONFIG).write_text(json.dumps({**config, "version": 99}))


def no_contract(path):
    (path / CONTRACT).unlink()


def not_json(path):
    (path / CONFIG).write_text("{")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (damage_weights, "changed after it was saved"),
        (truncate_weights, "changed after it was saved"),
        (rename_a_tensor, "does not fit"),
        (newer_version, "upgrade medssl"),
        (no_contract, "cannot read contract.json"),
        (not_json, "cannot read config.json"),
    ],
)
def test_damaged_bundles_are_refused_in_one_line(saved, harm, says):
    harm(saved[1])
    with pytest.raises(StoreError, match=says) as caught:
        load_encoder(saved[1])
    assert "\n" not in str(caught.value)


def test_a_failed_save_leaves_the_old_bundle(saved, monkeypatch):
    module, path = saved
    before = {p.name: p.read_bytes() for p in path.iterdir()}

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medssl.bundle.save_file", full)
    with pytest.raises(OSError, match="No space"):
        save_bundle(
            path, module, encoder=ResNet1dConfig(channels=1),
            contract=CONTRACT_VALUE, provenance={},
        )  # fmt: skip
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before
    assert [p.name for p in path.parent.iterdir()] == ["bundle"]
