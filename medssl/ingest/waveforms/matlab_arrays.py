"""Values of MATLAB 4 and 5 files, which scipy holds in memory, as nodes of a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.matlab_tree import Matrix


@dataclass(frozen=True, slots=True)
class ArrayNode:
    """A value as scipy reads it: structs are structured arrays, cells arrays of objects.

    Args:
        value: The array.
    """

    value: Any

    def field(self, name: str) -> ArrayNode:
        """See `Node`."""
        value = self._unwrapped()
        if value.dtype.names is None or name not in value.dtype.names:
            count = len(value.dtype.names or ())
            raise Unreadable(Reason.MISSING_CHANNEL, f"{count} fields, none of the configured name")
        if value.size != 1:
            detail = f"an array of {value.size} structs on a configured path: name it recordings"
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail)
        return ArrayNode(np.asarray(value.reshape(-1)[0][name]))

    def _unwrapped(self) -> Any:
        """The value itself, or what a cell of one value holds."""
        if self.value.dtype == object and self.value.size == 1:
            return np.asarray(self.value.reshape(-1)[0])
        return self.value

    @property
    def names(self) -> tuple[str, ...]:
        """See `Node`."""
        return tuple(self._unwrapped().dtype.names or ())

    @property
    def count(self) -> int:
        """See `Node`."""
        if self.value.dtype.names is None and self.value.dtype != object:
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, "neither structs nor cells")
        return int(self.value.size)

    def element(self, number: int) -> ArrayNode:
        """See `Node`."""
        flat = self.value.reshape(-1, order="F")
        if self.value.dtype.names is not None:
            return ArrayNode(flat[number : number + 1])
        return ArrayNode(np.asarray(flat[number]))

    def matrix(self) -> Matrix:
        """See `Node`."""
        value = self._unwrapped()
        if value.dtype.names is not None or value.dtype.kind not in "biuf" or value.ndim != 2:
            kind = "structs or cells" if value.dtype.hasobject else f"{value.ndim}-D {value.dtype}"
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, f"{kind}, not numbers")
        return Matrix(
            rows=value.shape[0],
            columns=value.shape[1],
            read=lambda rows, columns: value[rows, columns].astype(np.float64),
        )

    def texts(self) -> list[str]:
        """See `Node`."""
        value = self.value
        if value.dtype == object:
            cells = [np.asarray(one).reshape(-1) for one in value.reshape(-1, order="F")]
            if all(len(cell) == 1 and cell.dtype.kind == "U" for cell in cells):
                return [str(cell[0]).strip() for cell in cells]
        elif value.dtype.kind == "U":
            return [str(row).strip() for row in value.reshape(-1)]
        raise Unreadable(Reason.MISSING_CHANNEL, "names that are no texts")
