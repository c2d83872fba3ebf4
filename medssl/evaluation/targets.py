"""What a probe predicts: numbers, classes, several labels, grades, or times to an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from medssl.config import StrictModel, nearest
from medssl.errors import ConfigError

Kind = Literal["regression", "binary", "multiclass", "multilabel", "ordinal", "survival"]
Level = Literal["participant", "session", "record"]
Category = str | int | float | bool


@dataclass(frozen=True, eq=False)
class Truth:
    """The targets of the units that have a label.

    A unit is a participant, a session or a record, whatever the target's level says.

    Args:
        units: Names of the units, sorted, shape (n,).
        values: Float64. Regression: the numbers, shape (n,). Binary: 0 or 1, (n,). Multiclass and
            ordinal: index of the class, (n,). Multilabel: 0, 1 or NaN (not labelled), (n, k).
            Survival: time and 1 for an event or 0 for censored, (n, 2).
        classes: Names of the classes (of a grade, ascending) or of the labels; empty otherwise.
    """

    units: np.ndarray
    values: np.ndarray
    classes: tuple[str, ...] = ()


class Target(StrictModel):
    """What a probe predicts, from label columns of the store."""

    name: str = Field(description="as shown in the table, such as 'age > 50'")
    kind: Kind
    column: str | None = Field(None, description="label column; survival: the time")
    columns: tuple[str, ...] = Field((), description="multilabel: columns of 0 and 1")
    level: Level = Field("participant", description="what is one row: participant, session, record")
    threshold: float | None = Field(None, description="binary: yes when the number is larger")
    positive: Category | None = Field(None, description="binary: yes when the category equals this")
    order: tuple[Category, ...] = Field((), description="ordinal: the categories, ascending")
    event: str | None = Field(
        None, description="survival: column with 1 for an event, 0 for censored"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Target:
        given = {
            "threshold": self.threshold is not None,
            "positive": self.positive is not None,
            "order": bool(self.order),
            "event": self.event is not None,
            "columns": bool(self.columns),
        }
        belongs = {
            "threshold": "binary", "positive": "binary", "order": "ordinal", "event": "survival",
            "columns": "multilabel",
        }  # fmt: skip
        for name, there in given.items():
            if there and self.kind != belongs[name]:
                msg = f"{name} belongs to a {belongs[name]} target: change kind, or remove it"
                raise ValueError(msg)
        if given["threshold"] and given["positive"]:
            msg = "give threshold (for numbers) or positive (for categories), not both"
            raise ValueError(msg)
        if (self.kind == "multilabel") == (self.column is not None):
            msg = "a multilabel target needs columns; every other target needs column"
            raise ValueError(msg)
        if self.kind == "multilabel" and len(self.columns) < 1:
            msg = "name at least one of columns"
            raise ValueError(msg)
        if self.kind == "survival" and self.event is None:
            msg = "a survival target needs event: the column with 1 for an event, 0 for censored"
            raise ValueError(msg)
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Every label column that it reads."""
        single = [name for name in (self.column, self.event) if name is not None]
        return (*single, *self.columns)

    def truth(self, labels: pd.DataFrame) -> Truth:
        """The targets of the units that have the label.

        Args:
            labels: Index names of the units, one column per label; missing labels are None or NaN.

        Raises:
            ConfigError: A column is absent or does not hold what the target needs.
        """
        for name in self.sources:
            if name not in labels.columns:
                hint = nearest(name, list(dict.fromkeys(map(str, labels.columns))))
                msg = f"target {self.name!r}: no label column {name!r}{hint}"
                raise ConfigError(msg)
        frame = labels[list(self.sources)]
        frame = frame.set_axis(frame.index.astype(str)).sort_index()
        frame = frame.dropna(how="all" if self.kind == "multilabel" else "any")
        if self.kind == "multilabel":
            return self._several(frame)
        assert self.column is not None
        column = frame[self.column]
        if self.kind in ("multiclass", "ordinal"):
            return self._classes(column)
        numbers = self._yes(column) if self.kind == "binary" else self._numbers(column)
        if self.kind == "survival":
            return self._survival(numbers, frame)
        return Truth(_names(numbers), numbers.to_numpy(dtype=np.float64))

    def _yes(self, column: pd.Series[Any]) -> pd.Series[float]:
        if self.positive is not None:
            wanted = category_name(self.positive)
            return (column.map(category_name) == wanted).astype(np.float64)
        values = self._numbers(column)
        if self.threshold is not None:
            return (values > self.threshold).astype(np.float64)
        if not values.isin([0.0, 1.0]).all():
            msg = (
                f"target {self.name!r}: column {self.column!r} is not 0 and 1; "
                "give threshold (for numbers) or positive (for categories)"
            )
            raise ConfigError(msg)
        return values

    def _several(self, frame: pd.DataFrame) -> Truth:
        values = np.full((len(frame), len(self.columns)), np.nan)
        for place, name in enumerate(self.columns):
            known = self._numbers(frame[name].dropna(), column=name)
            if not known.isin([0.0, 1.0]).all():
                msg = f"target {self.name!r}: column {name!r} is not 0 and 1: recode it"
                raise ConfigError(msg)
            values[frame.index.get_indexer(known.index), place] = known.to_numpy()
        return Truth(_names(frame), values, self.columns)

    def _classes(self, column: pd.Series[Any]) -> Truth:
        texts = column.map(category_name)
        classes = tuple(map(category_name, self.order)) or tuple(sorted(texts.unique()))
        if self.kind == "ordinal" and not self.order:
            numbers = self._numbers(column)
            column, texts = numbers, numbers.map(category_name)
            classes = tuple(map(category_name, np.unique(numbers.to_numpy()).tolist()))
        unknown = sorted(set(texts) - set(classes))
        if unknown:
            shown = ", ".join(unknown[:3])
            msg = f"target {self.name!r}: {shown} is not in order: name every category"
            raise ConfigError(msg)
        place = {name: float(position) for position, name in enumerate(classes)}
        values = texts.map(place).to_numpy(dtype=np.float64)
        return Truth(_names(texts), values, classes)

    def _survival(self, times: pd.Series[float], frame: pd.DataFrame) -> Truth:
        assert self.event is not None
        events = self._numbers(frame[self.event], column=self.event).reindex(times.index).dropna()
        times = times.loc[events.index]
        if not events.isin([0.0, 1.0]).all() or bool((times < 0).any()):
            msg = (
                f"target {self.name!r}: give times of at least 0 in {self.column!r}, and 1 "
                f"(event) or 0 (censored) in {self.event!r}"
            )
            raise ConfigError(msg)
        both = np.stack([times.to_numpy(np.float64), events.to_numpy(np.float64)], axis=1)
        return Truth(_names(times), both)

    def _numbers(self, values: pd.Series[Any], *, column: str | None = None) -> pd.Series[float]:
        try:
            numbers = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            mend = {
                "binary": "give positive (the category that counts as yes)",
                "ordinal": "give order (the categories, ascending)",
            }.get(self.kind, "recode it as numbers, or choose a kind for categories")
            msg = f"target {self.name!r}: column {column or self.column!r} holds text; {mend}"
            raise ConfigError(msg) from error
        return numbers[np.isfinite(numbers)]


def category_name(value: Any) -> str:
    """A category as text: whole numbers without a decimal point, and with all their digits.

    >>> category_name(2.0), category_name("AF"), category_name(True), category_name(426783006.0)
    ('2', 'AF', '1', '426783006')
    """
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, int | float | np.number):
        number = float(value)
        return str(int(number)) if number.is_integer() else f"{number:.12g}"
    return str(value)


def _names(frame: pd.DataFrame | pd.Series[Any]) -> np.ndarray:
    return frame.index.to_numpy(dtype=np.str_)
