"""Embeddings: one vector per record, with the participant and session it belongs to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medssl.errors import StageError
from medssl.files import replacing
from medssl.store.schema import PARTICIPANT, RECORD, SESSION
from medssl.types import EmbeddingArray

EMBEDDING: Final = "embedding"
METADATA_KEY: Final = b"medssl-embeddings"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Encoder outputs of records, in one order.

    Args:
        records: Names of the records, shape (n,).
        participants: Pseudonym of each record's participant, shape (n,).
        sessions: Session of each record, shape (n,).
        values: Float32 array of shape (n, d); every value is finite.
        metadata: Where they come from: digests of store and bundle, modality, warnings.

    Raises:
        StageError: The columns do not belong together, or a value is not finite.

    >>> embeddings = Embeddings(["r1", "r2"], ["p1", "p1"], ["s1", "s1"], [[1, 2], [3, 4]])
    >>> embeddings.participant_means()
    (array(['p1'], dtype='<U2'), array([[2., 3.]]))
    """

    records: np.ndarray
    participants: np.ndarray
    sessions: np.ndarray
    values: EmbeddingArray
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("records", "participants", "sessions"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.str_))
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float32))
        self._check()

    def _check(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] == 0:
            msg = f"embeddings have shape {self.values.shape}: give (records, dimensions)"
            raise StageError(msg)
        lengths = {len(self.records), len(self.participants), len(self.sessions), len(self.values)}
        if len(lengths) != 1:
            msg = f"embedding columns have different lengths {sorted(lengths)}: give one per record"
            raise StageError(msg)
        if len(np.unique(self.records)) != len(self.records):
            msg = "a record has two embeddings: embed each record once"
            raise StageError(msg)
        bad = int(np.count_nonzero(~np.isfinite(self.values).all(axis=1)))
        if bad:
            msg = (
                f"{bad} of {len(self)} embeddings are not finite: "
                "look at the losses of the pretrain stage, then embed again"
            )
            raise StageError(msg)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dim(self) -> int:
        """Length of one embedding."""
        return int(self.values.shape[1])

    def participant_means(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean embedding of each participant.

        Returns:
            Sorted pseudonyms of shape (p,), and float64 means of shape (p, d).
        """
        names, means, _ = self.participant_table()
        return names, means

    def participant_table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sorted pseudonyms (p,), float64 mean embeddings (p, d) and record counts (p,)."""
        names, inverse, counts = np.unique(
            self.participants, return_inverse=True, return_counts=True
        )
        if len(names) == 0:
            return names, np.empty((0, self.dim)), counts
        order = np.argsort(inverse, kind="stable")
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        sums = np.add.reduceat(self.values[order], starts, axis=0, dtype=np.float64)
        return names, sums / counts[:, None], counts

    def take(self, rows: np.ndarray) -> Embeddings:
        """The embeddings at `rows` (positions or a mask)."""
        return Embeddings(
            self.records[rows],
            self.participants[rows],
            self.sessions[rows],
            self.values[rows],
            dict(self.metadata),
        )

    def write(self, path: Path) -> None:
        """Write one Parquet file, atomically; the vectors are a fixed-size list column."""
        flat = pa.array(np.ascontiguousarray(self.values).reshape(-1), type=pa.float32())
        table = pa.table(
            {
                RECORD: pa.array(self.records, type=pa.string()),
                PARTICIPANT: pa.array(self.participants, type=pa.string()),
                SESSION: pa.array(self.sessions, type=pa.string()),
                EMBEDDING: pa.FixedSizeListArray.from_arrays(flat, self.dim),
            }
        )
        head = json.dumps({"version": FORMAT_VERSION, "metadata": self.metadata}, sort_keys=True)
        table = table.replace_schema_metadata({METADATA_KEY: head.encode()})
        with replacing(Path(path)) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def read(cls, path: str | Path) -> Embeddings:
        """Read what `write` wrote.

        Raises:
            StageError: The file is absent, is not an embeddings file, or is from a newer medssl.
        """
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            reason = " ".join(str(error).split())
            msg = f"cannot read embeddings at {path}: {reason}"
            raise StageError(msg) from error
        return cls._from_table(table, Path(path))

    @classmethod
    def _from_table(cls, table: pa.Table, path: Path) -> Embeddings:
        head = (table.schema.metadata or {}).get(METADATA_KEY)
        if head is None:
            msg = f"{path} is not an embeddings file of medssl: write it with `medssl embed`"
            raise StageError(msg)
        described: dict[str, Any] = json.loads(head)
        if described["version"] > FORMAT_VERSION:
            msg = f"{path} has embeddings version {described['version']}: upgrade medssl"
            raise StageError(msg)
        # An empty table has no chunk to combine, and its vectors still have a length.
        dim = table.schema.field(EMBEDDING).type.list_size
        column = table.column(EMBEDDING).combine_chunks()
        values = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
        records, participants, sessions = (
            table.column(name).to_numpy(zero_copy_only=False)
            for name in (RECORD, PARTICIPANT, SESSION)
        )
        return cls(records, participants, sessions, values, described["metadata"])
