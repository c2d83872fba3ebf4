"""An image encoder and a text encoder with the heads that bring both into one space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from medssl.batches import ModelInput, Raw, count, take
from medssl.bundle import Encoder, load_encoder
from medssl.bundle.names import BUNDLE, HEAD, PARTNER_BUNDLE, PARTNER_HEAD
from medssl.contracts import ImageContract
from medssl.encoders import ImageEncoder
from medssl.errors import StageError
from medssl.evaluation.embed import check_contract
from medssl.evaluation.layers import load_head
from medssl.store import Store
from medssl.types import Array, Kind, Rows

BATCH = 128


@dataclass(frozen=True, eq=False)
class ImageTextModel:
    """Both encoders with their projection heads: an image and a sentence can be compared.

    Zero-shot scores and retrieval take projections, of both sides. What probes take is the
    encoders' own output, `image.embed`.

    Args:
        image: Encoder of images.
        image_head: Its head.
        text: Encoder of texts.
        text_head: Its head.
    """

    image: Encoder
    image_head: nn.Module
    text: Encoder
    text_head: nn.Module

    @classmethod
    def load(cls, folder: str | Path, *, device: str | None = None) -> ImageTextModel:
        """Load what the pretrain stage left: two bundles and two heads.

        Raises:
            StageError: The folder has no image encoder with a text encoder beside it.
            StoreError: A bundle is damaged.
        """
        root = Path(folder)
        files = [root / name for name in (BUNDLE, HEAD, PARTNER_BUNDLE, PARTNER_HEAD)]
        if not all(file.exists() for file in files):
            msg = (
                f"{root} is no output of pretraining with images and reports (method: convirt): "
                "give the folder that holds bundle and partner_bundle"
            )
            raise StageError(msg)
        image, text = (load_encoder(path, device=device) for path in (files[0], files[2]))
        kinds = (image.contract.modality.kind, text.contract.modality.kind)
        if kinds != (Kind.IMAGE, Kind.TEXT):
            msg = f"{root} holds encoders of {kinds[0]} and {kinds[1]}, not of image and text"
            raise StageError(msg)
        heads = (load_head(files[1], image.dim), load_head(files[3], text.dim))
        return cls(image, heads[0].to(image.device), text, heads[1].to(text.device))

    def project_rows(self, store: Store, rows: Rows) -> Array:
        """Projections of the images of a store, unit rows of shape (rows, dim).

        Raises:
            ContractError: The images break the encoder's contract.
        """
        check_contract(self.image.contract, store, rows)
        parts = [
            self.project_images(self.image.inputs.read(store, rows[at : at + BATCH]))
            for at in range(0, len(rows), BATCH)
        ]
        return np.concatenate(parts)

    def project_images(self, raw: Raw) -> Array:
        """Projections of images as a store holds them, unit rows of shape (images, dim)."""
        return _projected(self.image, self.image_head, raw)

    def project_files(self, paths: Sequence[Path | str], **told: Any) -> Array:
        """Projections of image files, unit rows of shape (files, dim).

        Args:
            paths: DICOM, PNG, JPEG or TIFF files.
            told: As `Encoder.prepare` takes them, such as `burned_in="keep"`.

        Raises:
            ContractError: A file cannot be read.
        """
        prepared = [self.image.prepare(path, **told) for path in paths]
        return self.project_images(self.image.inputs.accept(prepared))

    def project_blank(self) -> Array:
        """Projection of an image that is black everywhere, shape (dim,)."""
        contract = self.image.contract
        assert isinstance(contract, ImageContract)
        nothing = np.zeros((contract.edge, contract.edge), dtype=f"u{contract.bits // 8}")
        projected: Array = self.project_images(self.image.inputs.accept([nothing]))[0]
        return projected

    def project_texts(self, texts: Sequence[str]) -> Array:
        """Projections of sentences or reports, unit rows of shape (texts, dim).

        Raises:
            ContractError: A text is empty.
        """
        return _projected(self.text, self.text_head, self.text.inputs.accept(list(texts)))

    def project_reports(self, store: Store, rows: Rows) -> Array:
        """Projections of whole reports of a store, unit rows of shape (rows, dim)."""
        return _projected(self.text, self.text_head, self.text.inputs.read(store, rows))

    def project_map(self, raw: Raw) -> Array:
        """Every place of the image encoder's last feature map, projected by itself.

        Returns:
            Unit rows, shape (images, dim, rows, columns); see `similarity_map.project_places`.
        """
        from medssl.evaluation.image_text.similarity_map import project_places

        encoder = self.image.module
        assert isinstance(encoder, ImageEncoder)
        with torch.inference_mode():
            given = self.image.inputs.plain(raw, self.image.device)
            assert isinstance(given, torch.Tensor)
            features = encoder.feature_map(given)
            return np.asarray(project_places(features, self.image_head).cpu())


def load_image_text(folder: str | Path, *, device: str | None = None) -> ImageTextModel:
    """Load both encoders of images and reports, with the heads that make them comparable.

    Args:
        folder: Output of the pretrain stage, such as `medssl-runs/radiographs/pretrain`.
        device: `"cpu"`, `"cuda"`, …; by default a GPU when there is one.

    Raises:
        StageError: The folder has no image encoder with a text encoder beside it.
        StoreError: A bundle is damaged.
    """
    return ImageTextModel.load(folder, device=device)


def _projected(encoder: Encoder, head: nn.Module, raw: Raw) -> Array:
    parts = []
    with torch.inference_mode():
        for start in range(0, count(raw), BATCH):
            piece = take(raw, start, min(start + BATCH, count(raw)))
            given: ModelInput = encoder.inputs.plain(piece, encoder.device)
            rows = head(encoder.module(given)).float()
            parts.append(torch.nn.functional.normalize(rows, dim=1).cpu().numpy())
    return np.concatenate(parts)
