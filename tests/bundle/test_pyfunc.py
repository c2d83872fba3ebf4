import numpy as np
import pytest

from medssl.bundle import load_encoder
from medssl.bundle.pyfunc import _load_pyfunc
from medssl.errors import ContractError


def test_segments_are_embedded_whatever_their_numbers_are(bundle, recording):
    model = _load_pyfunc(str(bundle))
    segments = recording(512).reshape(2, 1, 256)
    expected = load_encoder(bundle, device="cpu").embed_segments(segments)
    for given in (segments, segments.astype(np.float64), segments.tolist()):
        np.testing.assert_array_equal(model.predict(given), expected)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros((2, 1, 255)), r"has shape \(2, 1, 255\), not \(n, 1, 256\)"),
        (np.zeros((1, 256)), "has shape"),
        (np.full((1, 1, 256), np.nan), "NaN"),
        (np.full((1, 1, 256), 1e300), "NaN or infinite"),
        ([["a"]], "give one array"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_breaks_the_contract_is_refused(bundle, given, says):
    with pytest.raises(ContractError, match=says):
        _load_pyfunc(str(bundle)).predict(given)
