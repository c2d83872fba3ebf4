from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from medssl.ingest.deidentify import (
    links_table,
    pseudonym,
    recording_pseudonym,
    session_pseudonym,
)
from medssl.store.schema import LINKS_SCHEMA


@given(original=st.text(), source=st.text(), key=st.text(min_size=1))
def test_a_pseudonym_has_one_form_and_is_repeatable(original, source, key):
    found = pseudonym(original, source=source, key=key)
    assert re.fullmatch(r"p[0-9a-f]{12}", found)
    assert found == pseudonym(original, source=source, key=key)


def test_source_and_key_change_the_pseudonym():
    found = {
        pseudonym("1", source=source, key=key) for source in ("a", "b") for key in ("k", "l")
    } | {pseudonym("2", source="a", key="k")}
    assert len(found) == 5


def test_parts_are_not_run_together():
    assert pseudonym("bc", source="a", key="k") != pseudonym("c", source="ab", key="k")


def test_sessions_and_recordings_differ_from_participants():
    person = pseudonym("x", source="a", key="k")
    session = session_pseudonym("x", participant=person, key="k")
    recording = recording_pseudonym("x", source="a", key="k")
    assert re.fullmatch(r"s[0-9a-f]{12}", session)
    assert re.fullmatch(r"f[0-9a-f]{12}", recording)
    assert len({person[1:], session[1:], recording[1:]}) == 3
    other = pseudonym("y", source="a", key="k")
    assert session != session_pseudonym("x", participant=other, key="k")


def test_links_lead_back():
    person = pseudonym("x", source="a", key="k")
    table = links_table({person: ("a", "x")})
    assert table.schema == LINKS_SCHEMA
    assert table.to_pylist() == [{"participant": person, "source": "a", "original": "x"}]
