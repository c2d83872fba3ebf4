"""Small real recordings and images that ship with medssl, for the demo and the tests."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from medssl.config import nearest
from medssl.errors import IngestError

SAMPLES: Final = ("cxr_nih", "ecg_id", "ppg_bp")
"""Names that `sample_path` knows."""

PREFIX: Final = "sample:"
"""A configured path such as `sample:ppg_bp` means the sample of that name."""


def sample_path(name: str) -> Path:
    """Folder of a sample data set; never needs the network.

    Args:
        name: `"ppg_bp"` (finger PPG, 131 participants), `"ecg_id"` (lead I ECG, 54 participants) or
            `"cxr_nih"` (chest radiographs of 58 participants, with template sentences for reports).

    Raises:
        IngestError: There is no sample of that name.

    >>> sample_path("ppg_bp").name
    'ppg_bp'
    """
    if name not in SAMPLES:
        msg = f"no sample data set is called {name!r}{nearest(name, SAMPLES)}"
        raise IngestError(msg)
    return Path(str(resources.files("medssl.samples") / name))
