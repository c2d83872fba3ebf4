"""The output of a stage while it is unfinished: who works on it, and what a failure leaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from medssl.errors import StageError
from medssl.files import read_json

RUN_FILE: Final = ".run.json"
"""Tracking runs that work on the folder."""


def only_one(final: Path) -> AbstractContextManager[Any]:
    """Hold the lock of an output as long as it is worked on.

    Raises:
        StageError: Another process holds it.
    """
    lock = FileLock(final.with_name(f".{final.name}.lock"), timeout=0)
    try:
        return lock.acquire()
    except Timeout as error:
        msg = f"another process is running this stage for {final}: wait for it to end"
        raise StageError(msg) from error


@contextmanager
def without_remains(partial: Path) -> Iterator[None]:
    """Remove what a failed stage leaves, where that is no file of its own to go on from."""
    try:
        yield
    except Exception:
        left = (path for path in partial.rglob("*") if not path.is_dir())
        if partial.is_dir() and all(path.name == RUN_FILE for path in left):
            shutil.rmtree(partial, ignore_errors=True)
        raise


def left_runs(partial: Path) -> list[str]:
    """Tracking runs of the process that left an unfinished output."""
    try:
        return list(read_json(partial / RUN_FILE)["run_ids"])
    except (OSError, ValueError, KeyError):
        return []  # killed before the runs had an id
