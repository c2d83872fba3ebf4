from __future__ import annotations

import itertools

from medssl.initialise.radiographs.keys import (
    Key,
    file_key,
    joins,
    parent_key,
    path_keys,
    pattern_key,
)


def column(*told: str | None) -> Key:
    return Key("column", ("c",), told)


def test_paths_are_cut_into_folders_parts_and_runs_of_parts():
    paths = [f"x/{home}/P{person}_v{visit}.png" for home, person, visit in
             itertools.product(("a", "b"), ("01", "02"), "12")]  # fmt: skip
    found = {key.told for key in path_keys(paths)}
    assert tuple("aaaabbbb") in found
    assert ("01", "01", "02", "02") * 2 in found
    assert ("1", "1", "2", "2") * 2 in found  # without leading zeros
    assert ("P01_v1", "P01_v2", "P02_v1", "P02_v2") * 2 in found
    assert not any(len(set(told)) == 1 for told in found)


def test_a_key_becomes_the_rule_it_says():
    paths = ["a/7_x.png", "b/8_x.png"]
    key = pattern_key(paths, r"(?:^|/)(?P<key>\d+)_")
    assert key.told == ("7", "8")
    assert key.config("study") == {"pattern": r"(?:^|/)(?P<study>\d+)_"}
    assert key.answer("participant") == r"pattern:(?:^|/)(?P<participant>\d+)_"
    assert parent_key(paths).config("study") == {"from_parent": True}
    assert parent_key(paths).told == ("a", "b")
    assert file_key(paths).config("study") == {"each_recording": True}
    assert file_key(paths).told == ("a/7_x", "b/8_x")
    assert column("1", "2").answer("study") == "column:c"


def test_a_study_has_one_report():
    people = column(*"112233445566")
    studies = column(*"abcdefghijkl")
    reports = [people, studies]
    alone = joins([people, studies], reports, one=True)
    assert [join.report for join in alone] == [studies]
    assert (alone[0].images, alone[0].reports) == (1, 1)
    # Rows of a table may be joined; of equal fits the one with most names comes first.
    both = joins([people, studies], reports, one=False)
    assert [join.report for join in both] == [studies, people]


def test_few_or_rare_names_in_common_join_nothing():
    images = column(*"abcdefghij")
    assert not joins([images], [column(*"abcklmnopq")], one=True)
    assert joins([images], [column(*"abcdlmnopq")], one=True)
    many = column(*map(str, range(1000)))
    assert not joins([column("1", "2", "3", "4", *"abcdefgh")], [many], one=True)


def test_missing_names_count_against_a_key():
    key = column("a", None, "b", "")
    assert key.values == {"a", "b"}
    assert key.covers == 0.5
    assert column("x", "y", "x").grouping == column("1", "2", "1").grouping
