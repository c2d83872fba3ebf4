"""Which visit or occasion a recording belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from medssl.errors import ConfigError
from medssl.initialise.answers import COMMENT, FOLDER, NONE, PATTERN
from medssl.initialise.facts import Facts
from medssl.initialise.name_parts import SESSION_WORDS, pattern_around, split_names
from medssl.initialise.participants import Told

Rule = Mapping[str, str | bool]


def tell_session(facts: Facts, told: Told, answer: str | None) -> tuple[Rule | None, str]:
    """The session rule, and in words where it comes from.

    Args:
        facts: The recordings.
        told: How their participants are told apart.
        answer: What was answered, if anything.

    Raises:
        ConfigError: A comment was answered and the format has none.
    """
    if answer is not None:
        return _answered(facts, answer), "as answered"
    if told.per_recording or told.chosen is None:
        return None, "one session for each participant"
    date = date_comment(facts.comments)
    if date is not None:
        return {"comment": date}, f"header comment {date!r}"
    if facts.several:
        return None, "nothing tells sessions: one for each participant"
    if _folder_below(facts.paths, told.chosen.rule.config):
        return {"from_parent": True}, "the folder below the participant's"
    pattern = _number_in_name(facts.paths, told.chosen.rule.told)
    if pattern is not None:
        return {"pattern": pattern}, "the other number in the file name"
    return None, "nothing tells sessions: one for each participant"


def _answered(facts: Facts, answer: str) -> Rule | None:
    if answer == NONE:
        return None
    if answer == FOLDER:
        return {"from_parent": True}
    if answer.startswith(PATTERN):
        return {"pattern": answer.removeprefix(PATTERN)}
    if facts.format == "text":
        msg = f"--set session={answer}: text files have no header comments; give a pattern"
        raise ConfigError(msg)
    return {"comment": answer.removeprefix(COMMENT)}


def date_comment(comments: Sequence[Mapping[str, str]]) -> str | None:
    """The comment that dates nearly every recording.

    >>> date_comment([{"Age": "3", "ECG date": "1.1.2001"}])
    'ECG date'
    """
    counts = Counter(
        key for one in comments for key, value in one.items()
        if value and "date" in key.casefold().split() and "birth" not in key.casefold()
    )  # fmt: skip
    usual = [key for key, count in counts.items() if count >= 0.9 * len(comments)]
    return usual[0] if len(usual) == 1 else None


def _folder_below(paths: Sequence[str], config: Mapping[str, object]) -> bool:
    """Whether participants are a folder above the recordings' own, which varies."""
    pattern = config.get("pattern")
    if not isinstance(pattern, str) or not pattern.endswith("/"):
        return False
    return len({PurePosixPath(path).parent for path in paths}) > 1


def _number_in_name(paths: Sequence[str], participants: Sequence[str | None]) -> str | None:
    """A pattern around the one part of the file name that is not the participant."""
    parts = split_names([PurePosixPath(path).stem for path in paths])
    free = []
    for place, part in enumerate(parts):
        # A part that the participant decides tells no session.
        pairs = set(zip(participants, part.values, strict=True)) if part.varies else set()
        if part.varies and len(pairs) > len({name for name, _ in pairs}):
            free.append(place)
    named = [place for place in free if parts[place].word.casefold() in SESSION_WORDS]
    chosen = free if len(free) == 1 else named
    if len(chosen) != 1:
        return None
    return rf"(?:^|/){pattern_around(parts, chosen[0], 'session')}\.[^./]+$"
