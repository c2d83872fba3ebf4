"""Tables that list the recordings, and may tell whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from medssl.ingest.manifest import by_name, places_of
from medssl.initialise.tables import Table, names_people

_LISTED: Final = 0.9
"""Share of the recordings that a table must list."""


@dataclass(frozen=True, slots=True)
class ListingTable:
    """A table with a row for each recording, as a source's `manifest` needs it.

    Args:
        table: The table.
        file: Its column with paths.
        participant: Its one column called like one of participants, if there is one.
        rows: Recording → its row.
    """

    table: Table
    file: str
    participant: str | None
    rows: dict[str, dict[str, str]]

    @property
    def config(self) -> dict[str, str | int | bool]:
        """The source's `manifest`."""
        config: dict[str, str | int | bool] = {"table": self.table.path, "file": self.file}
        if self.table.header_row != 1:
            config["header_row"] = self.table.header_row
        return config | ({"participant": self.participant} if self.participant else {})

    def told(self, paths: Sequence[str]) -> tuple[str | None, ...]:
        """Participant of each recording; None where the table tells none."""
        column = self.participant or ""
        return tuple(self.rows.get(path, {}).get(column) or None for path in paths)


def find_listing(paths: Sequence[str], tables: Sequence[Table]) -> ListingTable | None:
    """The table that lists most recordings; one that tells participants comes first.

    Args:
        paths: Recordings, relative to the folder.
        tables: Tables beside them.
    """
    names = by_name(paths)
    found = [one for table in tables if (one := _look(table, paths, names)) is not None]
    return max(found, key=lambda one: (one.participant is not None, len(one.rows)), default=None)


def _look(table: Table, paths: Sequence[str], names: dict[str, str]) -> ListingTable | None:
    people = [name for name in table.columns if names_people(name)]
    for column in table.columns:
        if column in people:
            continue
        if not all(table.values(column)):
            continue
        every = {}
        for row in table.rows:
            places = places_of(row[column], table.path)
            every[next((names[place] for place in places if place in names), places[0])] = row
        if len(every) < len(table.rows):
            continue  # ingest refuses a manifest with two rows for one file
        rows = {path: row for path, row in every.items() if path in names}
        if len(rows) >= _LISTED * len(paths):
            return ListingTable(table, column, people[0] if len(people) == 1 else None, rows)
    return None
