"""Which images have a finding: label columns of a store as 1, 0, or not known."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from medssl.config import nearest
from medssl.errors import ConfigError
from medssl.evaluation.study_labels import study_labels
from medssl.inputs.tables import label_frame
from medssl.store import Store
from medssl.store.index import DERIVED
from medssl.types import Rows


def finding_labels(
    store: Store, rows: Rows, columns: Mapping[str, str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Labels of images by finding, in the order of `rows`.

    Labels of records are taken, and of participants where records have none of that name. A column
    that none of the images has comes from the other records of each study, such as the report.

    Args:
        store: Where the images are.
        rows: Row numbers of the images.
        columns: Finding → label column.

    Returns:
        1, 0 or NaN (not known), one column a finding, one line an image; and the findings whose
        labels come from other records.

    Raises:
        ConfigError: There is no such column, or it holds something else than 1 and 0.
    """
    people = [str(name) for name in store.participants.columns if name not in DERIVED]
    known = [*map(str, store.record_labels.columns), *people]
    for finding, column in columns.items():
        if column not in known:
            msg = f"findings.{finding}: no label column {column!r}{nearest(column, known)}"
            raise ConfigError(msg)
    frame = label_frame(store, rows, tuple(dict.fromkeys(columns.values())))
    of_studies, lent = study_labels(store, rows)
    for column in set(lent) & set(frame.columns):
        frame[column] = of_studies[column].to_numpy()
    found = {name: _numbers(frame[column], name, column) for name, column in columns.items()}
    return pd.DataFrame(found), tuple(n for n, column in columns.items() if column in lent)


def _numbers(values: pd.Series, finding: str, column: str) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    given = values.notna()
    if not numbers[given].isin([0, 1]).all():
        msg = (
            f"findings.{finding}: label column {column!r} is not 1, 0 or missing: recode it when "
            "the labels are ingested, and decide there what uncertain ones are"
        )
        raise ConfigError(msg)
    return numbers.astype("float64")
