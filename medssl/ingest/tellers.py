"""Whose a recording is and when it was made, as rules, the manifest and the file itself tell it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from medssl.errors import IngestError
from medssl.ingest.days import days
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.manifest import Manifest, places_of
from medssl.ingest.members import Member
from medssl.ingest.radiographs.views import canonical_view
from medssl.ingest.readers import comments_of, header_facts
from medssl.ingest.rules import ParticipantRule, SessionRule, SiteRule, StudyRule
from medssl.ingest.sidecars import sidecar_comments
from medssl.ingest.sources import Source
from medssl.ingest.sources.base import FACTS
from medssl.ingest.tables import read_table, require_columns
from medssl.ingest.waveforms.recording import parse_comments


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told about one recording.

    Args:
        participant: Its original participant.
        session: Its original session; empty without one, or when a comment tells it later.
        study: Its original study; empty without one.
        view: Its view by the names of `medssl.ingest.radiographs.views`, if any.
        time: When it was made, in days from any origin.
        site: Its site, if any.
        device: Its device, if any.
        timeless: Whether a time was told that is none.
    """

    participant: str
    session: str
    study: str
    view: str | None
    time: float | None
    site: str | None
    device: str | None
    timeless: bool = False


class Teller:
    """Tells whose a recording is, by the rules of its source."""

    def __init__(self, source: Source, folder: Path, manifest: Manifest | None) -> None:
        """Read the tables.

        Raises:
            IngestError: A table is absent or contradicts itself.
        """
        self._source = source
        self._folder = folder
        self._rows: Mapping[str, Mapping[str, str]] = manifest.rows if manifest else {}
        rule = source.participant
        self._table = _participant_table(rule, folder) if rule is not None else {}

    def tell(self, path: str, member: Member | None = None) -> Told:
        """What the rules, the manifest and the file itself say about a recording.

        Args:
            path: Its file; patterns are searched in the member's path, tables list files.
            member: The recording, where the file holds several.

        Raises:
            Unreadable: No participant or study can be told, or two rules disagree.
        """
        source = self._source
        said = (self._by_rules(path, member), self._listed(path), member.told if member else {})
        told = {name: [one.get(name, "") for one in said] for name in FACTS}
        aliases = source.participant.aliases if source.participant is not None else {}
        participant = _agreed("participant", *(aliases.get(n, n) for n in told["participant"]))
        if not participant:
            raise Unreadable(Reason.NO_PARTICIPANT)
        study = _agreed("study", *told["study"])
        if not study and source.tells_studies:
            raise Unreadable(Reason.NO_STUDY)
        later = source.session is not None and source.session.comment is not None
        session = _agreed("session", *told["session"])
        time = _agreed("time", *told["time"])
        return Told(
            participant=participant,
            session=session if session or later else study,
            study=study,
            view=_agreed("view", *(canonical_view(view) or "" for view in told["view"])) or None,
            time=self._days(time),
            site=_agreed("site", *told["site"]) or None,
            device=_agreed("device", *told["device"]) or None,
            timeless=bool(time) and self._days(time) is None,
        )

    def _days(self, said: str) -> float | None:
        unit = self._source.times_in
        told = days(said, unit) if said and unit is not None else None
        return -told if told is not None and self._source.times_backwards else told

    def _listed(self, path: str) -> Mapping[str, str]:
        """What the manifest says."""
        rule = self._source.manifest
        return rule.told(self._rows.get(path, {})) if rule is not None else {}

    def _by_rules(self, path: str, member: Member | None) -> dict[str, str]:
        """What the source's own rules say, by the path or the header."""
        source = self._source
        name = path if member is None else member.path_in(path)
        view = getattr(source, "view", None)
        header = header_facts(path, source, folder=self._folder) if source.asks_headers else {}
        return {
            "participant": self._participant(path, member, header),
            "session": _session(source.session, path, name),
            "study": _study(source.study, path, name, header, whole=member is None),
            "view": _found(view, "view", name, header),
            "time": _found(source.time, "time", name, header),
            "site": _site(source.site, name, header),
            "device": _found(source.device, "device", name, header),
        }

    def _participant(self, path: str, member: Member | None, header: Mapping[str, str]) -> str:
        """What the participant rule says; empty text when it says nothing."""
        rule = self._source.participant
        file = PurePosixPath(path)
        name = path if member is None else member.path_in(path)
        if rule is None:
            return ""
        if rule.pattern is not None or rule.header:
            return _found(rule, "participant", name, header)
        if rule.from_parent:
            return file.parent.name
        if rule.each_recording:
            return file.with_suffix("").as_posix() if member is None else name
        if rule.comment is not None:
            comments = (
                comments_of(path, self._source, folder=self._folder)
                if member is None
                else member.comments + sidecar_comments(path, self._source, folder=self._folder)
            )
            return parse_comments(comments).get(rule.comment, "")
        return self._table.get(path) or self._table.get(file.with_suffix("").as_posix()) or ""


def _found(rule: Any, what: str, path: str, header: Mapping[str, str]) -> str:
    """What a word, a pattern or a header says; empty text when it says nothing."""
    if rule is None or isinstance(rule, str):
        return rule or ""
    if rule.header:
        return header.get(what, "")
    match = re.search(rule.pattern, path)
    return (match.group(what) or "") if match else ""


def _agreed(what: str, *said: str) -> str:
    """The one thing that is said; empty text when nothing is.

    Raises:
        Unreadable: Two things are said.
    """
    different = {text for text in said if text}
    if len(different) > 1:
        raise Unreadable(Reason.RULES_DISAGREE, f"two values for the {what}")
    return different.pop() if different else ""


def _participant_table(rule: ParticipantRule, folder: Path) -> dict[str, str]:
    """Path → participant, of a rule with a table."""
    if rule.table is None:
        return {}
    path = folder / rule.table
    rows = read_table(path, header_row=rule.header_row)
    file, column = rule.file or "", rule.column or ""
    require_columns(rows.columns, [file, column], path=path)
    table: dict[str, str] = {}
    for row in rows.rows:
        name = places_of(row.get(file, ""), "")[0]
        if table.setdefault(name, row.get(column, "")) != row.get(column, ""):
            msg = f"table {path} gives one file two participants: correct it"
            raise IngestError(msg)
    return table


def _session(rule: SessionRule | None, path: str, name: str) -> str:
    if rule is None:
        return ""
    if rule.from_parent:
        return PurePosixPath(path).parent.as_posix()
    match = re.search(rule.pattern, name) if rule.pattern else None
    return (match.group("session") or "") if match else ""


def _study(
    rule: StudyRule | None, path: str, name: str, header: Mapping[str, str], *, whole: bool
) -> str:
    if rule is None:
        return ""
    if rule.from_parent:
        return PurePosixPath(path).parent.as_posix()
    if rule.each_recording:
        return PurePosixPath(path).with_suffix("").as_posix() if whole else name
    return _found(rule, "study", name, header)


def _site(rule: str | SiteRule | None, path: str, header: Mapping[str, str]) -> str:
    found = _found(rule, "site", path, header)
    mapped = isinstance(rule, SiteRule) and bool(rule.values)
    return rule.values.get(found, "") if mapped and isinstance(rule, SiteRule) else found
