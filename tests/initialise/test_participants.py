from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medssl.errors import ConfigError
from medssl.ingest.rules import ParticipantRule
from medssl.initialise.name_parts import pattern_around, split_names
from medssl.initialise.participants import tell_participants
from medssl.initialise.tables import Table


def table(rows, path="t.csv", header_row=1):
    return Table(path, header_row, tuple(rows), "a table")


def grid(template, people, visits):
    return [template.format(p=p, v=v) for p in people for v in visits]


@pytest.mark.parametrize(
    ("paths", "participants"),
    [
        (grid("Person_{p:02d}/rec_{v}.hea", range(9), (1, 2)), 9),
        (grid("subjects/{p}/{v}.csv", range(100, 107), (1, 2, 3)), 7),
        (grid("sub-{p:03d}/ses-{v}/sub-{p:03d}_ses-{v}_ecg.csv", range(8), (1, 2)), 8),
        (grid("data/patient{p:04d}_s{v}.csv", range(8), (1, 2)), 8),
        (grid("sub-{p:02d}_run-{v}_ppg.txt", range(6), (1, 2)), 6),
    ],
)
def test_names_that_say_person_convince(paths, participants):
    told = tell_participants(paths, [], None)
    assert told.question is None
    assert len(told.chosen.rule.counts) == participants
    ParticipantRule(**told.chosen.rule.config)  # what ingest will accept


@pytest.mark.parametrize(
    "paths",
    [
        # Sites, splits and classes are folders, too.
        grid("hospital_{p}/{v}.hea", "ABC", range(9)),
        ["train/1.csv", "train/2.csv", "test/3.csv", "test/4.csv"],
        grid("{p}_{v}.txt", range(1, 9), (1, 2)),
        grid("s{p}r{v}.csv", range(1, 9), (1, 2)),
        # One recording each: nobody says that people come only once.
        [f"subject_{p}/ppg.csv" for p in range(9)],
        [f"A{p:05d}.hea" for p in range(9)],
        ["anna.csv", "b7.csv", "c-1.csv"],
        # Two rules that both say person, and disagree.
        grid("patient_{p}/subject_{v}_1.csv", range(4), range(4)),
    ],
)
def test_everything_else_is_asked(paths):
    told = tell_participants(paths, [], None)
    assert told.chosen is None
    assert told.question.key == "participant"
    assert "file" in [value for value, _ in told.question.options]


def test_options_rank_and_count():
    told = tell_participants(grid("{p}_{v}.txt", range(10, 30), (1, 2, 3)), [], None)
    values = dict(told.question.options)
    first = next(iter(values))
    assert first.startswith("pattern:")
    assert r"(?P<participant>\d+)_\d+" in first
    assert values[first] == "20 participants with 3 recordings each"
    assert "60 recordings" in values["file"]
    given_back = tell_participants(grid("{p}_{v}.txt", range(10, 30), (1, 2, 3)), [], first)
    assert len(given_back.chosen.rule.counts) == 20


def test_a_table_convinces_and_decides_the_spelling():
    paths = grid("a/{p:03d}_{v}.txt", range(1, 21), (1, 2))
    people = table([{"ID": str(p), "Age": "30"} for p in range(1, 25)])
    told = tell_participants(paths, [people], None)
    assert told.why == "a table lists them"
    assert set(told.chosen.rule.counts) == {str(p) for p in range(1, 21)}
    assert told.chosen.match.column == "ID"


def test_a_row_number_is_no_participant():
    # Recordings 1 to 3 of everyone are row numbers of the table, too.
    paths = grid("{p}_{v}.txt", range(40, 60), (1, 2, 3))
    people = table([{"row": str(k), "person": str(p)} for k, p in enumerate(range(40, 60), 1)])
    told = tell_participants(paths, [people], None)
    assert told.chosen.match.column == "person"
    assert len(told.chosen.rule.counts) == 20


def test_a_table_of_another_cohort_does_not_convince():
    paths = grid("{p}_{v}.txt", range(1, 9), (1, 2))
    people = table([{"ID": str(p)} for p in range(1, 900)])
    assert tell_participants(paths, [people], None).chosen is None


def test_a_table_of_files_with_a_column_of_people():
    paths = [f"records/{k:05d}_lr.hea" for k in range(12)]
    rows = [
        {"file": f"records/{k:05d}_lr", "patient_id": str(900 + k // 3), "age": "50"}
        for k in range(12)
    ]
    told = tell_participants(paths, [table(rows, header_row=2)], None)
    assert told.chosen.rule.config == {
        "table": "t.csv", "file": "file", "column": "patient_id", "header_row": 2,
    }  # fmt: skip
    assert set(told.chosen.rule.counts.values()) == {3}
    for row in rows:
        row["who"] = row.pop("patient_id")
    assert tell_participants(paths, [table(rows)], None).chosen is None


def test_one_recording_each_takes_the_name_that_a_table_holds():
    paths = [f"bidmc_{k:02d}_Signals.csv" for k in range(1, 10)]
    told = tell_participants(paths, [table([{"id": str(k)} for k in range(1, 10)])], "file")
    assert told.per_recording
    assert set(told.chosen.rule.counts) == {str(k) for k in range(1, 10)}
    plain = tell_participants(paths, [], "file")
    assert set(plain.chosen.rule.counts) == {f"bidmc_{k:02d}_Signals" for k in range(1, 10)}


def test_equal_names_in_two_folders_are_two_participants():
    told = tell_participants(["a/1.csv", "b/1.csv", "b/2.csv"], [], "file")
    assert len(told.chosen.rule.counts) == 3


@pytest.mark.parametrize(
    "answer", ["folder", r"pattern:x(?P<participant>\d+)", "table:none.csv,a,b"]
)
def test_an_answer_that_tells_nobody_is_refused(answer):
    with pytest.raises(ConfigError, match="--set participant="):
        tell_participants(["1.csv", "2.csv"], [], answer)


names = st.text(st.sampled_from("ab1_-"), min_size=1, max_size=8)


@given(st.lists(names, min_size=2, max_size=12, unique=True))
def test_patterns_find_the_part_they_were_made_of(listed):
    parts = split_names(listed)
    for place, part in enumerate(parts):
        if not part.varies:
            continue
        pattern = re.compile(pattern_around(parts, place, "participant"))
        for name, value in zip(listed, part.values, strict=True):
            if value is not None:
                assert pattern.fullmatch(name).group("participant") == value


def test_constant_letters_are_cut_from_numbers():
    parts = split_names([f"s{p}r{v}" for p, v in itertools.product((1, 22), (3, 4))])
    assert [part.expression for part in parts] == ["s", r"\d+", "r", r"\d+"]
    assert split_names(["ab_1", "cd2", "e-f-3"]) == []
