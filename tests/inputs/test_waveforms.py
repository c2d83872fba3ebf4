"""Waveforms are z-scored in one place, before any view."""

import numpy as np
import pytest
import torch

from medssl.contracts import WaveformContract
from medssl.errors import ContractError
from medssl.inputs import make_inputs
from medssl.inputs.waveforms import WaveformInputs
from medssl.views import ViewsConfig
from medssl.views.normalise import zscore

CONTRACT = WaveformContract(modality="ppg", rate=32, channels=("ppg",), units="counts", length=64)


def test_segments_are_read_in_their_units_and_seen_normalised(ppg_store):
    made = make_inputs(CONTRACT)
    assert isinstance(made, WaveformInputs)
    rows = ppg_store.rows()[:5]
    raw = made.read(ppg_store, rows)
    assert raw.dtype == torch.float32
    assert (raw.numpy() == ppg_store.read(rows)).all()
    assert torch.equal(made.plain(raw), zscore(raw))
    views = ViewsConfig().build()
    assert torch.equal(made.viewed(raw, views, seed=4), views(zscore(raw), seed=4))
    assert made.usable(ppg_store, rows) is rows


def test_values_that_are_not_finite_are_told_by_record():
    made = make_inputs(CONTRACT)
    raw = torch.zeros(3, 1, 64)
    raw[1, 0, 5] = torch.nan
    raw[2, 0, 0] = torch.inf
    assert made.broken(raw).tolist() == [False, True, True]
    assert made.broken(["a", "b"]).tolist() == [False, False]


def test_what_is_given_is_cut_and_checked():
    made = make_inputs(CONTRACT)
    signal = np.arange(150, dtype=np.float32)[None]
    assert made.accept(signal, rate=32, channels=["ppg"]).shape == (2, 1, 64)
    with pytest.raises(ContractError, match="the signal has 64 Hz and this encoder expects 32 Hz"):
        made.accept(signal, rate=64, channels=["ppg"])
