"""From a table to what its encoder takes: numbers, categories, and what is missing of both."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import torch

from medssl.batches import Cells
from medssl.contracts import CategoryColumn, NumberColumn, TableContract
from medssl.errors import ConfigError
from medssl.ingest.labels import is_absent
from medssl.types import Modality

logger = logging.getLogger(__name__)

MOST_CATEGORIES: Final = 100
"""A column of words with more is taken for free text or identifiers, unless it is named."""


def fit_table(
    frame: pd.DataFrame,
    *,
    columns: Sequence[str] = (),
    categories: Sequence[str] = (),
    numbers: Sequence[str] = (),
) -> TableContract:
    """What the encoder of a table expects, from its training rows.

    Args:
        frame: Training rows alone.
        columns: Numbers where all their values are numbers or detection limits, else categories.
        categories: Columns of categories, though written as numbers.
        numbers: Columns of numbers, among which words count as missing.

    Raises:
        ConfigError: A column is empty, could be of both kinds, or looks like free text.

    >>> fit_table(pd.DataFrame({"crp": ["3", "5", "inf"]}), columns=["crp"]).numbers[0].high
    5.0
    """
    kinds = {name: _holds_numbers(name, frame[name]) for name in columns}
    words = [*(name for name in columns if not kinds[name]), *categories]
    return TableContract(
        modality=Modality.TABLE,
        categories=tuple(
            _fit_categories(name, frame[name], named=name in categories) for name in words
        ),
        numbers=tuple(
            _fit_numbers(name, frame[name])
            for name in (*(name for name in columns if kinds[name]), *numbers)
        ),
    )


def to_cells(frame: pd.DataFrame, contract: TableContract) -> Cells:
    """A table's rows as an encoder takes them.

    Args:
        frame: With the contract's columns; what is empty, an unknown category or a word among
            numbers counts as missing.
        contract: Says what stands for which category, and how numbers are standardised.

    >>> age = NumberColumn(name="age", mean=50, deviation=10, low=20, high=80)
    >>> contract = TableContract(modality=Modality.TABLE, numbers=(age,))
    >>> to_cells(pd.DataFrame({"age": [60, None, "<18"]}), contract).numbers.flatten()
    tensor([ 1., nan, -3.])
    """
    codes = np.full((len(frame), len(contract.categories)), -1, dtype=np.int64)
    for place, column in enumerate(contract.categories):
        code = {word: position for position, word in enumerate(column.categories)}
        words = [read_word(value) for value in frame[column.name]]
        codes[:, place] = [-1 if word is None else code.get(word, -1) for word in words]
    values = np.full((len(frame), len(contract.numbers)), np.nan)
    for place, limits in enumerate(contract.numbers):
        found = _numbers(frame[limits.name])
        found[found == -np.inf] = limits.low
        found[found == np.inf] = limits.high
        values[:, place] = (found - limits.mean) / limits.deviation
    return Cells(torch.from_numpy(codes), torch.from_numpy(values.astype(np.float32)))


def read_number(value: Any) -> float | None:
    """A cell as a number: NaN where missing, infinite beyond a detection limit, None for a word.

    >>> read_number("3.5"), read_number("<0.3"), read_number("inf"), read_number("clotted")
    (3.5, -inf, inf, None)
    """
    if _is_missing(value):
        return float("nan")
    text = str(value).strip()
    if "_" in text:
        return None  # Python would read 3_1 as 31
    try:
        if text[0] in "<≤>≥":
            float(text[1:].lstrip("= "))
            return float("-inf") if text[0] in "<≤" else float("inf")
        return float(value)
    except (TypeError, ValueError):
        return None


def read_word(value: Any) -> str | None:
    """A cell as a category, None where missing; whole numbers have no decimal point.

    >>> read_word(1.0), read_word(" AP "), read_word("?")
    ('1', 'AP', None)
    """
    if _is_missing(value):
        return None
    if isinstance(value, int | float | np.number | np.bool_):
        number = float(value)
        return str(int(number)) if number.is_integer() else f"{number:.12g}"
    return str(value).strip()


def _is_missing(value: Any) -> bool:
    return bool(pd.isna(value)) or (isinstance(value, str) and is_absent(value))


def _numbers(column: pd.Series[Any]) -> np.ndarray:
    """Numbers of a column, NaN where missing or a word."""
    read = (read_number(value) for value in column)
    return np.array([np.nan if value is None else value for value in read], dtype=np.float64)


def _holds_numbers(name: str, column: pd.Series[Any]) -> bool:
    """Whether a column is one of numbers, going by its values."""
    known = [value for value in column if not _is_missing(value)]
    words = sum(read_number(value) is None for value in known)
    if words and words < len(known):
        msg = (
            f"table: column {name!r} holds {len(known) - words} numbers and {words} words in "
            "training: name it in numbers (words count as missing) or in categories"
        )
        raise ConfigError(msg)
    return not words


def _fit_numbers(name: str, column: pd.Series[Any]) -> NumberColumn:
    words = sum(read_number(value) is None for value in column)
    if words:
        logger.warning("table: %d word(s) in column %s count as missing", words, name)
    values = _numbers(column)
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise _empty(name, "number")
    return NumberColumn(
        name=name,
        mean=float(finite.mean()),
        deviation=float(finite.std()) or 1.0,  # a constant column becomes zeros
        low=float(finite.min()),
        high=float(finite.max()),
    )


def _fit_categories(name: str, column: pd.Series[Any], *, named: bool) -> CategoryColumn:
    words = sorted({word for value in column if (word := read_word(value)) is not None})
    if not words:
        raise _empty(name, "value")
    if len(words) > MOST_CATEGORIES and not named:
        msg = (
            f"table: column {name!r} holds {len(words)} different words, which would all stand in "
            "the bundle: leave it out or recode it, or name it in categories"
        )
        raise ConfigError(msg)
    return CategoryColumn(name=name, categories=tuple(words))


def _empty(name: str, what: str) -> ConfigError:
    msg = f"table: column {name!r} has no {what} among the training records: leave it out"
    return ConfigError(msg)
