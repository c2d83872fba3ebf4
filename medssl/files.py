"""Digests and atomic writes: a file or folder is either the old one or the new one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DIGEST_BYTES = 16
"""Length of every content digest (BLAKE2b, 128 bits, 32 hexadecimal characters)."""


def digest_bytes(data: bytes | memoryview) -> str:
    """BLAKE2b digest of bytes, as hexadecimal text.

    >>> digest_bytes(b"")
    'cae66941d9efbd404e4d88758ea67670'
    """
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def digest_file(path: Path) -> str:
    """BLAKE2b digest of a file's content, read in pieces of 1 MiB."""
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            state.update(piece)
    return state.hexdigest()


def digest_content(path: Path) -> str:
    """Digest of a file, or of the names and contents of the files that stand in a folder.

    Hidden files and folders inside are left out. A path where nothing stands has a digest too:
    whoever reads it says what is absent.
    """
    if path.is_file():
        return digest_file(path)
    files = sorted(path.iterdir()) if path.is_dir() else []
    return digest_json(
        [
            (file.name, digest_file(file))
            for file in files
            if file.is_file() and not file.name.startswith(".")
        ]
    )


def digest_json(value: Any) -> str:
    """Digest of a JSON value; the order of mapping keys does not matter.

    >>> digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return digest_bytes(text.encode())


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block succeeds.

    A block that raises, or a process that dies, leaves `path` as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value to `path`, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON value."""
    return json.loads(path.read_text(encoding="utf-8"))


def publish_folder(temporary: Path, final: Path) -> None:
    """Rename a finished folder into place, replacing what stood there.

    Every file is flushed to disk first, so that a folder under its final name is always whole.
    """
    for file in temporary.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    sync_folder(temporary)
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    sync_folder(final.parent)
