"""Shards mapped into memory, lazily and once per process."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy.lib.stride_tricks import as_strided

from medssl.errors import StoreError
from medssl.store.manifest import shard_path

_MAX_OPEN: Final = 256
"""Each mapping holds a file descriptor, and many systems allow 1,024 a process."""


class ShardMaps:
    """The bytes of a store's shards, read-only.

    A process that was forked starts with none, so that no mapping is shared with its parent.

    Args:
        root: Folder of the store.
        sizes: Size in bytes of every shard, by file name, as the manifest says.
    """

    def __init__(self, root: Path, sizes: Mapping[str, int]) -> None:
        self._root = root
        self._sizes = sizes
        self._forget()

    def _forget(self) -> None:
        self._maps: dict[str, UInt8[np.ndarray, " bytes"]] = {}
        self._process = os.getpid()
        # A lock held by another thread at the moment of a fork would never be released.
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> UInt8[np.ndarray, " bytes"]:
        """The bytes of one shard.

        Raises:
            StoreError: The shard is missing or has another size than the manifest says.
        """
        if os.getpid() != self._process:
            self._forget()
        found = self._maps.get(name)
        if found is None:
            with self._lock:
                if len(self._maps) >= _MAX_OPEN:
                    self._maps.pop(next(iter(self._maps)))
                found = self._maps[name] = self._open(name)
        return found

    def _open(self, name: str) -> UInt8[np.ndarray, " bytes"]:
        path = shard_path(self._root, name)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size == self._sizes[name]:
                    view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    return np.frombuffer(view, dtype=np.uint8)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            msg = f"shard {path} cannot be opened ({reason}): restore it from a copy"
            raise StoreError(msg) from error
        msg = (
            f"shard {path} has {size} bytes and should have {self._sizes[name]}: "
            "restore it from a copy"
        )
        raise StoreError(msg)


def windows(data: UInt8[np.ndarray, " bytes"], nbytes: int) -> UInt8[np.ndarray, "offsets nbytes"]:
    """Every run of `nbytes` bytes, as a view: one fancy index then copies whole segments.

    >>> windows(np.arange(5, dtype=np.uint8), 2)[[3, 0]].tolist()
    [[3, 4], [0, 1]]
    """
    view: np.ndarray = as_strided(
        data, shape=(len(data) - nbytes + 1, nbytes), strides=(1, 1), writeable=False
    )
    return view
