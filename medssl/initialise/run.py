"""The whole of `medssl init`: look, ask or choose, try, write."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from medssl.errors import ConfigError
from medssl.initialise.answers import (
    STUDY_KEYS,
    Answers,
    Question,
    parse_answers,
    refuse_foreign,
    refuse_to_guess,
)
from medssl.initialise.contents import look_for
from medssl.initialise.facts import Facts
from medssl.initialise.labels import LabelPlan, plan_labels
from medssl.initialise.listing import list_folder
from medssl.initialise.member_participants import tell_members
from medssl.initialise.participants import Told, tell_participants
from medssl.initialise.pipeline_file import probe_targets, render, source_of
from medssl.initialise.plan import Plan
from medssl.initialise.radiographs.run import initialise_studies
from medssl.initialise.report import (
    chosen_lines,
    label_lines,
    participant_lines,
    survey_lines,
)
from medssl.initialise.sessions import tell_session
from medssl.initialise.signals import Signals, ask_rate, choose_signals
from medssl.initialise.sizing import Sizes, choose_rate, choose_sizes
from medssl.initialise.survey import Survey
from medssl.initialise.trial import try_recordings
from medssl.initialise.writing import default_root, write


def initialise(
    folder: Path,
    output: Path | None,
    *,
    answers: Sequence[str] = (),
    overwrite: bool = False,
) -> list[str]:
    """Look at a folder of recordings, images or reports and write a commented pipeline file.

    All file names are listed; headers and first lines are read of an evenly spaced sample, and a
    few files are read in full as the pipeline would. What the files do not tell is asked.

    Args:
        folder: The folder.
        output: The pipeline file; by default `<folder name>.yaml` in the working directory.
        answers: `key=value` answers to questions.
        overwrite: Replace an existing pipeline file.

    Returns:
        What was found and chosen, in lines without identifiers.

    Raises:
        ConfigError: An answer cannot be used, the folder has no recording, something must be
            asked, or the file exists; nothing is written then.
    """
    given = parse_answers(answers)
    listing = list_folder(folder)
    name = _name(listing.folder.name)
    target = Path(f"{name}.yaml") if output is None else output
    _refuse_to_replace(target, overwrite=overwrite)
    studies, survey = look_for(folder, listing, given)
    if studies is not None:
        return initialise_studies(folder, studies, name, target, given)
    assert survey is not None
    refuse_foreign(given, STUDY_KEYS, "recordings of signals")
    if survey.question is not None:
        raise refuse_to_guess(folder, given, [survey.question], survey_lines(survey))
    plan = _choose(folder, name, target, survey, given)
    trial = try_recordings(source_of(plan), _promising(plan))
    write(plan.output, render(plan, trial))
    assert survey.facts is not None
    return [
        *survey_lines(survey, rate_in=given.rate_in),
        *participant_lines(plan.told, len(survey.facts.paths)),
        *label_lines(plan.labels),
        *chosen_lines(plan, trial),
        f"wrote {target}; read its comments, then: medssl run {shlex.quote(str(target))}",
    ]


def _name(folder_name: str) -> str:
    """A name that pipelines and sources may have."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", folder_name).strip("_-") or "recordings"


def _refuse_to_replace(target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        msg = f"{target} is a folder: give the pipeline file's name with -o"
        raise ConfigError(msg)
    if target.exists() and not overwrite:
        msg = f"{target} exists: give --overwrite to replace it, or another file with -o"
        raise ConfigError(msg)


def _choose(folder: Path, name: str, target: Path, survey: Survey, answers: Answers) -> Plan:
    """Choose everything.

    Raises:
        ConfigError: With all questions, when some choice would be a guess.
    """
    facts = survey.facts
    assert facts is not None
    signals = choose_signals(facts, answers, survey.listing.folder.name)
    told = (
        tell_members(facts, answers.participant)
        if facts.several
        else tell_participants(facts.paths, survey.tables, answers.participant)
    )
    asked = [*signals.questions, ask_rate(facts, answers), told.question]
    questions: list[Question] = [one for one in asked if one is not None]
    if questions:
        found = [
            *survey_lines(survey, rate_in=answers.rate_in),
            *participant_lines(told, len(facts.paths)),
        ]
        raise refuse_to_guess(folder, answers, questions, found)
    assert told.chosen is not None
    labels = plan_labels(
        told.chosen.match,
        told.chosen.rule.counts.keys(),
        facts.comments,
        exhaustive=facts.looked == len(facts.paths),
    )
    return Plan(
        name=name,
        root=default_root(survey.listing.folder),
        output=target,
        survey=survey,
        answers=answers,
        signals=signals,
        told=told,
        session=tell_session(facts, told, answers.session),
        labels=labels,
        sizes=_sizes(name, facts, signals, told, labels, answers),
    )


def _sizes(
    name: str,
    facts: Facts,
    signals: Signals,
    told: Told,
    labels: LabelPlan | None,
    answers: Answers,
) -> Sizes:
    assert signals.modality is not None
    assert told.chosen is not None
    rates: dict[float, int] = {}
    for rate, count in signals.channels[0].rates.items():
        hertz = rate or answers.rate_in
        if hertz:
            rates[hertz] = rates.get(hertz, 0) + count
    durations: dict[str, float] = dict.fromkeys(facts.opened, 0.0)
    usable = set.intersection(*(one.paths for one in signals.channels))
    if not usable:
        names = ", ".join(one.name for one in signals.channels)
        msg = f"--set channels={names}: no recording looked at has all of them; name fewer"
        raise ConfigError(msg)
    durations |= {
        path: seconds
        for path, seconds in facts.durations(answers.rate_in).items()
        if path in usable
    }
    return choose_sizes(
        signals.modality,
        choose_rate(signals.modality, rates),
        told.chosen.rule.told,
        [durations.get(path) for path in facts.paths],
        source=name,
        scored=bool(probe_targets(labels)),
    )


def _promising(plan: Plan) -> list[str]:
    """Recordings that were readable so far, and whose participant is told."""
    facts, chosen = plan.survey.facts, plan.told.chosen
    assert facts is not None
    assert chosen is not None
    told = dict(zip(facts.paths, chosen.rule.told, strict=True))
    return [
        path
        for path in facts.lengths
        if told[path] and all(path in one.paths for one in plan.signals.channels)
    ]
