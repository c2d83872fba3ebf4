import numpy as np
import pytest

from medssl.errors import ContractError
from medssl.records import Contract, Record
from medssl.types import Modality

CONTRACT = Contract(modality="ppg", rate=64, channels=("red", "green"), units="counts", length=128)


def record(**changes):
    values = {
        "participant": "p1", "session": "s1", "recording": "a", "modality": Modality.PPG,
        "data": np.arange(8, dtype=np.float32).reshape(1, 8), "source_digest": "d", "rate": 4.0,
        "channels": ("red",), "units": "counts",
    }  # fmt: skip
    return Record(**{**values, **changes})


@pytest.mark.parametrize(
    ("array", "rate", "channels", "says"),
    [
        (np.zeros((2, 128)), 125, ["red", "green"], r"from_rate=125, to_rate=64"),
        (np.zeros((2, 128)), 64, ["green", "red"], "select, order and name"),
        (np.zeros((2, 128)), 64, ["red"], "select, order and name"),
        (np.zeros(128), 64, ["red", "green"], r"expects \(2, time\)"),
        (np.zeros((128, 2)), 64, ["red", "green"], r"expects \(2, time\)"),
        (np.zeros((2, 127)), 64, ["red", "green"], "127 samples and one segment needs 128"),
        (np.full((2, 128), np.nan), 64, ["red", "green"], "256 sample.* NaN or infinite"),
        (np.full((2, 128), 1e300), 64, ["red", "green"], "NaN or infinite"),
        (np.ma.masked_array(np.zeros((2, 128)), mask=True), 64, ["red", "green"], "masks some"),
        ([[1.0, 2.0], [3.0]], 64, ["red", "green"], "one array of shape"),
        (np.zeros((2, 128)), None, ["red", "green"], "rate=None"),
        (np.full((2, 128), "x"), 64, ["red", "green"], "real numbers"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_the_remedy(array, rate, channels, says):
    with pytest.raises(ContractError, match=says) as caught:
        CONTRACT.check(array, rate=rate, channels=channels)
    assert "\n" not in str(caught.value)


def test_what_keeps_the_contract_passes():
    assert CONTRACT.check(np.zeros((2, 500)), rate=64.0, channels=["red", "green"]) is None


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
