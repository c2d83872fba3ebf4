"""Formats that this version does not read, told by magic bytes and extensions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from medssl.initialise.listing import spread, suffix

_SAMPLE: Final = 5
"""Files of each extension whose first bytes are looked at."""

_EXTENSIONS: Final = {
    ".edf": "EDF", ".bdf": "BDF", ".dcm": "DICOM", ".nii": "NIfTI", ".nii.gz": "NIfTI",
    ".mat": "MATLAB", ".h5": "HDF5", ".hdf5": "HDF5", ".parquet": "Parquet", ".feather": "Arrow",
    ".npy": "NumPy", ".npz": "NumPy", ".png": "image", ".jpg": "image", ".jpeg": "image",
    ".tif": "image", ".tiff": "image", ".bmp": "image", ".gif": "image", ".pdf": "PDF",
    ".json": "JSON", ".xml": "XML", ".zip": "archive", ".gz": "archive", ".tar": "archive",
    ".7z": "archive", ".pkl": "pickle", ".pickle": "pickle", ".wav": "audio", ".mp4": "video",
    ".avi": "video", ".docx": "Word", ".doc": "Word", ".rds": "R", ".rdata": "R", ".sav": "SPSS",
    ".xls": "old Excel",
}  # fmt: skip
_MAGIC: Final = (
    (0, b"0       ", "EDF"), (0, b"\xffBIOSEMI", "BDF"), (128, b"DICM", "DICOM"),
    (344, b"n+1\0", "NIfTI"), (0, b"MATLAB 5.0", "MATLAB"), (0, b"\x89HDF", "HDF5"),
    (0, b"PAR1", "Parquet"), (0, b"\x93NUMPY", "NumPy"), (0, b"\x89PNG", "image"),
    (0, b"\xff\xd8\xff", "image"), (0, b"II*\0", "image"), (0, b"MM\0*", "image"),
    (0, b"GIF8", "image"), (0, b"%PDF", "PDF"), (0, b"\x1f\x8b", "archive"),
    (0, b"PK\x03\x04", "archive"), (0, b"RIFF", "audio"), (0, b"<?xml", "XML"),
)  # fmt: skip


def is_known(path: str) -> bool:
    """Whether the extension is that of a format which this version does not read."""
    return suffix(path) in _EXTENSIONS


def magic(path: Path) -> str | None:
    """The format that a file's first bytes tell, or None.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(352)
    for offset, mark, name in _MAGIC:
        if head[offset : offset + len(mark)] == mark:
            return name
    return None


def other_formats(folder: Path, paths: Iterable[str]) -> Counter[str]:
    """Count files by format; the first bytes of a few files of each extension decide.

    Args:
        folder: The folder.
        paths: Files in it that are neither recordings nor tables.

    Returns:
        Counts; `"other"` stands for what neither bytes nor extension tell.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[suffix(path)].append(path)
    counts: Counter[str] = Counter()
    for extension, members in groups.items():
        told = Counter(_look(folder, path) for path in spread(members, _SAMPLE))
        name, votes = told.most_common(1)[0]
        # Many formats are archives inside; their extension says more.
        sure = name not in {None, "archive"} and 2 * votes > told.total()
        counts[(name if sure else None) or _EXTENSIONS.get(extension) or name or "other"] += len(
            members
        )
    return counts


def _look(folder: Path, path: str) -> str | None:
    try:
        inside = (folder / path).resolve().is_relative_to(folder)
        return magic(folder / path) if inside and (folder / path).is_file() else None
    except OSError:
        return None  # the count stands; ingest says why a file cannot be read
