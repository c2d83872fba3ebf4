"""Groups of participants for tables: categories as they are, numbers in thirds."""

from __future__ import annotations

import numpy as np
import pandas as pd

MAX_CATEGORIES = 12
"""More categories than this are no groups but identifiers or free text."""


def grouped(values: pd.Series) -> dict[str, str]:
    """Group of each participant with a value; empty when the column gives no groups.

    Numbers with more than five distinct values are cut at their thirds.

    Args:
        values: One label column, indexed by pseudonym.

    >>> grouped(pd.Series({"a": "F", "b": None, "c": "M"}))
    {'a': 'F', 'c': 'M'}
    >>> sorted(set(grouped(pd.Series(range(9), index=list("abcdefghi"))).values()))
    ['2 to 5', 'over 5', 'under 2']
    """
    known = values.dropna()
    names = [str(name) for name in known.index]
    if pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known):
        numbers = known.to_numpy(dtype=np.float64)
        if len(np.unique(numbers)) > 5:
            low, high = np.quantile(numbers, [1 / 3, 2 / 3], method="lower")
            texts = (f"under {low:g}", f"{low:g} to {high:g}", f"over {high:g}")
            places = (numbers >= low).astype(int) + (numbers > high)
            found = [texts[place] for place in places]
        else:
            found = [f"{number:g}" for number in numbers]
    else:
        found = [str(value) for value in known]
    if not 1 < len(set(found)) <= MAX_CATEGORIES:
        return {}
    return dict(zip(names, found, strict=True))
