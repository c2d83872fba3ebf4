"""Ways to tell participants apart, how many each would give, and whether one convinces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from statistics import median

from medssl.errors import ConfigError
from medssl.initialise.answers import FILE, FOLDER, PATTERN, TABLE, Question
from medssl.initialise.listing_tables import ListingTable, find_listing
from medssl.initialise.name_parts import Part, names_person, pattern_around, split_names
from medssl.initialise.tables import KeyMatch, Table, best_match, file_columns

_ENDING = r"\.[^./]+$"
_ROLES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to write a rule, and whom it names.

    Args:
        answer: The rule as an answer to `--set participant=`.
        config: The rule as a configuration.
        told: Participant of each recording; None where the rule does not match.
    """

    answer: str
    config: Mapping[str, str | int | bool]
    told: tuple[str | None, ...]

    @property
    def counts(self) -> Counter[str]:
        """Recordings of each participant."""
        return Counter(name for name in self.told if name)


@dataclass(slots=True)
class Candidate:
    """Spellings of a rule that group the recordings alike.

    Args:
        spellings: The plainest first.
        named: Whether the names say that these are people.
        match: The table column that holds the participants, if there is one.
    """

    spellings: list[Spelling]
    named: bool
    match: KeyMatch | None = None

    @property
    def rule(self) -> Spelling:
        """The spelling in use."""
        return self.spellings[0]

    @property
    def grouping(self) -> tuple[int, ...]:
        """The same for rules that group the recordings alike."""
        seen: dict[str | None, int] = {}
        return tuple(seen.setdefault(name, len(seen)) for name in self.rule.told)

    def describe(self, noun: str = "recording") -> str:
        """How many participants there would be; names none of them."""
        counts = sorted(self.rule.counts.values())
        each = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        middle = "" if counts[0] == counts[-1] else f", median {median(counts):g}"
        nouns = noun if counts[-1] == 1 else f"{noun}s"
        return f"{len(counts):,} participants with {each} {nouns} each{middle}"


@dataclass(slots=True)
class Told:
    """How participants are told apart, or what to ask.

    Args:
        chosen: The rule in use; None when there is a question.
        why: Why this rule.
        question: What to ask when none convinces.
        given: Whether the rule was an answer.
        per_recording: Whether it was answered that every recording is a participant.
        listing: A table that lists the recordings, if there is one.
        by_manifest: Whether that table, as the source's manifest, is the rule.
    """

    chosen: Candidate | None
    why: str = ""
    question: Question | None = None
    given: bool = False
    per_recording: bool = False
    others: list[Candidate] = field(default_factory=list)
    listing: ListingTable | None = None
    by_manifest: bool = False


def tell_participants(paths: Sequence[str], tables: Sequence[Table], answer: str | None) -> Told:
    """Find the rule that tells participants apart.

    A rule convinces when it makes groups of recordings and either the names say that these are
    people (`Person_01`, `sub-01`) or a table holds the groups' names in one column. Where none
    does, a table that lists the recordings beside a column of participants does. Anything else is
    asked: a wrong guess would put one person on both sides of a split.

    Args:
        paths: Recordings, relative to the folder.
        tables: Tables beside them.
        answer: What was answered, if anything.

    Raises:
        ConfigError: The answer tells no participant.
    """
    listing = find_listing(paths, tables)
    if answer is not None:
        chosen = _answered(paths, tables, answer)
        each = answer == FILE
        return Told(chosen, "as answered", given=True, per_recording=each, listing=listing)
    candidates = _candidates(paths, tables)
    for one in candidates:
        _spell_like_table(one, tables)
    grouped = [one for one in candidates if 1 < len(one.rule.counts) < len(paths)]
    convincing = {one.grouping: one for one in reversed(grouped) if _convinces(one, len(paths))}
    if len(convincing) == 1:
        chosen = convincing.popitem()[1]
        why = "a table lists them" if chosen.match and not chosen.named else "their names say so"
        return Told(chosen, why, listing=listing)
    if listing is not None and listing.participant is not None and not convincing:
        chosen = _by_manifest(paths, tables, listing)
        return Told(chosen, "the table says so", listing=listing, by_manifest=True)
    question = _question(grouped, len(paths))
    return Told(None, question=question, others=grouped, listing=listing)


