from __future__ import annotations

import numpy as np
import pytest

from medssl.evaluation.models.decomposition import thin_svd


@pytest.mark.parametrize("shape", [(30, 200), (30, 30), (200, 30), (1, 5)])
def test_it_is_the_decomposition_of_numpy(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    u, s, vt = thin_svd(x)
    np.testing.assert_allclose(s, np.linalg.svd(x, compute_uv=False), rtol=1e-10)
    np.testing.assert_allclose(u * s @ vt, x, atol=1e-10)
    np.testing.assert_allclose(u.T @ u, np.eye(len(s)), atol=1e-10)
    np.testing.assert_allclose(vt @ vt.T, np.eye(len(s)), atol=1e-10)


def test_directions_that_rows_do_not_span_are_left_out() -> None:
    """Centred rows, of which two are equal: rank n − 2."""
    x = np.random.default_rng(0).normal(size=(20, 300))
    x[1] = x[0]
    x -= x.mean(axis=0)
    u, s, vt = thin_svd(x)
    assert (u.shape, s.shape, vt.shape) == ((20, 18), (18,), (18, 300))
    np.testing.assert_allclose(u * s @ vt, x, atol=1e-9)
    assert len(thin_svd(np.zeros((3, 10)))[1]) == 0
