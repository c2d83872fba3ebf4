"""What was found and chosen, in lines; patterns and counts, no identifiers."""

from __future__ import annotations

from collections import Counter
from statistics import median

from medssl.initialise.facts import ChannelFacts, Facts
from medssl.initialise.labels import LabelPlan
from medssl.initialise.listing import plural
from medssl.initialise.participants import Candidate, Told
from medssl.initialise.plan import Plan
from medssl.initialise.survey import Survey, describe_kind
from medssl.initialise.trial import Trial

_CHANNELS = 15


def survey_lines(survey: Survey, *, rate_in: float | None = None) -> list[str]:
    """What the folder holds.

    Args:
        survey: The survey.
        rate_in: The rate that was answered for text files (Hz).
    """
    listing = survey.listing
    hidden = f", {listing.hidden} hidden left out" if listing.hidden else ""
    lines = [f"folder: {plural(len(listing.files), 'file')}{hidden}"]
    if listing.unreadable:
        lines.append(f"names that are not UTF-8: {plural(listing.unreadable, 'file')} left out; "
                     "rename to use")  # fmt: skip
    if survey.left_out:
        lines.append(f"left out by include: {plural(survey.left_out, 'file')}")
    if survey.facts is not None:
        lines += _facts_lines(survey.facts, rate_in)
    else:
        lines += [f"may be recordings: {describe_kind(kind)}" for kind in survey.candidates]
    used = {table.path for table in survey.tables}
    for kind, reason in survey.refused:
        if not set(kind.paths) <= used:
            lines.append(f"no recordings: {kind.title} ({reason})")
    known = {name: count for name, count in survey.others.items() if name != "other"}
    if known:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(known.items()))
        lines.append(f"not read by this version: {listed}")
    if survey.beside:
        lines.append(f"beside WFDB headers: {plural(survey.beside, 'annotation or other file')}")
    rest = survey.others["other"] + survey.papers
    if rest:
        lines.append(f"of no known format, or readmes and licences: {plural(rest, 'file')}")
    lines += [
        f"tables: {table.title} with {plural(len(table.columns), 'column')}"
        for table in survey.tables
    ]
    return lines + [f"tables: {remark}" for remark in survey.remarks]


def _facts_lines(facts: Facts, rate_in: float | None) -> list[str]:
    what = {"text": "first lines", "matlab": "variables", "parquet": "columns"}
    lines = [f"recordings: {plural(len(facts.paths), f'{facts.title} recording')}; looked at the "
             f"{what.get(facts.format, 'headers')} of {facts.looked:,} of "
             f"{len(facts.paths):,}"]  # fmt: skip
    lines += facts.notes
    if facts.unreadable:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in facts.unreadable.most_common())
        lines.append(f"cannot be read, of {facts.looked:,} looked at: {reasons}")
    listed = [_channel(one, facts) for one in list(facts.channels.values())[:_CHANNELS]]
    more = len(facts.channels) - _CHANNELS
    lines.append(f"channels: {'; '.join(listed)}" + (f"; and {more} more" if more > 0 else ""))
    if facts.time:
        words = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds",
                 "datetime": "dates and times"}  # fmt: skip
        unit = words[facts.time_unit]
        lines.append(f"time column: {facts.time!r}, in {unit}")
    elif facts.time_hint and rate_in is None:
        lines.append(f"time column: not used ({facts.time_hint})")
    lines.append(_lengths(facts, rate_in))
    keys = _comment_keys(facts)
    if keys:
        where = "header comments" if facts.headed else "also in the files"
        lines.append(f"{where}: {', '.join(keys)}")
    return lines


def _channel(one: ChannelFacts, facts: Facts) -> str:
    words = []
    if one.count < facts.readable:
        words.append(f"in {one.count} of {facts.readable}")
    words += _counted({str(unit or "unit unknown"): n for unit, n in one.units.items()
                       if unit or facts.headed}, one.count)  # fmt: skip
    words += _counted({f"{rate:g} Hz": n for rate, n in one.rates.items() if rate}, one.count)
    if one.modality is not None:
        words.append(one.modality.value)
    axis = "row" if facts.shape.get("layout") == "row" else "column"
    name = one.name if facts.named else f"{axis} {one.name}"
    return f"{name} ({', '.join(words)})" if words else name


