"""ingest: raw files → store and ledger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medssl.errors import StageError
from medssl.files import digest_json
from medssl.ingest.config import IngestConfig
from medssl.ingest.listing import list_files as walk
from medssl.stages.base import Context, Result, Stage
from medssl.store.schema import MANIFEST

STORE = "store"


def run(context: Context) -> Result:
    """Write the store; a corpus that gives no record at all is an error."""
    from medssl.ingest import ingest
    from medssl.store import Store

    report = ingest(context.config, context.out / STORE, progress=context.progress)
    store = Store.open(context.out / STORE)
    if store.records.num_rows == 0:
        reasons = ", ".join(f"{k}: {v}" for k, v in report.ledger.items()) or "no files were found"
        msg = f"ingest: none of {report.files} files gave a record ({reasons}); see the sources"
        raise StageError(msg)
    context.run.dataset(STORE, store.digest)
    return Result(digest=store.digest, summary=report.to_dict())


def store_folder(folder: Path) -> Path:
    """The store in the output of an ingest stage, or the folder itself when it is a store."""
    return folder if (folder / MANIFEST).is_file() else folder / STORE


def list_files(config: IngestConfig) -> Mapping[str, str]:
    """One digest per source over the names, sizes and times of its files; contents are not read."""
    digests = {}
    for source in config.sources:
        folder = source.folder()
        stats = []
        for name in walk(folder):
            stat = (folder / name).lstat()
            stats.append((name, stat.st_size, stat.st_mtime_ns))
        digests[source.name] = digest_json(stats)
    return digests


STAGE = Stage(
    name="ingest", version=2, config=IngestConfig, run=run, sources=list_files,
    ignores=("workers", "files_per_task"),
)  # fmt: skip
