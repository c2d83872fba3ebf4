from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from medssl.errors import ConfigError
from medssl.initialise.answers import Answers, Question, flag, parse_answers, refuse_to_guess


def test_values_are_read():
    answers = parse_answers(
        ["modality=resp", "rate_in=62.5", "units=MV", "channels=II, V5,II", "participant=file"]
    )
    assert answers.modality == "respiration"
    assert answers.rate_in == 62.5
    assert answers.units == "mV"
    assert answers.channels == ("II", "V5")
    assert len(answers.given) == 5


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("chanels=II", "did you mean channels"),
        ("modality=egc", "did you mean ecg"),
        ("units=bananas", "unknown unit"),
        ("rate_in=fast", "positive number"),
        ("rate_in=-1", "positive number"),
        ("rate_in=nan", "positive number"),
        ("time_unit=sec", "known: s, ms, us, ns, datetime"),
        ("participant=foldr", "did you mean folder"),
        ("participant=pattern:(", "not a regular expression"),
        (r"participant=pattern:(\d+)", r"needs a group \(\?P<participant>"),
        (r"session=pattern:(?P<participant>\d+)", r"needs a group \(\?P<session>"),
        ("participant=table:a.csv", "COLUMN_OF_FILES"),
        ("rate_in", "give KEY=VALUE"),
        ("rate_in=", "give KEY=VALUE"),
        ("channels=,", "at least one"),
        ("format=nifti", "known: wfdb, edf, matlab, parquet, text, image, dicom, report"),
        ("colour=grey", "known: refuse, convert"),
        ("edge=8", "from 16 to 4096"),
        ("edge=big", "from 16 to 4096"),
        ("study=foldr", "did you mean folder"),
        (r"study=pattern:(\d+)", r"needs a group \(\?P<study>"),
        ("view=oblique", "give a view"),
        (r"view=pattern:(\d+)", r"needs a group \(\?P<view>"),
    ],
)
def test_what_cannot_be_is_refused(item, words):
    with pytest.raises(ConfigError, match=words):
        parse_answers([item])


def test_all_problems_are_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_answers(["units=x", "rate=3", "modality=ecg", "modality=ppg"])
    assert str(caught.value).startswith("3 problems")
    assert "twice" in str(caught.value)
    with pytest.raises(ConfigError, match="both tell the rate"):
        parse_answers(["rate_in=3", "time_column=t"])
    with pytest.raises(ConfigError, match="rate_in and time_unit both"):
        parse_answers(["rate_in=3", "time_unit=ms"])


def test_a_question_gives_flags_that_a_shell_passes_on():
    value = r"pattern:(?P<participant>\d+)_'x"
    question = Question("participant", "who?", ((value, "3 participants"), ("file", "")))
    error = refuse_to_guess(Path("my data"), Answers(given=("channels=ECG I",)), [question], ["a"])
    text = str(error)
    shown = next(line for line in text.splitlines() if "3 participants" in line)
    assert shlex.split(shown)[:2] == ["--set", f"participant={value}"]
    command = shlex.split(text.splitlines()[-1].removeprefix("as in: "))
    assert command[:5] == ["medssl", "init", "my data", "--set", "channels=ECG I"]
    assert command[5:] == ["--set", f"participant={value}"]
    assert flag("a=b c") == "--set a='b c'"
    asked_again = Answers(given=("channels=ECG I", "participant=folder"))
    assert str(refuse_to_guess(Path("my data"), asked_again, [question], ["a"])) == text
