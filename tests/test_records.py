import numpy as np
import pytest
from pydantic import ValidationError

from medssl.contracts import WaveformContract
from medssl.errors import ContractError
from medssl.filters import Filter
from medssl.ingest.waveforms.segment import cut
from medssl.records import Record
from medssl.types import Modality

CONTRACT = WaveformContract(
    modality="ppg", rate=64, channels=("red", "green"), units="counts", length=128
)


def record(**changes):
    values = {
        "participant": "p1", "session": "s1", "recording": "a", "modality": Modality.PPG,
        "data": np.arange(8, dtype=np.float32).reshape(1, 8), "source_digest": "d", "rate": 4.0,
        "channels": ("red",), "units": "counts",
    }  # fmt: skip
    return Record(**{**values, **changes})


GOOD = np.zeros((2, 128))
HIDDEN = np.ma.masked_array(GOOD, mask=np.eye(2, 128, dtype=bool))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rate": 125}, r"125 Hz .* expects 64 Hz: pass it through prepare\(signal, rate=125, "),
        ({"rate": None}, "not rate=None"),
        ({"rate": "fast"}, "number, not rate='fast'"),
        ({"rate": float("nan")}, "nan Hz"),
        ({"channels": ["green", "red"]}, "name them so, or pass it through prepare"),
        ({"channels": ["red"]}, r"channels are \['red'\]"),
        ({"channels": "red"}, r"channels are \['red'\]"),
        ({"units": "mV"}, "in mV and this encoder expects counts: pass it through prepare"),
        ({"array": np.zeros(128)}, r"reshape one recording to \(2, time\)"),
        ({"array": np.zeros((128, 2))}, r"reshape one recording to \(2, time\)"),
        ({"array": np.zeros((1, 2, 128))}, "a batch: give one recording"),
        ({"array": np.float64(3)}, "reshape one recording"),
        ({"array": GOOD[:, :127]}, "127 samples and one segment needs 128 .*longer recording"),
        ({"array": GOOD * np.nan}, "256 sample.* NaN or infinite: cut the recording"),
        ({"array": GOOD - np.inf}, "256 sample.* NaN or infinite"),
        ({"array": GOOD + 1e300}, "NaN or infinite"),
        ({"array": HIDDEN}, "masks some samples: cut the recording"),
        ({"array": [[1.0, 2.0], [3.0]]}, "one array of shape"),
        ({"array": GOOD.astype(str)}, "give real numbers"),
        ({"array": GOOD + 1j}, "complex128: give real numbers"),
        ({"array": GOOD.astype(object)}, "object: give real numbers"),
        ({"array": GOOD > 1}, "bool: give real numbers"),
        ({"array": None}, "object: give real numbers"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_the_remedy(changes, says):
    given = {"array": GOOD, "rate": 64, "channels": ["red", "green"]} | changes
    with pytest.raises(ContractError, match=says) as caught:
        CONTRACT.check(given.pop("array"), **given)
    assert "\n" not in str(caught.value)


def test_what_keeps_the_contract_passes():
    assert CONTRACT.check(np.zeros((2, 500)), rate=64.0, channels=["red", "green"]) is None
    assert CONTRACT.check(GOOD, rate=64, channels=("red", "green"), units="counts") is None
    plain = np.ma.masked_array(GOOD, mask=False)
    assert CONTRACT.check(plain, rate=64, channels=("red", "green")) is None


def test_segments_are_cut_as_at_ingest():
    signal = np.arange(2 * 500, dtype=float).reshape(2, 500)
    segments = CONTRACT.cut(signal)
    assert segments.shape == (3, 2, 128)
    assert segments.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate(segments, axis=1), signal[:, :384])
    overlapping = CONTRACT.model_copy(update={"overlap": 0.5})
    assert overlapping.step == 96
    expected = cut(signal, length=128, step=96).segments
    np.testing.assert_array_equal(overlapping.cut(signal), expected)


def test_a_contract_survives_being_written():
    full = CONTRACT.model_copy(update={"filter": Filter(low=0.5, notch=50), "overlap": 0.5})
    for contract in (CONTRACT, full):
        assert WaveformContract.model_validate_json(contract.model_dump_json()) == contract


def test_contracts_of_before_there_were_filters_are_read():
    values = CONTRACT.model_dump(mode="json", exclude={"filter", "overlap"})
    assert WaveformContract.model_validate({**values, "filter": "none"}) == CONTRACT
    with pytest.raises(ValidationError):
        WaveformContract.model_validate({**values, "filter": "band-pass"})


def test_a_filter_makes_another_record():
    assert record(filter=Filter(high=40).text).name != record().name


def test_names_tell_where_a_record_comes_from():
    assert record().name == record().name
    others = [
        record(participant="p2"), record(session="s2"), record(recording="b"), record(start=1.0),
        record(rate=8.0), record(source_digest="e"), record(channels=("ir",)),
    ]  # fmt: skip
    assert len({r.name for r in [record(), *others]}) == 8


def test_content_digests_ignore_the_owner_and_see_every_sample():
    assert record().content_digest == record(participant="p2", start=9.0).content_digest
    changed = record().data.copy()
    changed[0, 3] += 1
    assert record(data=changed).content_digest != record().content_digest
    assert record(data=record().data.reshape(2, 4)).content_digest != record().content_digest