def _counted(values: dict[str, int], total: int) -> list[str]:
    if len(values) == 1 and next(iter(values.values())) == total:
        return list(values)
    return [f"{value} in {count}" for value, count in Counter(values).most_common(3)]


def _lengths(facts: Facts, rate_in: float | None) -> str:
    about = "about " if facts.estimated else ""
    seconds = sorted(facts.durations(rate_in).values())
    if seconds:
        return f"durations: {about}{_spread(seconds, 's')}"
    counts = sorted(count for count, _ in facts.lengths.values())
    return f"lengths: {about}{_spread(counts, 'samples')}"


def _spread(values: list[float] | list[int], unit: str) -> str:
    if values[0] == values[-1]:
        return f"{values[0]:,.6g} {unit} each"
    return f"{values[0]:,.6g} to {values[-1]:,.6g}, median {median(values):,.6g} {unit}"


def _comment_keys(facts: Facts) -> list[str]:
    """Keys that most headers have: rarer or longer ones may be text about one person."""
    counts = Counter(key for one in facts.comments for key in one)
    return [key for key, count in counts.items()
            if 2 * count > len(facts.comments) and len(key.split()) <= 3]  # fmt: skip


def rule_text(one: Candidate) -> str:
    """A participant rule in words."""
    config = one.rule.config
    if "pattern" in config:
        return f"pattern {config['pattern']}"
    if "comment" in config:
        return f"column or path {config['comment']!r} of the files"
    if "each_recording" in config:
        return "each recording"
    if "table" in config:
        column = config.get("column") or config.get("participant")
        return f"column {column!r} of a table that lists the files"
    if "column" in config:
        return f"column {config['column']!r} of a table"
    if "header" in config:
        return "PatientID of the headers"
    return "name of the file's folder"


def participant_lines(told: Told, recordings: int) -> list[str]:
    """How participants are told apart."""
    one = told.chosen
    if one is None:
        return [f"participants by {rule_text(other)}: {other.describe()}?"
                for other in told.others[:4]]  # fmt: skip
    lines = [f"participants: {one.describe()} ({rule_text(one)}; {told.why})"]
    untold = recordings - one.rule.counts.total()
    if untold:
        lines.append(f"participants: {plural(untold, 'recording')} match no participant and will "
                     "stand in the ledger")  # fmt: skip
    return lines


def label_lines(labels: LabelPlan | None) -> list[str]:
    """Labels that were found."""
    if labels is None:
        return ["labels: none found; the pipeline has no probe stage"]
    where = "the recordings themselves" if labels.match is None else (
        f"{labels.match.table.title}, participants in column {labels.match.column!r}")  # fmt: skip
    listed = ", ".join(offer.describe() for offer in labels.offers)
    lines = [f"labels: {listed}; from {where} ({labels.about})"]
    if labels.spare:
        lines.append(f"labels: {plural(len(labels.spare), 'further column')} could be kept; they "
                     "stand in the file as comments")  # fmt: skip
    return lines


def chosen_lines(plan: Plan, trial: Trial) -> list[str]:
    """What was chosen, and what to do next."""
    sizes, signals = plan.sizes, plan.signals
    names = ", ".join(one.name for one in signals.channels[:_CHANNELS])
    split = ", ".join(f"{sizes.participants.get(one, 0)} {one}"
                      for one in ("train", "validation", "test"))  # fmt: skip
    short = f"; {sizes.short} looked at are shorter" if sizes.short else ""
    return [
        f"chosen: {signals.modality} ({signals.modality_why}), channels {names} "
        f"({signals.channels_why}), {signals.units} ({signals.units_why})",
        f"chosen: {sizes.rate:g} Hz, segments of {sizes.segment_seconds:g} s, about "
        f"{sizes.segments:,} in all{short}",
        f"chosen: participants {split}; batches of {sizes.batch_size(trial.kept)} pairs",
        f"chosen: session: {plan.session[1]}",
        *trial.lines,
    ]
