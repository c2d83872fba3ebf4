"""Where unfinished ingests work, and what becomes of those that were killed."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import filelock

from medssl.errors import StoreError

logger = logging.getLogger(__name__)

STAGING: Final = ".staging"
"""Folder inside the store where unfinished ingests work; nothing in it belongs to the store."""


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """A folder for unfinished work, removed in the end; those of killed ingests go first.

    Raises:
        StoreError: The disk refuses.
    """
    parent = path / STAGING
    staging = parent / uuid.uuid4().hex
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.iterdir():
            if old.is_dir():
                _remove_abandoned(old)
        # The lock belongs to the process: it ends with it, also when it is killed.
        with filelock.FileLock(_lock(staging)):
            staging.mkdir()
            yield staging
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = f"cannot write the store at {path} ({reason}): put that right and run again"
        raise StoreError(msg) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _lock(staging).unlink(missing_ok=True)
        for folder in (parent, path):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _lock(staging: Path) -> Path:
    return staging.with_suffix(".lock")


def _remove_abandoned(staging: Path) -> None:
    try:
        with filelock.FileLock(_lock(staging), timeout=0):
            shutil.rmtree(staging)
    except filelock.Timeout:
        logger.info("another ingest is at work on the same store")
    else:
        _lock(staging).unlink(missing_ok=True)
