"""Labels of participants that tables and header comments offer."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from medssl.ingest.labels import is_absent
from medssl.initialise.listing import plural
from medssl.initialise.tables import KeyMatch

_MALE: Final[tuple[str, ...]] = ("M", "m", "Male", "male", "MALE")
_FEMALE: Final[tuple[str, ...]] = ("F", "f", "Female", "female", "FEMALE")
_KNOWN: Final = {"age": "age", "sex": "sex", "gender": "sex", "bmi": "bmi"}
CATEGORIES: Final = 12
PRIVATE: Final = re.compile(
    r"name|birth|dob|mail|phone|address|street|zip|post|ssn|mrn|insur|(^|[\W_])(id|num|no)([\W_]|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One label that could be kept.

    Args:
        label: Its name in the store.
        source: Column or comment.
        kind: `"number"` or `"words"`.
        present: Participants or recordings with a value.
        missing: Those without.
        values: Raw value → value; empty when raw values are kept.
        unclear: Values that would be left empty.
        sides: Different values.
    """

    label: str
    source: str
    kind: str
    present: int
    missing: int
    values: Mapping[str, str] = field(default_factory=dict)
    unclear: int = 0
    sides: int = 0

    def describe(self) -> str:
        """The label in words."""
        text = f"{self.label} ({self.kind}, {self.missing} missing"
        return text + (f", {self.unclear} not understood)" if self.unclear else ")")


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """Labels to keep.

    Args:
        match: The table column with the participants; None for header comments.
        offers: Labels to keep.
        spare: Further columns of the table.
        about: What the counts of the offers count.
    """

    match: KeyMatch | None
    offers: tuple[Offer, ...]
    spare: tuple[Offer, ...]
    about: str

    def offer(self, label: str) -> Offer | None:
        """A label to keep, by name."""
        return next((one for one in self.offers if one.label == label), None)


def plan_labels(
    match: KeyMatch | None,
    participants: Collection[str],
    comments: Sequence[Mapping[str, str]],
    *,
    exhaustive: bool,
) -> LabelPlan | None:
    """Labels from a table, or from header comments when these offer more.

    Args:
        match: The table column with the participants.
        participants: Their names in the files.
        comments: Header comments of the recordings looked at.
        exhaustive: Whether all recordings were looked at.
    """
    from_table = _from_table(match, participants) if match is not None else None
    from_comments = _from_comments(comments, exhaustive=exhaustive)
    plans = [plan for plan in (from_table, from_comments) if plan is not None and plan.offers]
    # Of equally many labels those of the table: it is known in full.
    return max(plans, key=lambda plan: len(plan.offers), default=None)


def _from_table(match: KeyMatch, participants: Collection[str]) -> LabelPlan:
    rows = [row for row in match.table.rows if row.get(match.column, "") in participants]
    kept: dict[str, Offer] = {}
    spare = []
    for column in match.table.columns:
        if column == match.column:
            continue
        label = label_of(column)
        values = [row.get(column, "") for row in rows]
        offer = offer_of(label or slug(column), column, values, exhaustive=True)
        if offer is None:
            continue
        if label is not None and label not in kept:
            kept[label] = offer
        elif label is None and not PRIVATE.search(column) and is_label(offer):
            spare.append(offer)
    about = plural(len(rows), "row") + f" of {len(participants):,} participants"
    return LabelPlan(match, tuple(kept.values()), tuple(spare), about)


def is_label(offer: Offer) -> bool:
    """Whether it has values, and as words not too many different ones."""
    return offer.present > 0 and (offer.kind == "number" or offer.sides <= CATEGORIES)


def _from_comments(comments: Sequence[Mapping[str, str]], *, exhaustive: bool) -> LabelPlan:
    keys: dict[str, Counter[str]] = {}
    for one in comments:
        for key in one:
            label = label_of(key)
            if label is not None:
                keys.setdefault(label, Counter())[key] += 1
    offers = []
    for label, spellings in keys.items():
        key = spellings.most_common(1)[0][0]
        offer = offer_of(label, key, [one.get(key, "") for one in comments], exhaustive=exhaustive)
        if offer is not None:
            offers.append(offer)
    about = plural(len(comments), "header") + " looked at"
    return LabelPlan(None, tuple(offers), (), about)


def label_of(column: str) -> str | None:
    """The label of people that a column is called like, if any."""
    words = re.findall(r"[^\W\d_]+", column.casefold())
    return next((_KNOWN[word] for word in words if word in _KNOWN), None)


def slug(column: str) -> str:
    """A label name from a column's.

    >>> slug("Pleural Thickening (y/n)")
    'pleural_thickening_y_n'
    """
    words = re.findall(r"[^\W_]+", column.casefold())
    name = "_".join(words)[:40] or "label"
    taken = name in {"participant", "added", "record"} or name.startswith("has_")
    return f"label_{name}" if taken else name


def offer_of(label: str, source: str, raw: Sequence[str], *, exhaustive: bool) -> Offer | None:
    """A label, or None when its values cannot be used without being told what they mean."""
    raw = [value.strip() for value in raw]
    told = [value for value in raw if not is_absent(value)]
    if not told:
        return None
    missing = len(raw) - len(told)
    numbers = sum(_is_number(value) for value in told)
    if label == "sex":
        spelled = [value for value in told if value in {*_MALE, *_FEMALE}]
        if 2 * len(spelled) <= len(told):
            return None  # codes such as 0 and 1 do not say which is which
        used = set(spelled) if exhaustive else {*_MALE, *_FEMALE}
        values = {value: "M" for value in _MALE if value in used}
        values |= {value: "F" for value in _FEMALE if value in used}
        sides = len({values[value] for value in spelled})
        unclear = len(told) - len(spelled)
        return Offer(label, source, "words", len(spelled), missing, values, unclear, sides)
    if label in {"age", "bmi"}:
        # Only age is a number in every store; one word would make a column of words.
        if 2 * numbers <= len(told) or (label == "bmi" and numbers < len(told)):
            return None
        unclear = len(told) - numbers
        sides = len(set(told))
        return Offer(label, source, "number", numbers, missing, {}, unclear, sides)
    kind = "number" if numbers == len(told) else "words"
    return Offer(label, source, kind, len(told), missing, {}, 0, len(set(told)))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
