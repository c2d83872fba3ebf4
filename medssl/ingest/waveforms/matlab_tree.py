"""Paths into MATLAB files: what both kinds of file, in memory and HDF5, answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from medssl.ingest.sources.matlab import HERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Numbers in rows and columns, as MATLAB counts them.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        read: Gives some rows and columns as float64; leaves nothing open.
    """

    rows: int
    columns: int
    read: Callable[[Any, Any], np.ndarray[tuple[int, int], np.dtype[np.float64]]]


class Node(Protocol):
    """A value in a MATLAB file."""

    def field(self, name: str) -> Node:
        """A field of a struct.

        Raises:
            Unreadable: It is no single struct, or has no such field.
        """

    @property
    def names(self) -> tuple[str, ...]:
        """Fields of a struct or an array of structs; empty for anything else."""

    @property
    def count(self) -> int:
        """Elements of a struct or cell array, column by column.

        Raises:
            Unreadable: It is neither.
        """

    def element(self, number: int) -> Node:
        """One element of a struct or cell array, from 0."""

    def matrix(self) -> Matrix:
        """The numbers.

        Raises:
            Unreadable: It holds none, or claims more than the file can hold.
        """

    def texts(self) -> list[str]:
        """The rows of a char matrix, or the texts of a cell array.

        Raises:
            Unreadable: It holds none.
        """


def walk(node: Node, path: str) -> Node:
    """The value at a path such as `ppg/v`; `.` is the node itself.

    Raises:
        Unreadable: There is none.
    """
    for name in path.split("/") if path != HERE else ():
        node = node.field(name)
    return node
