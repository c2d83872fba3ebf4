"""The records of other participants that an encoder finds most similar, as they look."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.neighbours import CASE, PERCENTILE, QUERY, RANK, SIMILARITY, nearest_cases
from medssl.explore.draw import draw_record, kind_of
from medssl.explore.outputs import RunOutputs, find_rows
from medssl.explore.style import WIDTH, Picture, canvas, shorten
from medssl.explore.tables import records_table
from medssl.store.schema import PARTICIPANT, RECORD
from medssl.types import Kind

_MOST: Final = 12
_LABELS: Final = 4
"""Label columns in the title of a record."""
_ACROSS: Final = 3
"""Images side by side."""
_INCHES: Final = {Kind.IMAGE: 3.2, Kind.VOLUME: 2.4, Kind.WAVEFORM: 1.5, Kind.TEXT: 1.5}
"""Height of one record."""
_SHOWN: Final = 8
"""Letters of a pseudonym in a title."""


def nearest_records(run: RunOutputs, record: str, k: int = 4) -> pd.DataFrame:
    """The k nearest records of other participants, by cosine similarity, one per participant.

    Args:
        run: Opened with `open_run`.
        record: Name of an embedded record.
        k: How many.

    Returns:
        Index record: rank, similarity, percentile (share of random pairs of two participants that
        are less similar), participant, then the columns of `records_table`.

    Raises:
        StageError: The record has no embedding.
    """
    embeddings = run.embeddings
    at = np.flatnonzero(embeddings.records == record)
    if len(at) == 0:
        msg = (
            f"record {record!r} has no embedding in {run.name}: take one of run.embeddings.records"
        )
        raise StageError(msg)
    nobody = pd.DataFrame(index=pd.Index(embeddings.records))
    cases = nearest_cases(embeddings, nobody, queries=embeddings.participants[at].tolist(), k=k)
    found = cases.frame[cases.frame[QUERY] == record].set_index(CASE).rename_axis(RECORD)
    facts = records_table(run).loc[found.index]
    return pd.concat([found[[RANK, SIMILARITY, PERCENTILE]], facts], axis=1)


def neighbour_plot(
    run: RunOutputs, record: str | None = None, k: int = 4, *, text: bool = False
) -> Picture:
    """A record over the k nearest ones of other participants, with their labels.

    What the neighbours share is what the encoder looks at. Records that look alike and have
    different labels show a limit of the data; records that look nothing alike, one of the encoder.

    Args:
        run: Opened with `open_run`.
        record: Name of an embedded record; the first one when None.
        k: How many, at most 12.
        text: Show what reports say, which may name somebody, and not their sections alone.

    Raises:
        StageError: The record has no embedding, or k is not 1 to 12.
    """
    if not 1 <= k <= _MOST:
        msg = f"{k} neighbours to draw: choose 1 to {_MOST}"
        raise StageError(msg)
    chosen = str(run.embeddings.records[0]) if record is None else record
    found = nearest_records(run, chosen, k)
    names = [chosen, *found.index]
    facts = records_table(run).loc[names]
    rows = find_rows(run.store, np.array(names))
    kind = kind_of(run.store, int(rows[0]))
    across = _ACROSS if kind is Kind.IMAGE else 1
    down = -(-len(names) // across)
    with canvas(width=WIDTH, height=0.4 + _INCHES[kind] * down) as figure:
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        for place, (axes, row) in enumerate(zip(grid, rows, strict=False)):
            draw_record(axes, run.store, int(row), text=text)
            head = (
                "query"
                if place == 0
                else f"{place}. cosine {found[SIMILARITY].iloc[place - 1]:.3f}"
            )
            about = _about(run, facts.iloc[place])
            if kind is Kind.IMAGE:
                axes.set_axis_off()  # places of pixels say nothing here
                about = about.replace(" · ", "\n", 1)
            axes.set_title(f"{head} · {about}")
            if place < len(names) - 1:
                axes.set_xlabel("")
        figure.align_ylabels()
        return figure


def _about(run: RunOutputs, facts: pd.Series) -> str:
    """Participant and labels of a record, for its title; holds a shortened pseudonym."""
    names = [*map(str, run.record_labels.columns), *map(str, run.labels.columns)][:_LABELS]
    known = [name for name in dict.fromkeys(names) if not pd.isna(facts[name])]
    labels = [f"{name} {_value(facts[name])}" for name in known]
    return " · ".join([f"participant {shorten(str(facts[PARTICIPANT]), _SHOWN)}", *labels])


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else shorten(str(value), 20)
