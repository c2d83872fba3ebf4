"""Builds the map of the page: where every record stands, what it is, who is near it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from medssl.audit.inputs import AuditInputs
from medssl.audit.near_duplicates import spread
from medssl.audit.projection import project, umap
from medssl.audit.record_map import ABSENT, GRID, Codes, Column, RecordMap, View
from medssl.errors import MissingExtraError
from medssl.evaluation.retrieval_search import nearest, unit_rows
from medssl.evaluation.targets import category_name
from medssl.store.schema import DEVICE, QUALITY, SITE, SOURCE, VIEW

NEIGHBOURS: Final = 3
MIN_POINTS: Final = 4
MAX_LABELS: Final = 40
"""Labels on the map; those that colour it come first."""
MAX_COLOURED: Final = 200
"""A text with more different values than this is no category to colour by."""
NUMBERS: Final = 5
"""Numbers with more distinct values than this get a scale, others are categories."""
SPLIT: Final = "split"


def map_records(inputs: AuditInputs) -> RecordMap | None:
    """The map of the embedded records; None when there are too few.

    Components are those of all embeddings; with more than `max_points`, an equal number of records
    of each participant is shown, and neighbours are looked for among these.
    """
    embeddings = inputs.embeddings
    if len(embeddings) < MIN_POINTS:
        return None
    places = spread(embeddings.participants, inputs.config.max_points)
    shown = embeddings.take(places)
    views, notes = _views(inputs, places)
    if len(places) < len(embeddings):
        notes.insert(0, f"{len(places):,} of {len(embeddings):,} records, evenly by participant.")
    columns, left_out = _columns(inputs, places)
    if left_out:
        notes.append(f"{left_out:,} more labels are not on the map.")
    near, cosines = _neighbours(shown.values, shown.participants)
    return RecordMap(
        views=tuple(views),
        records=tuple(shown.records.tolist()),
        participants=_codes(shown.participants),
        sessions=_codes(shown.sessions),
        columns=tuple(columns),
        neighbours=near,
        similarities=cosines,
        start=_start(columns, inputs.config.colour_by),
        notes=tuple(notes),
    )


def _start(columns: Sequence[Column], wanted: Sequence[str]) -> str:
    names = [column.name for column in columns if column.colours]
    return next((name for name in (*wanted, SPLIT) if name in names), names[0] if names else "")


def _views(inputs: AuditInputs, places: np.ndarray) -> tuple[list[View], list[str]]:
    values, wanted = inputs.embeddings.values, inputs.config.projection
    points, shares = project(values)
    pca = _view(
        "PCA",
        points[places],
        f"component 1 ({shares[0]:.0%} of the variance)",
        f"component 2 ({shares[1]:.0%})",
        "Straight lines through the embeddings: distances keep their meaning, and what lies in "
        "other directions is not seen.",
    )
    if wanted == "pca":
        return [pca], []
    try:
        found = umap(values[places], points[places], seed=inputs.config.seed)
    except MissingExtraError as error:
        return [pca], [f"PCA only: {error}."]
    other = _view(
        "UMAP", found, "", "",
        "Neighbours stay neighbours; sizes of groups and distances between them mean nothing.",
    )  # fmt: skip
    return ([other] if wanted == "umap" else [pca, other]), []


def _view(
    name: Literal["PCA", "UMAP"], points: np.ndarray, across: str, up: str, note: str
) -> View:
    low, high = points.min(axis=0), points.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    grid = np.rint(GRID * np.where(high > low, (points - low) / width, 0.5)).astype(int)
    return View(
        name=name, x=tuple(grid[:, 0].tolist()), y=tuple(grid[:, 1].tolist()),
        across=across, up=up, note=note,
    )  # fmt: skip


def _columns(inputs: AuditInputs, places: np.ndarray) -> tuple[list[Column], int]:
    """Labels, split, quality and origin of the records; how many labels were left out."""
    wanted = [name for name in inputs.config.colour_by if name in inputs.labels]
    names = list(dict.fromkeys([*wanted, *inputs.labels]))
    found = [_column(inputs.column(name).iloc[places], name, label=True) for name in names]
    labels = [column for column in found if column is not None]
    of = inputs.embeddings.participants[places]
    split = pd.Series([inputs.splits.get(name) for name in of.tolist()], dtype=object)
    taken = {column.name for column in labels}
    more = [_column(split, SPLIT, label=False)] if SPLIT not in taken else []
    rows = inputs.embedded[places]
    for name in (QUALITY, VIEW, SITE, DEVICE, SOURCE):
        if name not in taken:
            values = pd.Series(inputs.store.column(name, rows))
            more.append(_column(values, name, label=False))
    kept = labels[:MAX_LABELS]
    return [*kept, *(one for one in more if one is not None)], len(labels) - len(kept)


def _column(values: pd.Series[Any], name: str, *, label: bool) -> Column | None:
    """Numbers where there are many, categories otherwise; None when nothing is known."""
    known = values.dropna()
    if len(known) == 0:
        return None
    numeric = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
    if numeric and known.nunique() > NUMBERS:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        rounded = tuple(float(f"{v:.6g}") if np.isfinite(v) else None for v in numbers.tolist())
        return Column(name=name, label=label, numbers=rounded)
    texts = known.map(_text)
    ordered = sorted(set(zip(known, texts, strict=True))) if numeric else None
    names = tuple(dict.fromkeys(t for _, t in ordered)) if ordered else tuple(sorted(set(texts)))
    place = {text: number for number, text in enumerate(names)}
    missing = values.isna().tolist()
    codes = tuple(
        ABSENT if absent else place[_text(value)]
        for value, absent in zip(values.tolist(), missing, strict=True)
    )
    coloured = len(names) <= MAX_COLOURED
    return Column(name=name, label=label, codes=Codes(names=names, values=codes), colours=coloured)


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return category_name(value)


def _codes(texts: np.ndarray) -> Codes:
    names, codes = np.unique(texts, return_inverse=True)
    return Codes(names=tuple(names.tolist()), values=tuple(codes.tolist()))


def _neighbours(
    values: np.ndarray, people: np.ndarray
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[float, ...], ...]]:
    """The nearest records of other participants by cosine, and the cosines to three decimals."""
    unit, groups = unit_rows(values), np.unique(people, return_inverse=True)[1]
    near, cosines = nearest(
        unit, unit, NEIGHBOURS, query_groups=groups, candidate_groups=groups, one_per_group=True
    )
    rounded = np.round(np.nan_to_num(cosines), 3).tolist()
    return tuple(map(tuple, near.tolist())), tuple(map(tuple, rounded))
