"""The store: indexed tar shards that are appended to, mapped, and never rewritten."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medssl.store.exports import export
    from medssl.store.reader import Store
    from medssl.store.shard import ShardWriter
    from medssl.store.verification import verify
    from medssl.store.writer import append, write_store

__all__ = ["ShardWriter", "Store", "append", "export", "verify", "write_store"]

_PLACES = {
    "ShardWriter": "shard",
    "Store": "reader",
    "append": "writer",
    "export": "exports",
    "verify": "verification",
    "write_store": "writer",
}


def __getattr__(name: str) -> Any:
    """Import tables and arrays only when they are used; the command line starts without them."""
    if name not in _PLACES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
