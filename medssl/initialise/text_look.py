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
from medssl.initialise.time_column import PER_SECOND, plausible_units, tidy


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
        per_second = PER_SECOND[facts.time_unit]
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
    """The time column that every file has, in a told unit; else a hint goes to the facts.

    Raises:
        ConfigError: The column or unit that was answered cannot be.
    """
    times = [look.time for look in kind.looks.values() if look.time is not None]
    names = Counter(time.name for time in times)
    dates = any(time.unit == "datetime" for time in times)
    _refuse_times(answers, sorted(names), dates=dates)
    if answers.rate_in is not None or not names:
        return None
    name = answers.time_column or names.most_common(1)[0][0]
    found = [time for time in times if time.name == name]
    rate = sorted(time.rate for time in found)[len(found) // 2]
    without = len(kind.looks) - len(found)
    if without and answers.time_column is None:
        facts.time_hint = f"{without} of {len(kind.looks)} files have no time column"
        facts.suggested_rate = sorted(time.hertz for time in found)[len(found) // 2]
        return None
    units = {answers.time_unit or time.unit for time in found}
    if len(units) > 1 or "unknown" in units:
        facts.time_rates = plausible_units(rate)
        facts.time_hint = f"the times in column {name!r} are in no told unit"
        return None
    facts.time_unit = units.pop()
    uneven = sum(not time.even for time in found)
    if uneven:
        facts.notes.append(
            f"the times of {uneven} of {len(found)} files looked into are uneven; ingest brings "
            "them to an even grid"
        )
    return name


def _refuse_times(answers: Answers, names: Sequence[str], *, dates: bool) -> None:
    """Refuse answers about times that the files contradict."""
    wrong = ""
    if answers.time_column is not None and answers.time_column not in names:
        hint = nearest(answers.time_column, names)
        wrong = f"time_column={answers.time_column}: no such column of rising times{hint}"
    elif answers.time_unit is not None and not names:
        wrong = f"time_unit={answers.time_unit}: the files have no column of rising times"
    elif answers.time_unit is not None and dates != (answers.time_unit == "datetime"):
        is_dates = "dates (datetime)" if dates else "numbers: give s, ms, us or ns"
        wrong = f"time_unit={answers.time_unit}: the times are {is_dates}"
    elif answers.rate_in is not None and dates:
        wrong = f"rate_in={answers.rate_in:g}: the dates in the files tell it; leave it out"
    if wrong:
        msg = f"--set {wrong}"
        raise ConfigError(msg)


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
