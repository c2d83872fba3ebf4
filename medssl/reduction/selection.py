"""The records kept by reduction: a mask over a store with a reason for every record left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medssl.errors import StoreError
from medssl.files import digest_bytes, replacing
from medssl.store import Store
from medssl.store.schema import RECORD
from medssl.types import Rows

SELECTION_SCHEMA: Final = pa.schema(
    [
        pa.field(RECORD, pa.string(), nullable=False),
        pa.field("keep", pa.bool_(), nullable=False),
        pa.field("keeper", pa.string()),
        pa.field("distance", pa.float64()),
        pa.field("reason", pa.string()),
    ]
)
_STORE_KEY: Final = b"medssl.store"


@dataclass(frozen=True)
class Selection:
    """One row per record of a store, in its order; nothing is copied or deleted.

    A record that is left out names its reason and, when it is redundant, the kept record that
    stands for it (`keeper`) and how far that one is (`distance`, 0 for an exact duplicate).
    """

    table: pa.Table
    store_digest: str

    @classmethod
    def everything(cls, store: Store) -> Selection:
        """Keep all records."""
        n = store.records.num_rows
        columns = [
            store.records[RECORD], np.ones(n, dtype=bool),
            pa.nulls(n, pa.string()), pa.nulls(n, pa.float64()), pa.nulls(n, pa.string()),
        ]  # fmt: skip
        return cls(pa.table(columns, schema=SELECTION_SCHEMA), store.digest)

    @property
    def keep(self) -> np.ndarray:
        """Boolean mask over the rows of the store."""
        return np.asarray(self.table["keep"].to_numpy())

    @property
    def digest(self) -> str:
        """Digest of what is kept, and why the rest is not."""
        left_out = self.table.filter(pc.invert(self.table["keep"]))
        columns = [left_out[name].to_pylist() for name in left_out.column_names]
        lines = "\n".join(repr(row) for row in zip(*columns, strict=True))
        return digest_bytes(f"{self.store_digest}\n{self.table.num_rows}\n{lines}".encode())

    def counts(self) -> dict[str, int]:
        """Number of records kept, and left out by reason."""
        counts = {"kept": int(self.keep.sum())}
        for item in self.table["reason"].drop_null().value_counts().to_pylist():
            counts[str(item["values"])] = int(item["counts"])
        return counts

    def drop(
        self,
        rows: Rows,
        *,
        reason: str,
        keepers: Rows | None = None,
        distances: np.ndarray | None = None,
    ) -> Selection:
        """Leave out more records.

        Args:
            rows: Row numbers to leave out; those already left out keep their first reason.
            reason: Why, such as `"exact_duplicate"`.
            keepers: For each row, the row number of the kept record that stands for it.
            distances: For each row, how far its keeper is.
        """
        fresh = self.keep[rows]
        rows = np.asarray(rows)[fresh]
        table = self.table.to_pandas()
        table.loc[rows, "keep"] = False
        table.loc[rows, "reason"] = reason
        if keepers is not None:
            names = self.table[RECORD].take(pa.array(np.asarray(keepers)[fresh])).to_pandas()
            table.loc[rows, "keeper"] = names.to_numpy()
        if distances is not None:
            table.loc[rows, "distance"] = np.asarray(distances)[fresh]
        new = pa.Table.from_pandas(table, schema=SELECTION_SCHEMA, preserve_index=False)
        return Selection(new, self.store_digest)

    def rows(self, store: Store, rows: Rows) -> Rows:
        """Those of `rows` that are kept.

        Raises:
            StoreError: The selection was made for another store or an older version of it.
        """
        if self.store_digest != store.digest:
            msg = (
                f"the selection was made for store {self.store_digest[:8]} and this store is "
                f"{store.digest[:8]}: run the reduce stage again"
            )
            raise StoreError(msg)
        kept: Rows = np.asarray(rows)[self.keep[rows]]
        return kept

    def write(self, path: Path) -> None:
        """Write one Parquet file, atomically."""
        table = self.table.replace_schema_metadata({_STORE_KEY: self.store_digest})
        with replacing(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def read(cls, path: Path) -> Selection:
        """Read what `write` wrote.

        Raises:
            StoreError: The file is absent or is not a selection.
        """
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            msg = f"cannot read the selection at {path}: run the reduce stage again"
            raise StoreError(msg) from error
        digest = (table.schema.metadata or {}).get(_STORE_KEY)
        if digest is None or table.schema.remove_metadata() != SELECTION_SCHEMA:
            msg = f"{path} is not a selection written by the reduce stage"
            raise StoreError(msg)
        return cls(table.replace_schema_metadata(None), digest.decode())
