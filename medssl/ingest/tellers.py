"""Whose a recording is: participant, session, site and device, told by rules and the manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medssl.errors import IngestError
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.manifest import Manifest, places_of
from medssl.ingest.rules import ParticipantRule, SessionRule, SiteRule
from medssl.ingest.sidecars import sidecar_comments
from medssl.ingest.sources import BaseSource
from medssl.ingest.tables import read_table, require_columns
from medssl.ingest.waveforms.members import Member
from medssl.ingest.waveforms.readers import comments_of
from medssl.ingest.waveforms.recording import parse_comments


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told about one recording.

    Args:
        participant: Its original participant.
        session: Its original session; empty without one, or when a comment tells it later.
        site: Its site, if any.
        device: Its device, if any.
    """

    participant: str
    session: str
    site: str | None
    device: str | None


class Teller:
    """Tells whose a recording is, by the rules of its source."""

    def __init__(self, source: BaseSource, folder: Path, manifest: Manifest | None) -> None:
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
        """What the rules and the manifest say about a recording.

        Args:
            path: Its file; patterns are searched in the member's path, tables list files.
            member: The recording, where the file holds several.

        Raises:
            Unreadable: No participant can be told, or two rules disagree.
        """
        source = self._source
        listed = self._listed(path)
        aliases = source.participant.aliases if source.participant is not None else {}
        own = self._participant(path, member)
        known = [aliases.get(name, name) for name in (own, listed["participant"]) if name]
        participant = _agreed("participant", *known)
        if not participant:
            raise Unreadable(Reason.NO_PARTICIPANT)
        name = path if member is None else member.path_in(path)
        site = _site(source.site, name)
        return Told(
            participant=participant,
            session=_agreed("session", _session(source.session, path, name), listed["session"]),
            site=_agreed("site", site, listed["site"]) or None,
            device=_agreed("device", source.device or "", listed["device"]) or None,
        )

    def _listed(self, path: str) -> dict[str, str]:
        """What the manifest says."""
        rule, row = self._source.manifest, self._rows.get(path, {})
        names = ("participant", "session", "site", "device")
        columns = {name: getattr(rule, name) if rule is not None else None for name in names}
        return {name: row.get(column or "", "") for name, column in columns.items()}

    def _participant(self, path: str, member: Member | None) -> str:
        """What the participant rule says; empty text when it says nothing."""
        rule = self._source.participant
        file = PurePosixPath(path)
        name = path if member is None else member.path_in(path)
        if rule is None:
            return ""
        if rule.pattern is not None:
            match = re.search(rule.pattern, name)
            return (match.group("participant") or "") if match else ""
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


def _site(rule: str | SiteRule | None, path: str) -> str:
    if not isinstance(rule, SiteRule):
        return rule or ""
    match = re.search(rule.pattern, path)
    found = (match.group("site") or "") if match else ""
    return rule.values.get(found, "") if rule.values else found