def _by_manifest(paths: Sequence[str], tables: Sequence[Table], listing: ListingTable) -> Candidate:
    answer = f"{TABLE}{listing.table.path},{listing.file},{listing.participant}"
    one = Candidate([Spelling(answer, listing.config, listing.told(paths))], named=True)
    _spell_like_table(one, tables)
    return one


def _convinces(one: Candidate, recordings: int) -> bool:
    if len(one.rule.counts) >= recordings or not all(one.rule.counts):
        return False
    match = one.match
    listed = match is not None and match.found >= 0.9 and match.overlap >= 0.5
    return one.named or (listed and len(one.rule.counts) >= 5)


def _question(grouped: Sequence[Candidate], recordings: int) -> Question:
    options = [(one.rule.answer, one.describe()) for one in grouped[:_SHOWN]]
    each = f"each of {recordings:,} recordings is another participant's: right only when nobody "
    options.append((FILE, f"{each}was recorded twice"))
    if not grouped:
        options.append((r"pattern:(?P<participant>\d+)_", "any part of the path that names them"))
    text = "nothing tells beyond doubt whose recording a file is; a wrong rule makes splits leak"
    return Question("participant", text, tuple(options))


def _candidates(paths: Sequence[str], tables: Sequence[Table]) -> list[Candidate]:
    found = [*_from_tables(paths, tables), *_from_folders(paths), *_from_file_names(paths)]
    unique: dict[tuple[int, ...], Candidate] = {}
    for one in found:
        same = unique.setdefault(one.grouping, one)
        if same is not one:
            same.spellings += one.spellings
            same.named |= one.named
    # People's names first, then the rule that makes most participants.
    return sorted(unique.values(), key=lambda one: (not one.named, -len(one.rule.counts)))


def _from_tables(paths: Sequence[str], tables: Sequence[Table]) -> list[Candidate]:
    found = []
    for table in tables:
        columns = file_columns(table, paths)
        if columns is not None:
            found.append(Candidate([_table_rule(paths, table, *columns)], named=True))
    return found


def _table_rule(paths: Sequence[str], table: Table, files: str, people: str) -> Spelling:
    listed = {
        PurePosixPath(row.get(files, "").replace("\\", "/")).as_posix(): row.get(people, "")
        for row in table.rows
    }
    told = tuple(
        listed.get(path) or listed.get(PurePosixPath(path).with_suffix("").as_posix())
        for path in paths
    )
    config: dict[str, str | int | bool] = {"table": table.path, "file": files, "column": people}
    if table.header_row != 1:
        config["header_row"] = table.header_row
    return Spelling(f"{TABLE}{table.path},{files},{people}", config, told)


def _from_folders(paths: Sequence[str]) -> list[Candidate]:
    folders = [PurePosixPath(path).parts[:-1] for path in paths]
    depths = {len(parts) for parts in folders}
    if min(depths) == 0:
        return []
    found = []
    levels = range(depths.pop()) if len(depths) == 1 else [-1]
    for level in levels:
        names = [parts[level] for parts in folders]
        roles = {name.casefold() for name in names} <= _ROLES
        if len(set(names)) < 2 or roles:
            continue
        immediate = level == -1 or level == len(levels) - 1
        above = {parts[level - 1] for parts in folders} if level > 0 else set()
        plural = len(above) == 1 and names_person(above.pop())
        found.append(_folder_candidate(paths, names, level, immediate=immediate, named=plural))
    return found


def _folder_candidate(
    paths: Sequence[str], names: list[str], level: int, *, immediate: bool, named: bool
) -> Candidate:
    before = "^" + "[^/]+/" * level if level >= 0 else "(?:^|/)"
    after = "/[^/]*$" if immediate else "/"
    if immediate:
        spellings = [Spelling(FOLDER, {"from_parent": True}, tuple(names))]
    else:
        spellings = [_pattern_rule(paths, f"{before}(?P<participant>[^/]+){after}")]
    parts = split_names(names)
    varying = [place for place, part in enumerate(parts) if part.varies]
    for place in varying:
        if parts[place].distinct == len(set(names)):
            spellings += _spellings(paths, parts, place, before, after)
    named |= any(names_person(parts[place].word) for place in varying[:1])
    return Candidate(spellings, named)


