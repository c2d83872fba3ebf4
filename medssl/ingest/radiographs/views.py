"""Names of radiographic views, as files write them and as medssl does."""

from __future__ import annotations

import re
from typing import Final, Literal

View = Literal["PA", "AP", "AP supine", "lateral", "frontal"]

_TEXTS: Final[dict[View, tuple[str, ...]]] = {
    "PA": (
        "pa", "p a", "posteroanterior", "postero anterior", "posterior anterior",
        "posterior to anterior", "frontal pa", "pa frontal", "chest pa", "pa chest", "pa erect",
        "erect pa", "pa upright", "upright pa", "pa standing",
    ),
    "AP": (
        "ap", "a p", "anteroposterior", "antero posterior", "anterior posterior",
        "anterior to posterior", "frontal ap", "ap frontal", "chest ap", "ap chest", "ap erect",
        "erect ap", "ap upright", "upright ap", "ap portable", "portable ap", "ap sitting",
        "ap semi erect", "ap semi upright", "ap semierect", "ap semiupright", "ap mobile",
    ),
    "AP supine": (
        "ap supine", "supine ap", "a p supine", "ap horizontal", "antero posterior supine",
        "anteroposterior supine", "portable ap supine", "ap supine portable",
    ),
    "lateral": (
        "lateral", "lat", "l", "ll", "rl", "left lateral", "right lateral", "lateral left",
        "lateral right", "l lateral", "r lateral", "left lat", "right lat", "lateral chest",
        "chest lateral", "lateral erect", "erect lateral",
    ),
    "frontal": ("frontal", "front", "chest frontal", "frontal chest"),
}  # fmt: skip

_NAMES: Final = {text: view for view, texts in _TEXTS.items() for text in texts}


def require_view(told: str) -> View:
    """The view that a setting names.

    Raises:
        ValueError: It is none that is known.
    """
    found = canonical_view(told)
    if found is None:
        msg = f"unknown view {told!r}: use PA, AP, AP supine, lateral or frontal"
        raise ValueError(msg)
    return found


def canonical_view(text: str | None) -> View | None:
    """The view that a text names; None for everything that is not known, never a guess.

    Case and punctuation do not matter. Obliques, decubitus and lordotic views have no name here:
    they are neither frontal nor lateral. `L` stands for lateral, as image collections use it;
    DICOM keeps laterality in another element.

    >>> [canonical_view(text) for text in ("Postero-anterior", "AP_SUPINE", "LL", "LLD")]
    ['PA', 'AP supine', 'lateral', None]
    """
    if text is None:
        return None
    return _NAMES.get(" ".join(re.findall(r"[a-z0-9]+", text.casefold())))


def is_frontal(view: str | None) -> bool:
    """Whether a canonical view looks through the chest from front to back, or back to front."""
    return view in {"PA", "AP", "AP supine", "frontal"}
