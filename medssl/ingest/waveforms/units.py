"""Physical units of waveforms: names, aliases and the exact conversions between volts."""

from __future__ import annotations

from typing import Final

_ALIASES: Final = {
    "V": ("v", "volt", "volts"),
    "mV": ("mv", "millivolt", "millivolts"),
    "uV": ("uv", "µv", "μv", "microvolt", "microvolts"),
    "nV": ("nv",),
    "counts": ("counts", "count", "adu"),
    "NU": ("nu",),
    "mmHg": ("mmhg",),
    "kPa": ("kpa",),
    "%": ("%", "percent"),
    "Ohm": ("ohm", "ohms", "ω"),
    "L": ("l", "litre", "liter"),
    "L/s": ("l/s",),
    "au": ("au", "a.u."),
}
_CANONICAL: Final = {alias: unit for unit, aliases in _ALIASES.items() for alias in aliases}
_VOLTS: Final = {"V": 0, "mV": 3, "uV": 6, "nV": 9}

KNOWN_UNITS: Final = tuple(_ALIASES)
"""Units that a configuration may declare."""


def canonical_unit(name: str) -> str | None:
    """The one spelling of a unit, or None when it is unknown.

    >>> canonical_unit("µV"), canonical_unit("bananas")
    ('uV', None)
    """
    return _CANONICAL.get(name.strip().casefold())


def conversion(unit: str, wanted: str) -> float | None:
    """Factor that turns values in `unit` into values in `wanted`; None when there is none.

    >>> conversion("V", "mV"), conversion("mV", "mV"), conversion("NU", "mV")
    (1000.0, 1.0, None)
    """
    if unit == wanted:
        return 1.0
    if unit in _VOLTS and wanted in _VOLTS:
        return float(10.0 ** (_VOLTS[wanted] - _VOLTS[unit]))
    return None