def _from_file_names(paths: Sequence[str]) -> list[Candidate]:
    parts = split_names([PurePosixPath(path).stem for path in paths])
    return [
        Candidate(_spellings(paths, parts, place, "(?:^|/)", _ENDING), names_person(part.word))
        for place, part in enumerate(parts)
        if part.varies
    ]


def _spellings(
    paths: Sequence[str], parts: Sequence[Part], place: int, before: str, after: str
) -> list[Spelling]:
    patterns = [pattern_around(parts, place, "participant")]
    if any(value and value.startswith("0") for value in parts[place].values):
        patterns.append(pattern_around(parts, place, "participant", skip_zeros=True))
    return [_pattern_rule(paths, f"{before}{pattern}{after}") for pattern in patterns]


def _pattern_rule(paths: Sequence[str], pattern: str) -> Spelling:
    compiled = re.compile(pattern)

    def tell(path: str) -> str | None:
        match = compiled.search(path)
        return match.group("participant") if match else None

    return Spelling(PATTERN + pattern, {"pattern": pattern}, tuple(map(tell, paths)))


def _spell_like_table(one: Candidate, tables: Sequence[Table]) -> None:
    """Prefer the spelling that a table column holds; a spelling must not join participants."""
    size = len(one.rule.counts)
    matches = [
        (match.overlap, -place, match)
        for place, spelling in enumerate(one.spellings)
        if len(spelling.counts) == size
        and (match := best_match(tables, spelling.counts.keys())) is not None
    ]
    if matches:
        _, place, one.match = max(matches, key=lambda found: found[:2])
        one.spellings.insert(0, one.spellings.pop(-place))


def _answered(paths: Sequence[str], tables: Sequence[Table], answer: str) -> Candidate:
    if answer == FILE:
        one = Candidate(_one_each(paths), named=False)
    elif answer == FOLDER:
        names = [PurePosixPath(path).parent.name for path in paths]
        one = Candidate([Spelling(FOLDER, {"from_parent": True}, tuple(names))], named=False)
    elif answer.startswith(PATTERN):
        one = Candidate([_pattern_rule(paths, answer.removeprefix(PATTERN))], named=False)
    elif not answer.startswith(TABLE):
        msg = f"--set participant={answer}: not for these files; give folder, file or pattern:…"
        raise ConfigError(msg)
    else:
        path, files, people = answer.removeprefix(TABLE).split(",")
        table = next((table for table in tables if table.path == path), None)
        if table is None or not {files, people} <= set(table.columns):
            msg = f"--set participant={answer}: no such table with these columns in the folder"
            raise ConfigError(msg)
        one = Candidate([_table_rule(paths, table, files, people)], named=False)
    if not one.rule.counts:
        where = "the recordings lie in no folder of their own" if answer == FOLDER else (
            f"it matches none of {len(paths)} recordings")  # fmt: skip
        msg = f"--set participant={answer}: {where}; give another rule"
        raise ConfigError(msg)
    _spell_like_table(one, tables)
    return one


def _one_each(paths: Sequence[str]) -> list[Spelling]:
    """Every recording its own participant, by its name or the part of it that a table may hold."""
    stems = [PurePosixPath(path).stem for path in paths]
    if len(set(stems)) < len(stems):
        return [_pattern_rule(paths, rf"^(?P<participant>.+){_ENDING}")]
    whole = _pattern_rule(paths, rf"(?P<participant>[^/]+){_ENDING}")
    parts = split_names(stems)
    return [
        whole,
        *(
            spelling
            for place, part in enumerate(parts)
            if part.varies and part.distinct == len(stems)
            for spelling in _spellings(paths, parts, place, "(?:^|/)", _ENDING)
        ),
    ]
