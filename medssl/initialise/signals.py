"""What to take of the recordings: modality, channels, units, rate; or what to ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medssl.config import nearest
from medssl.errors import ConfigError
from medssl.ingest.waveforms.units import conversion
from medssl.initialise.answers import MODALITIES, Answers, Question, flag
from medssl.initialise.channel_names import TWELVE_LEADS, modality_of_paths
from medssl.initialise.facts import ChannelFacts, Facts
from medssl.types import Modality

_USUAL = 0.95
_SHOWN = 12


@dataclass(slots=True)
class Signals:
    """What to take, as far as it is known.

    Args:
        modality: What was measured.
        modality_why: Where that was told.
        channels: Channels to take.
        channels_why: Why these.
        units: Unit in the store.
        units_why: Where that was told.
        questions: What is not known.
    """

    modality: Modality | None
    modality_why: str
    channels: tuple[ChannelFacts, ...]
    channels_why: str
    units: str | None
    units_why: str
    questions: list[Question]


def choose_signals(facts: Facts, answers: Answers, folder_name: str) -> Signals:
    """Choose modality, channels and units where the files tell them.

    Args:
        facts: The recordings.
        answers: What was answered.
        folder_name: Name of the folder.

    Raises:
        ConfigError: There is no channel, or an answered one is not in the files.
    """
    if not facts.channels:
        msg = (
            f"none of {facts.looked} recordings looked at has a channel with a name of its own: "
            "name the signals in the headers, or the columns in the files"
        )
        raise ConfigError(msg)
    asked: list[Question] = []
    chosen = _answered_channels(facts, answers)
    modality, why = answers.modality, "as answered"
    if modality is None:
        modality, why = _told_modality(facts, chosen, folder_name)
    many = ""
    if not chosen:
        chosen, many = _told_channels(facts, modality)
    _refuse_contradiction(modality, chosen)
    if modality is None and (chosen or not _several_modalities(facts)):
        asked.append(
            Question(
                "modality",
                "neither channel nor file names tell what was measured",
                tuple((name, "") for name in MODALITIES),
            )
        )
    if not chosen:
        asked.append(_channel_question(facts, modality))
    units, units_why = _units(facts, chosen, answers, asked)
    if answers.channels:
        many = "as answered"
    return Signals(modality, why, chosen, many, units, units_why, asked)


def _refuse_contradiction(modality: Modality | None, chosen: Sequence[ChannelFacts]) -> None:
    told = sorted({one.modality.value for one in chosen if one.modality is not None})
    if len(told) > 1 or (modality is not None and told not in ([], [modality.value])):
        names = ", ".join(one.name for one in chosen)
        taken = f" and {modality} was answered" if modality is not None else ""
        msg = (
            f"channels {names} are {' and '.join(told)} by their names{taken}: one source takes "
            "one modality, name channels of one with --set channels=…"
        )
        raise ConfigError(msg)


def _answered_channels(facts: Facts, answers: Answers) -> tuple[ChannelFacts, ...]:
    for name in answers.channels:
        if name not in facts.channels:
            msg = (
                f"--set channels={','.join(answers.channels)}: no channel {name!r} in the files"
                f"{nearest(name, list(facts.channels))}"
            )
            raise ConfigError(msg)
    return tuple(facts.channels[name] for name in answers.channels)


def _several_modalities(facts: Facts) -> bool:
    return len({one.modality for one in facts.channels.values() if one.modality}) > 1


def _told_modality(
    facts: Facts, chosen: Sequence[ChannelFacts], folder_name: str
) -> tuple[Modality | None, str]:
    told = {one.modality for one in chosen or facts.channels.values()}
    named = told - {None}
    if len(named) == 1 and (not chosen or told == named):
        return named.pop(), "channel names"
    if named:
        return None, ""
    modality, where = modality_of_paths(folder_name, facts.paths)
    return modality, where


def _told_channels(facts: Facts, modality: Modality | None) -> tuple[tuple[ChannelFacts, ...], str]:
    """The channels, when only one choice is possible."""
    every = list(facts.channels.values())
    if len(every) == 1:
        return (every[0],), "the only one"
    own = [one for one in every if modality is not None and one.modality is modality]
    if len(own) == 1 and _usual(own[0], facts):
        return (own[0],), f"the only one named as {modality}"
    leads = {one.name.casefold(): one for one in every}
    if set(leads) == TWELVE_LEADS and all(_usual(one, facts) for one in every):
        return tuple(every), "all leads of a standard 12-lead ECG"
    return (), ""


def _usual(one: ChannelFacts, facts: Facts) -> bool:
    return one.count >= _USUAL * facts.readable


def _channel_question(facts: Facts, modality: Modality | None) -> Question:
    every = sorted(facts.channels.values(), key=lambda one: -one.count)
    own = [one for one in every if modality is None or one.modality in {modality, None}] or every
    own.sort(key=lambda one: one.modality is None)
    text = "several could be meant; name one, or several of one modality with commas between them"
    if not facts.named:
        text += " (numbers count from 0)"
    if len(own) > _SHOWN:
        text += f"; the first {_SHOWN} of {len(own)}"
    options = tuple((one.name, _about(one, facts)) for one in own[:_SHOWN])
    return Question("channels", text, options)


def _about(one: ChannelFacts, facts: Facts) -> str:
    words = [f"in {one.count} of {facts.readable}"]
    words += [unit for unit in one.units if unit is not None][:1]
    if one.modality is not None:
        words.append(one.modality.value)
    return ", ".join(words)


def _units(
    facts: Facts, chosen: Sequence[ChannelFacts], answers: Answers, asked: list[Question]
) -> tuple[str | None, str]:
    if answers.units is not None:
        return answers.units, "as answered"
    found = {unit for one in chosen or facts.channels.values() for unit in one.units}
    known = sorted(found - {None}, key=str)
    if not chosen and facts.headed:
        return None, ""  # which units matter is known with the channels
    if not facts.headed and (not known or None in found):
        asked.append(
            Question(
                "units",
                f"{facts.title} files do not tell their unit",
                (
                    ("counts", "raw converter output"),
                    ("mV", ""),
                    ("uV", ""),
                    ("NU", "normalised"),
                    ("au", "no unit"),
                ),
            )
        )
        return None, ""
    if not known:
        msg = (
            "no header looked at has both a gain and a unit that medssl knows for "
            f"{', '.join(one.name for one in chosen)}, and ingest refuses such recordings: name "
            "other channels with --set channels=…, or correct the headers"
        )
        raise ConfigError(msg)
    wanted = "mV" if len(known) > 1 and "mV" in known else known[0]
    if any(unit is not None and conversion(unit, str(wanted)) is None for unit in known):
        listed = ", ".join(map(str, known))
        asked.append(
            Question(
                "units",
                f"several that cannot be converted ({listed}); recordings in others are refused",
                tuple((str(unit), "") for unit in known),
            )
        )
        return None, ""
    where = "header" if facts.headed else "column names"
    return wanted, f"from the {where}"


def ask_rate(facts: Facts, answers: Answers) -> Question | None:
    """The question for the rate of files that do not tell it, if it is not known."""
    if facts.tells_rate or answers.rate_in is not None:
        return None
    if facts.time_rates:
        text = f"{facts.time_hint}; or give the rate of the files with {flag('rate_in=HZ')}"
        rates = facts.time_rates.items()
        return Question("time_unit", text, tuple((unit, f"{rate:g} Hz") for unit, rate in rates))
    if answers.time_column:
        return None
    hint = facts.time_hint or "there is no time column"
    suggested = facts.suggested_rate
    option = ("125", "for example: give the rate of the files in Hz")
    if suggested is not None:
        option = (f"{suggested:g}", "if that is right")
    return Question(
        "rate_in", f"samples per second of the files are not told ({hint})", (option,)
    )  # fmt: skip
