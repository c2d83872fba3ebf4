"""Tables: label columns of a store, one row for each record of another modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from medssl.batches import Cells, Raw, move
from medssl.config import nearest
from medssl.contracts import TableContract
from medssl.errors import ConfigError, ContractError
from medssl.inputs.base import Inputs
from medssl.inputs.cells import fit_table, to_cells
from medssl.inputs.table_config import TableConfig
from medssl.store import Store, schema
from medssl.store.index import DERIVED
from medssl.types import Rows


class TableInputs(Inputs):
    """A row of labels for each record of another modality, as `Cells`."""

    def __init__(self, contract: TableContract) -> None:
        self.contract: TableContract = contract

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, categories first."""
        categories = (column.name for column in self.contract.categories)
        return (*categories, *(column.name for column in self.contract.numbers))

    def read(self, store: Store, rows: Rows) -> Cells:
        """Labels of records, or of their participants.

        Raises:
            ConfigError: The store lacks a column.
        """
        return to_cells(label_frame(store, rows, self.names), self.contract)

    def plain(self, raw: Raw, device: torch.device | str = "cpu") -> Cells:
        """The same cells: reading has standardised them."""
        assert isinstance(raw, Cells)
        moved: Cells = move(raw, device)
        return moved

    def viewed(self, raw: Raw, views: Any, *, seed: int) -> Cells:
        """The same cells: a method corrupts and hides them by itself."""
        assert isinstance(raw, Cells)
        return raw

    def prepare(self, data: Any, **told: Any) -> pd.DataFrame:
        """A table, or a row or several as mappings, reduced to the contract's columns.

        Raises:
            ContractError: It is no table, or a column is absent.
        """
        if told:
            msg = f"a table needs no {', '.join(sorted(told))}: give its rows alone"
            raise ContractError(msg)
        frame = _frame(data)
        for name in self.names:
            if name not in frame.columns:
                hint = nearest(name, [str(column) for column in frame.columns])
                msg = f"the table has no column {name!r} (it may be empty){hint}"
                raise ContractError(msg)
        return frame[list(self.names)]

    def accept(self, data: Any, **told: Any) -> Cells:
        """A table with the contract's columns, in any order and with others beside them."""
        return to_cells(self.prepare(data, **told), self.contract)

    def usable(self, store: Store, rows: Rows) -> Rows:
        """Records of which at least one cell is known."""
        found = self.read(store, rows)
        known = (found.categories >= 0).any(dim=1) | (~found.numbers.isnan()).any(dim=1)
        kept: Rows = np.asarray(rows)[known.numpy()]
        return kept


def fit_contract(store: Store, rows: Rows, config: TableConfig) -> TableContract:
    """What the encoder of a table expects, from the records of training participants.

    Args:
        store: Where the labels are.
        rows: Records for training alone.
        config: Names the columns.

    Raises:
        ConfigError: A column is absent, empty in training, or could be of both kinds.
    """
    frame = label_frame(store, rows, config.names)
    return fit_table(
        frame, columns=config.columns, categories=config.categories, numbers=config.numbers
    )


def label_frame(store: Store, rows: Rows, names: Sequence[str]) -> pd.DataFrame:
    """Labels of records, and of their participants where records have none of that name.

    Raises:
        ConfigError: There is no such label; names the nearest.
    """
    records, people = store.record_labels, store.participants
    known = [*map(str, records.columns), *(str(n) for n in people.columns if n not in DERIVED)]
    record, person = (store.column(name, rows) for name in (schema.RECORD, schema.PARTICIPANT))
    found: dict[str, Any] = {}
    for name in names:
        if name not in known:
            msg = f"table: the store has no label column {name!r}{nearest(name, known)}"
            raise ConfigError(msg)
        of_records = name in records.columns
        labels = records[name].reindex(record) if of_records else people[name].reindex(person)
        found[name] = labels.to_numpy()
    return pd.DataFrame(found, columns=list(names))


def _frame(data: Any) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, pd.Series | Mapping):
        return pd.DataFrame([dict(data)])
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return pd.DataFrame(list(data))
    msg = (
        "a table is a pandas DataFrame, a mapping for one row, or a list of mappings, not "
        f"{type(data).__name__}"
    )
    raise ContractError(msg)
