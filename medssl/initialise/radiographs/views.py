"""Which view an image has: told by the table, the headers or the names."""

from __future__ import annotations

import re
from typing import Any, Final

from medssl.errors import ConfigError
from medssl.ingest.radiographs.views import canonical_view
from medssl.initialise.answers import COLUMN, HEADER, NONE, PATTERN
from medssl.initialise.radiographs.sides import Images

_WORDS: Final = r"(?i)(?:^|[/_. -])(?P<view>frontal|lateral|lat|pa|ap)(?=[/_. -])"
_USUAL: Final = 0.9


def tell_views(images: Images, answer: str | None) -> tuple[Any, str]:
    """The rule for views, and in words where it comes from.

    Args:
        images: The images.
        answer: What was answered, if anything.

    Returns:
        A view, a rule, `{"column": …}` for the manifest, or None; and where it comes from.

    Raises:
        ConfigError: The answer cannot be used.
    """
    if answer is not None:
        return _answered(images, answer), "as answered"
    listed = images.manifest
    if listed is not None and listed.roles.view:
        return {"column": listed.roles.view}, f"column {listed.roles.view!r} of the table"
    if images.format == "dicom":
        known = [canonical_view(view) for view in images.header("view").told if view]
        if any(known):
            return {"header": True}, "headers"
        return None, "no header looked at names one"
    found = [re.search(_WORDS, path) for path in images.paths]
    if sum(one is not None for one in found) >= _USUAL * len(found):
        return {"pattern": _WORDS}, "a word in the names"
    return None, "nothing tells views"


def _answered(images: Images, answer: str) -> Any:
    if answer == NONE:
        return None
    if answer == HEADER:
        images.header("view")
        return {"header": True}
    if answer.startswith(COLUMN):
        column = answer.removeprefix(COLUMN)
        if not any(canonical_view(view) for view in images.column(column).values):
            msg = f"--set view={answer}: the column names no view such as PA, AP or lateral"
            raise ConfigError(msg)
        return {"column": column}
    if answer.startswith(PATTERN):
        return {"pattern": answer.removeprefix(PATTERN)}
    return answer
