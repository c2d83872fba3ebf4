"""Participants of recordings that share a file: told by a column or path of it, or asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medssl.errors import ConfigError
from medssl.initialise.answers import COMMENT, FILE, PATTERN, Question
from medssl.initialise.facts import Facts
from medssl.initialise.participants import Candidate, Spelling, Told
from medssl.initialise.tables import names_people

_SHOWN = 4


def tell_members(facts: Facts, answer: str | None) -> Told:
    """Find the column or path whose values are participants.

    It convinces when its name says that it holds people and it makes groups of recordings.

    Args:
        facts: Recordings of which several share a file.
        answer: What was answered, if anything.

    Raises:
        ConfigError: The answer tells no participant.
    """
    if answer is not None:
        return Told(
            _answered(facts, answer), "as answered", given=True, per_recording=answer == FILE
        )
    names = dict.fromkeys(name for one in facts.comments for name in one)
    candidates = [_by_comment(facts, name) for name in names]
    grouped = [one for one in candidates if 1 < len(one.rule.counts) < len(facts.paths)]
    named = [one for one in grouped if one.named and all(one.rule.told)]
    if len(named) == 1:
        return Told(named[0], "its name says so")
    return Told(None, question=_question(facts, candidates), others=grouped)


def _by_comment(facts: Facts, name: str) -> Candidate:
    told = tuple(one.get(name) for one in facts.comments)
    person = names_people(name.split("/")[-1])
    return Candidate([Spelling(COMMENT + name, {"comment": name}, told)], named=person)


def _answered(facts: Facts, answer: str) -> Candidate:
    told: Sequence[str | None]
    if answer == FILE:
        return Candidate([Spelling(FILE, {"each_recording": True}, facts.paths)], named=False)
    if answer.startswith(COMMENT):
        one = _by_comment(facts, answer.removeprefix(COMMENT))
    elif answer.startswith(PATTERN):
        pattern = answer.removeprefix(PATTERN)
        matches = [re.search(pattern, path) for path in facts.paths]
        told = tuple(match.group("participant") if match else None for match in matches)
        one = Candidate([Spelling(answer, {"pattern": pattern}, told)], named=False)
    else:
        msg = (
            f"--set participant={answer}: several recordings share a file; give comment:NAME "
            "(a column or path of the file), pattern:… or file (each recording another person)"
        )
        raise ConfigError(msg)
    if not one.rule.counts:
        msg = (
            f"--set participant={answer}: it tells no participant of {len(facts.paths)} recordings"
        )
        raise ConfigError(msg)
    return one


def _question(facts: Facts, candidates: Sequence[Candidate]) -> Question:
    # A value of each recording's own is a measurement more often than a person.
    likely = [one for one in candidates if one.named or 1 < len(one.rule.counts) < len(facts.paths)]
    likely.sort(key=lambda one: (not one.named, -len(one.rule.counts)))
    options = [(one.rule.answer, one.describe()) for one in likely[:_SHOWN]]
    options.append((FILE, f"each of {len(facts.paths):,} recordings is another participant's: "
                    "right only when nobody was recorded twice"))  # fmt: skip
    text = "nothing tells beyond doubt whose a recording is; a wrong rule makes splits leak"
    return Question("participant", text, tuple(options))
