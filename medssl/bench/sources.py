"""Where the benchmark's raw files are: the data folder, put into the paths of its sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from medssl.errors import StageError

_DATA: Final = "{data}"


def fill_in(sources: Sequence[dict[str, Any]], data: Path) -> None:
    """Replace `{data}` in the paths of sources, in place.

    Raises:
        StageError: A data set is not there.
    """
    missing = {
        source["path"].replace(_DATA, "DATA")
        for source in sources
        if not Path(source["path"].replace(_DATA, str(data))).is_dir()
    }
    if missing:
        msg = f"{data} lacks {', '.join(sorted(missing))}: give the folder of the data sets"
        raise StageError(msg)
    for source in sources:
        source["path"] = source["path"].replace(_DATA, str(data.resolve()))
