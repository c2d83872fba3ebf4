from __future__ import annotations

import numpy as np
import pytest
import wfdb

import medssl
from medssl.config import validate
from medssl.contracts import WaveformContract
from medssl.errors import ContractError
from medssl.filters import Filter
from medssl.ingest import IngestConfig, ingest
from medssl.inputs.prepare_waveform import prepare
from medssl.samples import sample_path
from medssl.store import Store

CONTRACT = WaveformContract(
    modality="ecg", rate=128, channels=("II", "I"), units="mV", length=256,
    filter=Filter(low=0.5, high=40),
)  # fmt: skip


def shipped_recording():
    """Names, samples and rate of one shipped recording, as the wfdb package gives them."""
    (path,) = sorted(sample_path("ecg_id").rglob("Person_05/rec_1.hea"))
    raw = wfdb.rdrecord(str(path.with_suffix("")))
    return raw.sig_name, raw.p_signal.T, raw.fs


@pytest.mark.parametrize("filter", [None, {"low": 0.5, "high": 40, "notch": 50}])
@pytest.mark.parametrize("overlap", [0, 2])
def test_it_gives_what_ingest_stored(tmp_path, bundle, filter, overlap):
    source = {
        "name": "ecg_id", "format": "wfdb", "path": "sample:ecg_id", "modality": "ecg",
        "rate": 128, "segment_seconds": 5, "overlap_seconds": overlap, "filter": filter,
        "units": "mV", "channels": [{"source": "ECG I", "name": "I"}],
        "include": "Person_05/rec_1.hea", "participant": {"from_parent": True},
    }  # fmt: skip
    config = validate(IngestConfig, {"quality": False, "sources": [source]}, where="ingest")
    ingest(config, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    contract = store.contract("ecg")
    names, signal, rate = shipped_recording()
    channels = ["I" if name == "ECG I" else name for name in names]
    loaded = medssl.load_encoder(bundle, device="cpu")
    encoder = medssl.Encoder(loaded.module, contract, digest="d", device="cpu")
    prepared = encoder.prepare(signal / 1000, rate=rate, channels=channels, units="V")
    stored = store.read(store.rows()).copy()
    np.testing.assert_allclose(contract.cut(prepared), stored, rtol=1e-6, atol=1e-6)
    exact = encoder.prepare(signal, rate=rate, channels=channels, units="mV")
    np.testing.assert_array_equal(contract.cut(exact), stored)
    embeddings = encoder.embed(exact, rate=128, channels=["I"], units="mV")
    np.testing.assert_array_equal(embeddings, encoder.embed_segments(stored))


def raw(samples=2_000, channels=3):
    return np.random.default_rng(0).normal(size=(channels, samples))


def test_channels_are_selected_by_name_and_put_in_order():
    signal = raw()
    found = prepare(CONTRACT, signal, rate=500, channels=["I", "V1", "II"], units="mV")
    swapped = prepare(CONTRACT, signal[[2, 0]], rate=500, channels=["II", "I"], units="mV")
    np.testing.assert_array_equal(found, swapped)
    assert found.shape == (2, 512)
    assert found.dtype == np.float32


@pytest.mark.parametrize(("units", "factor"), [("V", 1e-3), ("uV", 1e3), ("µv", 1e3), ("nV", 1e6)])
def test_volts_are_converted(units, factor):
    given = {"rate": 500, "channels": ["II", "I"]}
    expected = prepare(CONTRACT, raw(channels=2), units="mV", **given)
    found = prepare(CONTRACT, raw(channels=2) * factor, units=units, **given)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_gaps_in_channels_that_are_not_wanted_do_no_harm():
    signal = raw()
    given = {"rate": 500, "channels": ["I", "V1", "II"], "units": "mV"}
    expected = prepare(CONTRACT, signal, **given)
    signal[1] = np.nan
    np.testing.assert_array_equal(prepare(CONTRACT, signal, **given), expected)


def test_a_unit_that_medssl_does_not_know_must_be_the_same():
    contract = CONTRACT.model_copy(update={"units": "furlongs"})
    given = {"rate": 500, "channels": ["II", "I"]}
    assert prepare(contract, raw(channels=2), units="furlongs", **given).shape == (2, 512)
    with pytest.raises(ContractError, match="mV cannot be turned into furlongs exactly"):
        prepare(contract, raw(channels=2), units="mV", **given)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"channels": ["I", "V1", "V2"]}, "no channel is called 'II' among .* name the"),
        ({"channels": ["I", "II", "II"]}, "several channels are called 'II'"),
        ({"channels": ["I", "II"]}, r"2 channel\(s\) are named: reshape"),
        ({"units": "mmHg"}, "mmHg cannot be turned into mV exactly: give the recording in mV"),
        ({"units": "counts"}, "counts cannot be turned into mV exactly"),
        ({"rate": 0}, "the rate is 0 Hz"),
        ({"rate": float("inf")}, "the rate is inf Hz"),
        ({"rate": "500 Hz"}, "give the rate in Hz as a number"),
        ({"rate": 60}, "the filter reaches 40 Hz: this encoder cannot take recordings of 60 Hz"),
        ({"rate": 99.99999}, "cannot become 128 Hz exactly"),
        ({"signal": raw() * np.nan}, "NaN or infinite: cut the recording at the gaps"),
        ({"signal": raw() + np.inf}, "NaN or infinite"),
        ({"signal": raw()[None]}, "a batch: give one recording"),
        ({"signal": raw()[0]}, "reshape one recording"),
        ({"signal": raw() * 1j}, "give real numbers"),
        ({"signal": raw().astype(object)}, "give real numbers"),
        ({"signal": np.ma.masked_less(raw(), 0)}, "masks some samples"),
        ({"signal": [[1.0], [1.0, 2.0], []]}, "one array of shape"),
    ],
)
def test_what_cannot_be_brought_to_the_contract_is_refused(changes, says):
    given = {"signal": raw(), "rate": 500, "channels": ["I", "V1", "II"], "units": "mV"} | changes
    with pytest.raises(ContractError, match=says) as caught:
        prepare(CONTRACT, given.pop("signal"), **given)
    assert "\n" not in str(caught.value)


def test_a_short_recording_is_refused_when_it_is_embedded():
    prepared = prepare(CONTRACT, raw(900), rate=500, channels=["I", "V1", "II"], units="mV")
    with pytest.raises(ContractError, match="one segment needs 256"):
        CONTRACT.check(prepared, rate=128, channels=["II", "I"])
