"""From raw files to the quality columns of a store: each with a planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from medssl.ingest import ingest
from medssl.store import Store
from medssl.store.schema import GRADES


def graded(config, folder):
    ingest(config, folder)
    store = Store.open(folder)
    columns = {name: store.column(column) for name, column in GRADES.items()}
    return columns | {"quality": store.column("quality"), "start": store.column("start")}


@pytest.mark.parametrize("filter", [None, {"low": 0.5, "high": 40}])
def test_flat_clipped_and_noisy_segments_are_told_before_filter_and_resampling(
    tmp_path, write_record, wfdb_config, make_heartbeat, filter
):
    signal = make_heartbeat(50)
    signal[2500:3750] = signal[2500]  # 10 to 15 s: half of the second segment
    signal[5000:7500] = np.minimum(signal[5000:7500], 0.01)  # 20 to 30 s: no peaks left
    signal[7500:10000] = np.random.default_rng(0).normal(size=2500)
    write_record(tmp_path / "raw", "p1_a", signal=signal[:, None])
    config = wfdb_config(
        tmp_path / "raw", segment_seconds=10, rate=100, quality=True, filter=filter
    )
    found = graded(config, tmp_path / "store")
    assert found["start"].tolist() == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(found["flat"], [0, 0.5, 0, 0, 0], atol=0.01)
    assert found["clipped"][2] > 0.1
    assert np.delete(found["clipped"], 2).max() < 0.01
    assert found["template"][[0, 4]].min() > 0.95
    assert found["template"][3] < 0.6
    assert found["kurtosis"][[0, 4]].min() > 6
    assert found["kurtosis"][3] == pytest.approx(3, abs=0.5)
    assert found["missing"].tolist() == [0] * 5
    assert found["quality"][[0, 4]].min() > found["quality"][2:4].max()


def test_interpolated_samples_are_counted_in_each_segment(tmp_path, text_config):
    times = np.arange(0, 12, 0.01)
    lost = (times > 4.995) & (times < 5.295) | (times > 9.795) & (times < 9.895)
    rows = [f"{t:.2f},{np.sin(7 * t):.6f}" for t in times[~lost]]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a_1.csv").write_text("\n".join(["time,finger", *rows]) + "\n")
    config = text_config(
        tmp_path / "raw", layout="columns", header=True, time_column="time", rate_in=None,
        participant={"pattern": r"(?P<participant>[^/_]+)_\d+"}, include="*.csv",
        segment_seconds=4, max_gap_seconds=0.5, quality=True,
    )  # fmt: skip
    found = graded(config, tmp_path / "store")
    # 30 samples of the second segment, 10 of the third, out of 400 each.
    np.testing.assert_allclose(found["missing"], [0, 0.075, 0.025], atol=0.006)


def test_grading_can_be_switched_off(tmp_path, write_record, wfdb_config):
    write_record(tmp_path / "raw", "p1_a")
    found = graded(wfdb_config(tmp_path / "raw", quality=False), tmp_path / "store")
    assert all(np.isnan(found[name]).all() for name in [*GRADES, "quality"])
