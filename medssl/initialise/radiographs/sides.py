"""The images and the reports of a folder, each with all that names what they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from medssl.config import nearest
from medssl.errors import ConfigError
from medssl.initialise.radiographs.dicom_look import DicomLook
from medssl.initialise.radiographs.image_look import ImageLook
from medssl.initialise.radiographs.keys import Key, file_key, parent_key, path_keys
from medssl.initialise.radiographs.listings import ImageTable
from medssl.initialise.radiographs.report_look import READ, ReportLook
from medssl.initialise.radiographs.roles import Roles, roles_of
from medssl.initialise.tables import Table

_TEXT_TABLE: Final = 4
"""A table with fewer rows of text is none of reports."""


@dataclass
class Images:
    """The images of a folder.

    Args:
        look: What their headers tell.
        table: The table that lists them, if there is one.
    """

    look: ImageLook | DicomLook
    table: ImageTable | None

    @property
    def format(self) -> str:
        """As the source's `format`."""
        return "dicom" if isinstance(self.look, DicomLook) else "image"

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them."""
        return self.look.paths

    @property
    def manifest(self) -> ImageTable | None:
        """The table, if a manifest can find the images by it."""
        return self.table if self.table is not None and not self.table.bare else None

    def column(self, *names: str) -> Key:
        """What columns of the manifest say.

        Raises:
            ConfigError: There is no such column.
        """
        if self.manifest is None:
            msg = f"column:{','.join(names)}: no table in the folder lists the images"
            raise ConfigError(msg)
        require_columns(self.manifest.table, names)
        return Key("column", names, self.manifest.told(self.paths, names))

    def header(self, what: str) -> Key:
        """What DICOM headers say.

        Raises:
            ConfigError: These are no DICOM files.
        """
        if not isinstance(self.look, DicomLook):
            msg = f"{what}=header: image files have no such header; give another rule"
            raise ConfigError(msg)
        return Key("header", (), self.look.values(what))

    @cached_property
    def keys(self) -> list[Key]:
        """All names by which they may belong to reports."""
        found = []
        if self.manifest is not None:
            listed = self.manifest
            named = dict.fromkeys((listed.roles.study, listed.file, *listed.table.columns))
            columns: list[tuple[str, ...]] = [
                (name,) for name in named if name and name not in listed.roles.texts
            ]
            if listed.roles.visit and len(listed.roles.participants) == 1:
                columns.insert(0, (listed.roles.participants[0], listed.roles.visit))
            found += [self.column(*names) for names in columns]
        if isinstance(self.look, DicomLook) and len(self.look.opened) == len(self.paths):
            found.append(self.header("study"))
        found += [*path_keys(self.paths), parent_key(self.paths)]
        return [key for key in found if len(key.values) > 1]


@dataclass
class ReportTable:
    """A table with a report, or a part of one, in each row.

    Args:
        table: The table.
        roles: What its columns tell.
        texts: Columns to be read one after the other; empty where sections are told.
        sections: Section → column.
    """

    table: Table
    roles: Roles
    texts: tuple[str, ...]
    sections: dict[str, str]

    @property
    def read(self) -> float:
        """Share of the rows of which an encoder reads something."""
        columns = self.texts or [self.sections[name] for name in READ if name in self.sections]
        good = sum(any(row.get(name) for name in columns) for row in self.table.rows)
        return good / max(len(self.table.rows), 1)

    def text(self, row: dict[str, str]) -> str:
        """What a row says, as stored."""
        if self.texts:
            return "FINDINGS: " + " ".join(row.get(name, "") for name in self.texts)
        told = ((name.upper(), row.get(column, "")) for name, column in self.sections.items())
        return "\n".join(f"{name}: {text}" for name, text in told if text)


@dataclass
class Reports:
    """The reports of a folder: files, or rows of a table.

    Args:
        look: What the files tell; None where reports are rows.
        rows: The table; None where reports are files.
    """

    look: ReportLook | None = None
    rows: ReportTable | None = None

    @property
    def format(self) -> str:
        """As the source's `format`."""
        return "report" if self.look is not None else "report_table"

    @property
    def count(self) -> int:
        """How many files or rows there are."""
        if self.look is not None:
            return len(self.look.paths)
        assert self.rows is not None
        return len(self.rows.table.rows)

    @property
    def read(self) -> float:
        """Share of which an encoder reads something."""
        found = self.look if self.look is not None else self.rows
        assert found is not None
        return found.read

    @property
    def policy(self) -> dict[str, str]:
        """Settings of the text policy that are not the defaults."""
        return {} if self.look is None else self.look.policy

    @property
    def texts(self) -> list[str]:
        """Reports that were read, as stored."""
        if self.look is not None:
            return [report.to_text() for report in self.look.texts.values()]
        assert self.rows is not None
        return [self.rows.text(row) for row in self.rows.table.rows]

    def column(self, *names: str) -> Key:
        """What columns of the table say of each row."""
        assert self.rows is not None
        require_columns(self.rows.table, names)
        parts = [[row.get(name, "") for name in names] for row in self.rows.table.rows]
        told = tuple("/".join(one) if all(one) else None for one in parts)
        return Key("column", names, told)

    @cached_property
    def keys(self) -> list[Key]:
        """All names by which they may belong to images."""
        if self.look is not None:
            found = [*path_keys(self.look.paths), parent_key(self.look.paths)]
            return [key for key in found if len(key.values) > 1]
        assert self.rows is not None
        roles = self.rows.roles
        named = dict.fromkeys((roles.study, *self.rows.table.columns))
        columns: list[tuple[str, ...]] = [
            (name,) for name in named if name and name not in roles.texts
        ]
        if roles.visit and len(roles.participants) == 1:
            columns.insert(0, (roles.participants[0], roles.visit))
        found = [self.column(*names) for names in columns]
        return [key for key in found if len(key.values) > 1]

    @property
    def alone(self) -> Key:
        """Each report for itself."""
        if self.look is not None:
            return file_key(self.look.paths)
        return Key("file", (), tuple(f"r{place}" for place in range(1, self.count + 1)))


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Refuse an answer that names no column.

    Raises:
        ConfigError: With the nearest name.
    """
    for name in names:
        if name not in table.columns:
            msg = f"no column {name!r} in the table{nearest(name, table.columns)}"
            raise ConfigError(msg)


def find_report_table(
    tables: Sequence[Table], columns: Sequence[str], listed: ImageTable | None
) -> ReportTable | None:
    """The table with most text; one with columns called like sections comes first.

    Args:
        tables: Tables of the folder.
        columns: Columns that were answered.
        listed: The table that lists the images.

    Raises:
        ConfigError: No table has the answered columns.
    """
    found = []
    for table in tables:
        files = listed.file if listed is not None and listed.table is table else None
        roles = roles_of(table, files=files)
        if columns:
            if set(columns) <= set(table.columns):
                found.append(ReportTable(table, roles, tuple(columns), {}))
        elif roles.texts and len(table.rows) >= _TEXT_TABLE:
            sections = {k: v for k, v in roles.sections.items() if set(roles.sections) & set(READ)}
            texts = () if sections else roles.texts[:1]
            found.append(ReportTable(table, roles, texts, sections))
    if columns and not found:
        msg = f"--set text={','.join(columns)}: no table in the folder has these columns"
        raise ConfigError(msg)
    return max(found, key=lambda one: (bool(one.sections), len(one.table.rows)), default=None)
