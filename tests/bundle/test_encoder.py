import numpy as np
import pytest
import torch

import medssl
from medssl.bundle import load_encoder
from medssl.errors import ContractError
from medssl.views.normalise import zscore


def test_a_loaded_encoder_gives_what_the_saved_one_gave(saved, recording):
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
    assert isinstance(encoder, medssl.Encoder)


def test_scale_and_offset_of_the_input_do_not_matter(saved, recording):
    encoder = load_encoder(saved[1], device="cpu")
    signal = recording(256)
    one = encoder.embed(signal, rate=128, channels=["I"])
    other = encoder.embed(signal * 200 + 2048, rate=128, channels=["I"])
    np.testing.assert_allclose(one, other, atol=2e-3 * np.abs(one).max())


def test_a_loaded_encoder_is_in_evaluation_mode(saved, recording):
    encoder = load_encoder(saved[1], device="cpu")
    signal = recording(256)
    first = encoder.embed(signal, rate=128, channels=["I"])
    encoder.embed(recording(2560) * 9, rate=128, channels=["I"])
    np.testing.assert_array_equal(first, encoder.embed(signal, rate=128, channels=["I"]))
    assert not encoder.module.training


def test_what_breaks_the_contract_is_refused(saved, recording):
    encoder = load_encoder(saved[1], device="cpu")
    with pytest.raises(ContractError, match="prepare\\(signal, rate=500"):
        encoder.embed(recording(256), rate=500, channels=["I"])


def test_embeddings_that_are_not_finite_are_refused(saved):
    encoder = load_encoder(saved[1], device="cpu")
    segments = np.zeros((2, 1, 256), dtype=np.float32)
    segments[1, 0, 3] = np.nan
    with pytest.raises(ContractError, match="1 of 2 segments"):
        encoder.embed_segments(segments)


def test_units_are_checked_where_they_are_given(saved, recording):
    encoder = load_encoder(saved[1], device="cpu")
    signal = recording(256)
    expected = encoder.embed(signal, rate=128, channels=["I"])
    found = encoder.embed(signal, rate=128, channels=["I"], units="millivolts")
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ContractError, match="in V and this encoder expects mV: pass it through"):
        encoder.embed(signal, rate=128, channels=["I"], units="V")


def test_a_contract_with_overlap_embeds_overlapping_segments(saved, recording):
    encoder = load_encoder(saved[1], device="cpu")
    signal = recording(600)
    contract = encoder.contract.model_copy(update={"overlap": 1.0})
    overlapping = medssl.Encoder(encoder.module, contract, digest="d", device="cpu")
    found = overlapping.embed(signal, rate=128, channels=["I"])
    expected = [
        encoder.embed(signal[:, start : start + 256], rate=128, channels=["I"])[0]
        for start in (0, 128, 256)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)
