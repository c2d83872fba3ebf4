"""Raw files to records: discovery, readers, segments, quality, pseudonyms and the ledger."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medssl.ingest.config import IngestConfig
    from medssl.ingest.ledger import Reason
    from medssl.ingest.report import IngestReport
    from medssl.ingest.run import ingest

__all__ = ["IngestConfig", "IngestReport", "Reason", "ingest"]

_HOMES = {
    "IngestConfig": "config",
    "IngestReport": "report",
    "Reason": "ledger",
    "ingest": "run",
}


def __getattr__(name: str) -> Any:
    """Load readers and neurokit2 only when they are used."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
