"""Images of different participants that are one image: resized, compressed anew, cropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.matching import BLOCK, FLAT, Match, candidate_pairs, confirm
from medssl.evaluation.image_statistics import SIDE, thumbnail
from medssl.threads import torch_threads

if TYPE_CHECKING:
    from torch import Tensor

    from medssl.store import Store
    from medssl.types import Rows

CEILING: Final = 0.3
"""A copy is at most this fraction as far away as the other participants nearest to it.

Of radiographs of 64 to 128 pixels, copies that were compressed, resized or lost 2 % at every side
had ratios under 0.2; the nearest of others were at 0.25 or more.
"""
CROPS: Final = (0.0, 0.04, 0.08)
"""Shares cut off every side of an image when it is looked for among the others."""
COARSE: Final = 2
"""Details are averaged over squares of this many pixels for the search of candidates."""


def read_thumbnails(store: Store, rows: Rows) -> np.ndarray:
    """Images at 64 × 64 pixels, uint8 of shape (n, 64, 64), so that thousands fit into memory."""
    found = np.empty((len(rows), SIDE, SIDE), dtype=np.uint8)
    for place, row in enumerate(rows.tolist()):
        found[place] = np.rint(255 * thumbnail(store.read_record(row)))
    return found


def nearest_images(thumbnails: np.ndarray, participants: np.ndarray) -> list[Match]:
    """For every image, its nearest one among the other participants'.

    Images are compared by their details: what is left of them at 32 pixels when the coarse
    brightness is gone. Candidates come from an exact search (FAISS) of each image, whole and
    without its edges, among the others; the nearest image of the best `matching.CANDIDATES`
    participants is then laid on it (`image_alignment.aligned_distance`).

    Args:
        thumbnails: Shape (n, 64, 64), as from `read_thumbnails`.
        participants: Participant of each image, shape (n,).

    Returns:
        One match for each image that is not flat and has another participant to meet.
    """
    import torch

    from medssl.audit.image_alignment import aligned_distance, central, details

    order = np.argsort(participants, kind="stable")
    spread = thumbnails[order].std(axis=(1, 2))
    usual = np.median(spread[spread > 0]) if (spread > 0).any() else 0.0
    order = order[spread > FLAT * usual]
    if len(set(participants[order].tolist())) < 2:
        return []
    grey = torch.from_numpy(thumbnails)
    with torch_threads(1):
        fine = torch.cat([details(part) for part in torch.split(grey, BLOCK)])

    def queries(first: int, last: int) -> np.ndarray:
        own = grey[order[first:last]]
        return np.concatenate([_unit(details(central(own, share))) for share in CROPS])

    def compare(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = aligned_distance(fine[left], fine[right]).double().numpy()
        return found, np.zeros(len(found))

    codes = np.unique(participants[order], return_inverse=True)[1]
    with torch_threads(1):
        pairs = candidate_pairs(_unit(fine[order]), queries, codes)
        return confirm(compare, order[pairs], participants)


def _unit(fine: Tensor) -> np.ndarray:
    """Details averaged over squares, as unit rows: (n, 256)."""
    from torch.nn import functional

    rows = functional.normalize(functional.avg_pool2d(fine, COARSE).flatten(1))
    return np.ascontiguousarray(rows.numpy())
