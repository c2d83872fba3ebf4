"""Einthoven's laws on real leads, and on the same leads swapped, misnamed and scaled apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from medssl.ingest import ingest
from medssl.ingest.leads import (
    LAWS,
    law_errors,
    limb_leads,
    require_consistent_leads,
    require_plausible_units,
)
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import TextSource
from medssl.ingest.waveforms.readers import open_recording
from medssl.ingest.waveforms.recording import Recording

DATA = Path(__file__).parents[1] / "data" / "recordings"
NAMES = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


@pytest.fixture(scope="module")
def leads():
    """Twelve real leads: millivolts of E07500, 500 Hz."""
    record = wfdb.rdrecord(str(DATA / "cinc2021_sample" / "E07500"))
    assert record.sig_name == NAMES
    return np.asarray(record.p_signal)


@pytest.fixture
def outcome(tmp_path, write_record, wfdb_config):
    """Verdict on a recording with the given leads, or None."""

    def build(signal, names=NAMES, **changes):
        path = write_record(
            tmp_path / "raw", "a_1", signal=signal, fs=500, sig_name=list(names),
            units=["mV"] * len(names), fmt=["16"] * len(names),
            adc_gain=[1000.0] * len(names), baseline=[0] * len(names),
        )  # fmt: skip
        options = {"channels": [names[0]]} | changes
        (source,) = wfdb_config(tmp_path / "raw", **options).sources
        recording = open_recording(path, source, folder=path.parent)
        try:
            require_consistent_leads(recording, path, source, folder=path.parent)
        except Unreadable as verdict:
            return verdict.reason, verdict.detail
        return None

    return build


def test_real_leads_keep_the_laws(leads):
    errors = law_errors(np.diff(leads[:5000:5].T), limb_leads(NAMES))
    assert set(errors) == set(LAWS)
    assert max(errors.values()) < 0.1


def test_errors_against_a_loop(leads):
    """An independent slow reference for each of the four laws."""
    rows = dict(zip(NAMES, np.diff(leads.T[:, ::5]), strict=True))
    one, two, three = rows["I"], rows["II"], rows["III"]
    expected = {
        "I + III = II": (one + three - two, [one, two, three]),
        "aVR = -(I + II)/2": (rows["aVR"] + (one + two) / 2, [rows["aVR"], one / 2, two / 2]),
        "aVL = (I - III)/2": (rows["aVL"] - (one - three) / 2, [rows["aVL"], one / 2, three / 2]),
        "aVF = (II + III)/2": (rows["aVF"] - (two + three) / 2, [rows["aVF"], two / 2, three / 2]),
    }
    found = law_errors(np.diff(leads.T[:, ::5]), limb_leads(NAMES))
    for law, (rest, terms) in expected.items():
        assert found[law] == pytest.approx(
            rest.std() / max(np.std(term) for term in terms), rel=0.01
        )


@pytest.mark.parametrize(
    "pair", [("I", "II"), ("I", "III"), ("II", "III"), ("aVR", "aVL"), ("aVL", "aVF"), ("I", "V1")]
)
def test_swapped_columns_are_found_with_the_law_and_the_error(leads, outcome, pair):
    places = list(range(12))
    first, second = map(NAMES.index, pair)
    places[first], places[second] = second, first
    reason, detail = outcome(leads[:, places], channels=NAMES)
    assert reason is Reason.INCONSISTENT_LEADS
    assert "does not hold: relative error" in detail


@pytest.mark.parametrize("change", [("I", -1.0), ("III", 2.0), ("II", 0.0)])
def test_an_inverted_or_scaled_lead_is_found_and_a_flat_one_is_left_to_the_grade(
    leads, outcome, change
):
    lead, factor = change
    signal = leads * np.where(np.array(NAMES) == lead, factor, 1.0)
    found = outcome(signal)
    assert found is None if factor == 0 else found[0] is Reason.INCONSISTENT_LEADS


def test_the_leads_of_the_file_are_looked_at_and_not_only_those_that_are_taken(leads, outcome):
    swapped = leads[:, [1, 0, 2]]
    names = ["i", "ii", "iii"]
    found = outcome(swapped, names, channels=[{"source": "i", "name": "lead"}])
    assert found is not None
    assert found[0] is Reason.INCONSISTENT_LEADS


def test_nothing_is_tested_where_the_laws_say_nothing(leads, outcome):
    assert outcome(leads[:, [1, 0]], ["I", "II"]) is None
    assert outcome(leads[:, [6, 7, 8]], ["I", "V2", "V3"]) is None


def test_the_check_can_be_left_out(leads, outcome):
    assert outcome(leads[:, [1, 0, 2]], NAMES[:3], check_leads=False) is None


def test_exchanged_arm_electrodes_keep_the_laws(leads):
    """Left arm on the right one: I is inverted, II and III change places, aVR and aVL too."""
    one, two, three, avr, avl, avf = leads[:, :6].T
    exchanged = np.stack([-one, three, two, avl, avr, avf])
    assert max(law_errors(np.diff(exchanged[:, ::5]), limb_leads(NAMES[:6])).values()) < 0.1


def test_missing_samples_and_drift_do_not_matter(leads, outcome):
    drift = leads + np.linspace(0, 1, len(leads))[:, None] * np.arange(12)
    drift[1000:1500] = np.nan
    assert outcome(drift) is None


def test_the_ledger_holds_both_files_and_other_recordings_are_stored(
    tmp_path, outcome, leads, write_record, wfdb_config
):
    outcome(leads[:, [1, 0, 2]], NAMES[:3])
    write_record(tmp_path / "raw", "b_1", seconds=10)
    report = ingest(wfdb_config(tmp_path / "raw"), tmp_path / "store")
    assert report.ledger == {"inconsistent_leads": 2}
    assert report.records == 5
    kept = ingest(wfdb_config(tmp_path / "raw", check_leads=False), tmp_path / "other")
    assert kept.ledger == {}


def units_verdict(signal, units, **changes):
    """Verdict on samples of lead I that are declared to be in some unit, or None."""
    source = TextSource.model_validate(
        {
            "name": "a", "format": "text", "path": ".", "modality": "ecg", "rate": 500,
            "rate_in": 500, "units": units, "channels": ["I"], "segment_seconds": 5,
            "participant": {"each_recording": True},
        }
        | changes
    )  # fmt: skip
    recording = Recording.of(signal, rate=500.0, channels=["I"], units=units)
    try:
        require_plausible_units(recording, source)
    except Unreadable as verdict:
        return verdict.reason, verdict.detail
    return None


@pytest.mark.parametrize("units", ["V", "uV", "nV"])
def test_millivolts_in_another_unit_are_refused(leads, units):
    lead = leads.T[:1]
    change = np.percentile(np.abs(lead[0, 5:] - lead[0, :-5]), 98)
    told = change * {"V": 1e3, "uV": 1e-3, "nV": 1e-6}[units]
    reason, detail = units_verdict(lead, units)
    assert reason is Reason.IMPLAUSIBLE_UNITS
    assert detail.startswith(f"changes by {told:.2g} mV in 10 ms")
    assert units_verdict(lead, "mV") is None


def test_the_check_of_units_does_not_reach_further(leads):
    lead = leads.T[:1]
    assert units_verdict(lead, "counts") is None
    assert units_verdict(lead, "V", check_leads=False) is None
    assert units_verdict(lead, "V", modality="ppg") is None
    assert units_verdict(np.zeros((1, 5000)), "mV") is None  # flat: graded, not refused
    assert units_verdict(np.full((1, 5000), np.nan), "mV") is None
    assert units_verdict(lead + 250 * np.sin(np.arange(5000) / 1000), "mV") is None  # it drifts
