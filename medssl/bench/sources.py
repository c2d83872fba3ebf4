"""Where the benchmark's raw files are: folders, put into the paths of its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from medssl.errors import StageError

_DATA: Final = "{data}"


def fill_in(
    sources: Sequence[dict[str, Any]], data: Path, made: Mapping[str, Path] | None = None
) -> None:
    """Replace `{data}` and other words in the paths of sources, in place.

    Args:
        sources: Of an ingest stage.
        data: Folder of the data sets.
        made: Folders that the benchmark writes itself, by their words; they may come later.

    Raises:
        StageError: A data set is not there.
    """
    missing = {
        source["path"].replace(_DATA, "DATA")
        for source in sources
        if _DATA in source["path"] and not Path(source["path"].replace(_DATA, str(data))).is_dir()
    }
    if missing:
        msg = f"{data} lacks {', '.join(sorted(missing))}: give the folder of the data sets"
        raise StageError(msg)
    words = {_DATA: data} | {f"{{{word}}}": folder for word, folder in (made or {}).items()}
    for source in sources:
        for word, folder in words.items():
            source["path"] = source["path"].replace(word, str(folder.resolve()))
