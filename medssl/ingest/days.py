"""Told times as days."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Final

from medssl.ingest.rules import TimeUnit

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS: Final = 86_400.0


def days(said: str, unit: TimeUnit) -> float | None:
    """A told time in days; None where it is no time.

    >>> days("36", "hours"), days("1970-01-02", "datetime"), days("19700103", "datetime")
    (1.5, 1.0, 2.0)
    >>> days("January 20, 2020", "datetime") is days("nan", "days") is None
    True
    """
    try:
        if unit == "datetime":
            moment = datetime.fromisoformat(said)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            return (moment - _EPOCH).total_seconds() / _DAY_SECONDS
        number = float(said)
    except (ValueError, OverflowError):
        return None
    number = number / 24 if unit == "hours" else number
    return number if isfinite(number) else None
