"""Recordings inside a file that holds several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medssl.ingest.sources.base import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One recording of several in a file.

    Args:
        key: What tells it from the others, unique in the file.
        comments: What the file says about it, as far as the configuration names it.
        told: Whose it is, by the words of medssl (`participant`, `study`, …), where the file says.
        repeats: Further places in the file that hold the same.
    """

    key: str
    comments: tuple[str, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    repeats: int = 0

    def path_in(self, path: str) -> str:
        """What stands for a path of its own, such as `table.parquet#r7`."""
        return f"{path}#{self.key}"


def named_comments(config: Source) -> tuple[str, ...]:
    """The comments that the rules of a source name, each once.

    Tables and structs hold whatever their owner put into them; nothing else of it is taken.
    """
    people = (config.participant, config.session)
    named = [rule.comment for rule in people if rule is not None and rule.comment is not None]
    for rule in config.label_rules:
        named += rule.comments.values()
        named += [one.comment for one in rule.contains.values() if one.comment is not None]
    return tuple(dict.fromkeys(named))
