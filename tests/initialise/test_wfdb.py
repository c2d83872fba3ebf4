from __future__ import annotations

import pytest
import yaml

from medssl.errors import ConfigError

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def test_all_twelve_leads_are_taken(init, tmp_path, write_wfdb):
    for person in range(5):
        for visit in (1, 2):
            write_wfdb(tmp_path / "t" / f"subject{person}_{visit}", sig_name=LEADS)
    said = init(tmp_path / "t")
    assert "all leads of a standard 12-lead ECG" in said
    stages = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]
    assert stages["ingest"]["sources"][0]["channels"] == LEADS
    assert stages["pretrain"]["encoder"]["channels"] == 12
    assert "probe" not in stages
    assert "Age" not in said


def test_uncalibrated_recordings_are_not_given_a_unit(init, tmp_path, write_wfdb):
    for person in range(5):
        for visit in (1, 2):
            write_wfdb(tmp_path / "t" / f"subject{person}_{visit}")
    for header in (tmp_path / "t").glob("*.hea"):
        header.write_text(header.read_text().replace("1000.0(0)/mV", "0"))
    with pytest.raises(ConfigError, match="both a gain and a unit"):
        init(tmp_path / "t")


def test_units_that_cannot_be_converted_are_asked(init, tmp_path, write_wfdb):
    for person in range(5):
        for visit in (1, 2):
            unit = "mV" if person % 2 else "NU"
            write_wfdb(tmp_path / "t" / f"subject{person}_{visit}", units=[unit])
    with pytest.raises(ConfigError, match="cannot be converted") as caught:
        init(tmp_path / "t")
    assert "--set units=NU" in str(caught.value)


def test_a_date_makes_sessions(init, tmp_path, write_wfdb):
    for person in range(5):
        for visit in (1, 2):
            comments = [f"Date: {visit}.5.2001", "date of birth: 1.1.1960"]
            write_wfdb(tmp_path / "t" / f"subject{person}_{visit}", comments=comments)
    init(tmp_path / "t")
    source = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]["ingest"]["sources"][0]
    assert source["session"] == {"comment": "Date"}
    init(tmp_path / "t", "session=none", overwrite=True)
    source = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]["ingest"]["sources"][0]
    assert "session" not in source


def test_some_recordings_without_the_channel_are_left_aside(init, tmp_path, write_wfdb):
    for person in range(8):
        for visit in (1, 2):
            names = ["II", "V5"] if person < 6 else ["ABP"]
            write_wfdb(tmp_path / "t" / f"subject{person}_{visit}", sig_name=names)
    said = init(tmp_path / "t", "channels=II")
    assert "II (in 12 of 16, mV, 250 Hz, ecg)" in said
    assert "tried: 8 of 8 recordings read in full" in said
    with pytest.raises(ConfigError, match="no recording looked at has all of them"):
        init(tmp_path / "t", "channels=II,ABP", "modality=ecg", overwrite=True)


def test_folder_names_with_odd_characters(init, tmp_path, write_wfdb):
    folder = tmp_path / "my 'odd' #data (2)"
    for person in range(5):
        for visit in (1, 2):
            write_wfdb(folder / f"subject {person}" / f"r{visit}")
    init(folder)
    source = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]["ingest"]["sources"][0]
    assert source["path"] == str(folder)
    assert source["name"] == "my_odd_data_2"
    with pytest.raises(ConfigError, match="a colon in the path: rename it"):
        init(folder.rename(tmp_path / "10:30"), overwrite=True)
