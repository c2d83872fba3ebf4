"""Images: pixels of a store, centred in a square, as grey values around 0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medssl.batches import Pictures, Raw
from medssl.config import find_problems, join_problems
from medssl.contracts import ImageContract
from medssl.contracts.grey_scale import GreyScale
from medssl.errors import ContractError
from medssl.inputs.base import Inputs
from medssl.store import Store
from medssl.types import Array, Rows
from medssl.views.image import ImageViews, plain


class ImageInputs(Inputs):
    """Grey images, `Pictures` as stored, (batch, 1, size, size) as seen."""

    def __init__(self, contract: ImageContract) -> None:
        self.contract: ImageContract = contract

    def read(self, store: Store, rows: Rows) -> Pictures:
        """Images centred in squares, as whole numbers."""
        return self.centred([np.asarray(store.read_record(int(row))) for row in rows])

    def plain(self, raw: Raw, device: torch.device | str = "cpu") -> Tensor:
        """The square, brought to the encoder's size."""
        assert isinstance(raw, Pictures)
        moved = Pictures(*(part.to(device, non_blocking=True) for part in raw))
        return self.normalise(plain(moved, self.contract.size))

    def viewed(self, raw: Raw, views: ImageViews, *, seed: int) -> Tensor:
        """Views of the images inside their squares."""
        assert isinstance(raw, Pictures)
        return self.normalise(views(raw, seed=seed))

    def normalise(self, x: Tensor) -> Tensor:
        """From grey values in [0, 1] to what the encoder takes."""
        return (x - self.contract.mean) / self.contract.deviation

    def prepare(self, data: Any, **told: Any) -> Array:
        """A file, or an array of grey values in [0, 1], as ingest would store it.

        Args:
            data: Path of a DICOM, PNG, JPEG or TIFF file, or an array of shape (rows, columns).
            told: What is not refused, of `medssl.ingest.radiographs.settings.DisplaySettings`,
                such as `burned_in="keep"`. The grey scale is the contract's.

        Raises:
            ContractError: The file cannot be read as an image, the array is none, a setting
                is unknown or the contract's, or the contract tells no grey scale of files.
        """
        from medssl.ingest.radiographs.fit import fit

        if isinstance(data, str | Path):
            pixels = _read(Path(data), self.contract.grey_scale, told)
        else:
            _refuse_told(told, "an array of grey values as displayed")
            pixels = _grey(data)
        return fit(pixels, edge=self.contract.edge, bits=self.contract.bits)

    def accept(self, data: Any, **told: Any) -> Pictures:
        """Images as `prepare` gives them, one or several."""
        _refuse_told(told, "a prepared image")
        images = [data] if isinstance(data, np.ndarray) and data.ndim == 2 else list(data)
        edge, dtype = self.contract.edge, np.dtype(f"u{self.contract.bits // 8}")
        for image in images:
            array = np.asarray(image)
            if array.ndim != 2 or max(array.shape) != edge or array.dtype != dtype:
                msg = (
                    f"an image has shape {array.shape} and type {array.dtype}; this encoder "
                    f"expects {dtype} with a longer side of {edge}: pass it through prepare(image)"
                )
                raise ContractError(msg)
        return self.centred(images)

    def centred(self, images: Sequence[Array]) -> Pictures:
        """Images in squares of black, whose side is the contract's edge."""
        edge = self.contract.edge
        kind = np.uint8 if self.contract.bits == 8 else np.int32  # torch knows little of uint16
        pixels = np.zeros((len(images), 1, edge, edge), dtype=kind)
        extents = np.array([image.shape for image in images], dtype=np.int64).reshape(-1, 2)
        for place, image in enumerate(images):
            top, left = (edge - extents[place]) // 2
            pixels[place, 0, top : top + image.shape[0], left : left + image.shape[1]] = image
        return Pictures(torch.from_numpy(pixels), torch.from_numpy(extents))


def _read(path: Path, grey_scale: GreyScale | None, told: dict[str, Any]) -> Array:
    from medssl.ingest.ledger import Unreadable
    from medssl.ingest.radiographs.dicom_reader import is_dicom, read_dicom
    from medssl.ingest.radiographs.image_reader import read_image
    from medssl.ingest.radiographs.settings import DisplaySettings

    if not path.is_file():
        msg = f"there is no image file at {path}: correct the path"
        raise ContractError(msg)
    if grey_scale is None:
        msg = "this contract does not tell how files become grey values: give grey values in [0, 1]"
        raise ContractError(msg)
    fixed = sorted(told.keys() & GreyScale.model_fields.keys())
    if fixed:
        msg = f"{', '.join(fixed)}: the contract says how files become grey values; leave it out"
        raise ContractError(msg)
    told = grey_scale.model_dump() | told
    problems = find_problems(DisplaySettings, told, where="prepare")
    if problems:
        raise ContractError(join_problems(problems))
    try:
        read = read_dicom if is_dicom(path) else read_image
        return read(path, DisplaySettings(**told), folder=path.parent).pixels
    except Unreadable as verdict:
        detail = f" ({verdict.detail})" if verdict.detail else ""
        msg = f"{path.name} is no readable image: {verdict.reason.value}{detail}. "
        raise ContractError(msg + verdict.reason.remedy) from verdict


def _refuse_told(told: dict[str, Any], what: str) -> None:
    if told:
        msg = f"{what} needs no {', '.join(sorted(told))}: give it alone"
        raise ContractError(msg)


def _grey(data: Any) -> Array:
    pixels = np.asarray(data)
    wrong = (
        pixels.ndim != 2
        or pixels.size == 0
        or pixels.dtype.kind != "f"
        or not np.isfinite(pixels).all()
    )
    if wrong or pixels.min() < 0 or pixels.max() > 1:
        msg = (
            f"an image of shape {pixels.shape} and type {pixels.dtype}: give a path, or grey "
            "values in [0, 1] as displayed, shape (rows, columns)"
        )
        raise ContractError(msg)
    return pixels.astype(np.float32)
