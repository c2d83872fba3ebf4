"""Look at delimited text: which files are recordings, their layout, columns, times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from medssl.config import nearest
from medssl.errors import ConfigError
from medssl.ingest.listing import is_paper, matches
from medssl.initialise.answers import Answers
from medssl.initialise.channel_names import modality_of_channel, unit_in_name
from medssl.initialise.facts import Facts
from medssl.initialise.listing import plural
from medssl.initialise.text_kinds import Look, TextKind, glob_of, usual_signature
from medssl.initialise.time_column import tidy


def facts_of(kind: TextKind, every: Sequence[str], answers: Answers) -> Facts:
    """What the files of one kind tell.

    Args:
        kind: The recordings.
        every: All text files of the folder, to count what else a glob would find.
        answers: Globs, rate or time column that were given stand above what is found.

    Raises:
        ConfigError: The time column that was given is none.
    """
    globs = answers.include or (glob_of(kind),)
    facts = Facts(format="text", paths=tuple(kind.paths), include=globs, opened=tuple(kind.opened))
    facts.unreadable.update(kind.unreadable)
    usual = usual_signature(kind)
    odd = [path for path, look in kind.looks.items() if look.shape.signature != usual]
    for path in odd:
        facts.unreadable[f"another layout ({_layout(kind.looks.pop(path))})"] += 1
    timed = _time_column(kind, facts, answers)
    for path, look in kind.looks.items():
        facts.estimated |= not look.shape.exact
        per_second = 1000 if facts.time_unit == "ms" else 1
        rate = tidy(look.time.rate * per_second) if look.time is not None and timed else None
        facts.lengths[path] = (look.shape.samples, rate)
        for name in look.channels:
            if look.shape.names.count(name) == 1:
                channel = facts.channel(name)
                channel.paths.add(path)
                channel.units[unit_in_name(name)] += 1
                channel.rates[rate] += 1
                channel.modality = modality_of_channel(name) if look.shape.header else None
    facts.time = timed
    example = next(iter(kind.looks.values()))
    shape = example.shape
    facts.shape = {"layout": shape.layout, "delimiter": shape.delimiter, "header": shape.header}
    facts.named = shape.header
    facts.notes.append(_describe(kind, example))
    mine = set(kind.paths)
    more = sum(
        path not in mine and not is_paper(path) and any(matches(path, glob) for glob in globs)
        for path in every
    )
    if more:
        facts.notes.append(
            f"{plural(more, 'other file')} also match include; those that are no tables of "
            "numbers will stand in the ledger"
        )
    return facts


def _time_column(kind: TextKind, facts: Facts, answers: Answers) -> str | None:
    if answers.rate_in is not None:
        return None
    if answers.time_column is None:
        return _usable_time(kind, facts)
    rising = {look.time.name for look in kind.looks.values() if look.time is not None}
    if answers.time_column not in rising:
        hint = nearest(answers.time_column, sorted(rising))
        msg = f"--set time_column={answers.time_column}: no such column of rising times{hint}"
        raise ConfigError(msg)
    named = [look.time for look in kind.looks.values() if look.time is not None]
    if all(time.unit == "ms" for time in named if time.name == answers.time_column):
        facts.time_unit = "ms"
    return answers.time_column


def _usable_time(kind: TextKind, facts: Facts) -> str | None:
    """The time column that every file has, in a told unit; else a hint goes to the facts."""
    times = [look.time for look in kind.looks.values()]
    names = Counter(time.name for time in times if time is not None)
    if not names:
        return None
    name, count = names.most_common(1)[0]
    found = [time for time in times if time is not None and time.name == name]
    even = sum(time.even for time in found)
    units = {time.unit for time in found}
    if count == len(times) and units in ({"s"}, {"ms"}):
        facts.time_unit = units.pop()
        if even < count:
            facts.notes.append(
                f"the times of {count - even} of {count} files looked into are uneven; ingest "
                "brings them to an even grid"
            )
        return name
    rate = sorted(time.hertz for time in found)[len(found) // 2]
    facts.suggested_rate = rate
    if count < len(times):
        facts.time_hint = f"{len(times) - count} of {len(times)} files have no time column"
    else:
        facts.time_hint = (
            f"the times are in no told unit; if they are milliseconds, that is {rate:g} Hz"
        )
    return None


def _layout(look: Look) -> str:
    shape = look.shape
    named = "with" if shape.header else "without"
    return (
        f"{len(shape.names)} {shape.layout if shape.layout == 'columns' else 'rows'} {named} names"
    )


def _describe(kind: TextKind, example: Look) -> str:
    shape = example.shape
    columns = Counter(len(look.shape.names) for look in kind.looks.values())
    counts = " or ".join(map(str, sorted(columns)))
    what = "row" if shape.layout == "row" else "column"
    named = "named in a header" if shape.header else "without names"
    return (
        f"layout: channels in {what}s, separated by {shape.delimiter}, "
        f"{counts} {what}{'' if counts == '1' else 's'} {named}"
    )
