"""ingest: raw files → store and ledger."""

from __future__ import annotations

from collections.abc import Mapping

from medssl.errors import StageError
from medssl.files import digest_json
from medssl.ingest.config import IngestConfig
from medssl.stages.base import Context, Result, Stage

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


def list_files(config: IngestConfig) -> Mapping[str, str]:
    """One digest per source over the names, sizes and times of its files; contents are not read."""
    digests = {}
    for source in config.sources:
        folder = source.folder()
        stats = [
            (file.relative_to(folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        ]
        digests[source.name] = digest_json(stats)
    return digests


STAGE = Stage(name="ingest", version=1, config=IngestConfig, run=run, sources=list_files)
