"""What the columns of a table tell, by their names and by what they hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from medssl.ingest.days import days
from medssl.ingest.labels import is_absent
from medssl.ingest.radiographs.views import canonical_view
from medssl.ingest.rules import TimeUnit
from medssl.initialise.tables import Table, names_people
from medssl.text.headers import SPELLINGS, canonical_name

_PEOPLE: Final = frozenset({"patient", "participant", "subject", "person", "case", "proband"})
_NUMBERS: Final = frozenset({"id", "ids", "no", "nr", "num", "number", "code", "key", "uid", "deid",
                             "anon", "pseudo", "hash", "instance"})  # fmt: skip
_STUDIES: Final = frozenset({"study", "studies", "exam", "examination", "accession"})
_VISITS: Final = frozenset({"visit", "followup", "timepoint", "session"})
_SITES: Final = frozenset({"site", "hospital", "institution", "centre", "center"})
_MANY_SITES: Final = 50
_COUNTED: Final = frozenset({"offset", "day", "days"})
_USUAL: Final = 0.9
_TEXT_NAMES: Final = frozenset(
    {"report", "reports", "text", "note", "notes", "narrative", "caption", "description",
     "conclusion", "question"}
)  # fmt: skip
_WORDS: Final = 4
"""Words of a usual cell of text; fewer where the column is called like one."""
_CELLS: Final = 2000
"""Cells of a column that are looked at."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Columns of a table by what they tell.

    Args:
        participants: Those called like one of participants.
        study: The one with studies, if there is one.
        visit: The one that counts visits, from the same number for everyone.
        view: The one with views.
        time: The one with times.
        time_unit: What these are told in.
        times: Columns that may hold times, which nothing tells for sure.
        site: The one with sites.
        texts: Those with sentences, the fullest first.
        sections: Section → column, of those called like a section of a report.
    """

    participants: tuple[str, ...]
    study: str | None = None
    visit: str | None = None
    view: str | None = None
    time: str | None = None
    time_unit: TimeUnit = "days"
    times: tuple[str, ...] = ()
    site: str | None = None
    texts: tuple[str, ...] = ()
    sections: dict[str, str] = field(default_factory=dict)

    @property
    def used(self) -> set[str]:
        """All columns that have a role."""
        named = {self.study, self.visit, self.view, self.time, self.site} - {None}
        return {str(name) for name in named} | {
            *self.participants, *self.texts, *self.sections.values(),
        }  # fmt: skip


def roles_of(table: Table, *, files: str | None = None) -> Roles:
    """What the columns tell.

    Args:
        table: The table.
        files: Its column with files, which has no other role.
    """
    columns = [name for name in table.columns if name != files]
    cells = {name: [cell for cell in table.values(name)[:_CELLS] if not is_absent(cell)]
             for name in columns}  # fmt: skip
    rows = min(len(table.rows), _CELLS)
    filled = [name for name in columns if len(cells[name]) >= _USUAL * rows]
    texts = [name for name in columns if _is_text(name, cells[name])]
    texts.sort(key=lambda name: -sum(map(len, cells[name])))
    sections: dict[str, str] = {}
    for name in texts:
        section = section_of(name)
        if section is not None:
            sections.setdefault(section, name)
    free = [name for name in filled if name not in texts]
    visit = next((name for name in free if _is_visit(name, cells[name])), None)
    time, unit, maybe = _time(columns, cells, rows, visit)
    return Roles(
        participants=tuple(name for name in free if _names_people(name)),
        study=next((name for name in free if _names_study(name)), None),
        visit=visit,
        view=next((name for name in columns if _is_view(name, cells[name])), None),
        time=time,
        time_unit=unit,
        times=maybe,
        site=next((name for name in free if _is_site(name, cells[name])), None),
        texts=tuple(texts),
        sections=sections,
    )


def words_of(name: str) -> list[str]:
    """The words of a column's name.

    >>> words_of("ViewPosition"), words_of("Follow-up #")
    (['view', 'position'], ['followup'])
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()
    return re.findall(r"[a-z]+", re.sub(r"follow[\s_-]*up", "followup", apart))


def _names_people(name: str) -> bool:
    words = set(words_of(name))
    return names_people(name) or (bool(words & _PEOPLE) and words <= _PEOPLE | _NUMBERS)


def _names_study(name: str) -> bool:
    words = set(words_of(name))
    glued = re.fullmatch(r"(study|exam|accession)(instance)?(id|uid|no|number)", name.casefold())
    return glued is not None or (bool(words & _STUDIES) and words <= _STUDIES | _NUMBERS)


def _is_visit(name: str, cells: Sequence[str]) -> bool:
    words = set(words_of(name))
    named = bool(words & _VISITS) and words <= _VISITS | _NUMBERS
    return named and len(set(cells)) > 1


def _is_view(name: str, cells: Sequence[str]) -> bool:
    known = sum(canonical_view(cell) is not None for cell in cells)
    named = bool({"view", "projection", "position", "viewposition"} & set(words_of(name)))
    return bool(cells) and known >= (0.5 if named else _USUAL) * len(cells)


def _is_site(name: str, cells: Sequence[str]) -> bool:
    named = bool(_SITES & set(words_of(name)))
    return named and 1 < len(set(cells)) <= _MANY_SITES


def _is_text(name: str, cells: Sequence[str]) -> bool:
    """Whether cells are sentences: several words, and not the same few for everyone."""
    if not cells:
        return False
    words = median(len(re.findall(r"[^\W\d_]{2,}", cell)) if " " in cell else 1 for cell in cells)
    named = bool(_TEXT_NAMES & set(words_of(name))) or section_of(name) is not None
    different = len(set(cells)) >= min(20, 0.2 * len(cells))
    return words >= (_WORDS / 2 if named else _WORDS) and different


def section_of(name: str) -> str | None:
    """The section of a report that a column is called like.

    >>> section_of("section_findings"), section_of("Impression"), section_of("age")
    ('findings', 'impression', None)
    """
    words = [word for word in words_of(name) if word not in {"section", "report", "text", "txt"}]
    found = canonical_name(" ".join(words)) if words else ""
    return found if found in SPELLINGS and found != "date" else None


def _time(
    columns: Sequence[str], cells: dict[str, list[str]], rows: int, visit: str | None
) -> tuple[str | None, TimeUnit, tuple[str, ...]]:
    """The column with times and their unit, and columns that may hold times too."""
    dated, counted, maybe = [], [], []
    for name in columns:
        words, values = set(words_of(name)), cells[name]
        if len(values) < 0.5 * rows or "birth" in words or len(set(values)) < 2:
            continue
        if "date" in name.casefold() and _all_times(values, "datetime"):
            dated.append(name)
        elif not _all_times(values, "days"):
            continue
        elif words <= _COUNTED | {"study", "since"} and words & _COUNTED:
            counted.append(name)
        elif words & _COUNTED:
            maybe.append(name)
    if len(dated) == 1:
        return dated[0], "datetime", ()
    if len(counted) == 1 and not dated:
        return counted[0], "days", ()
    if visit is not None and not dated and not counted and _all_times(cells[visit], "days"):
        return visit, "order", ()
    return None, "days", (*dated, *counted, *maybe)


def _all_times(cells: Collection[str], unit: TimeUnit) -> bool:
    good = sum(days(cell, unit) is not None for cell in cells)
    return good >= 0.95 * len(cells)
