"""Similarity maps of a sentence over images that show what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from medssl.bench.radiographs.image_text import Held
from medssl.evaluation.image_text.model import ImageTextModel
from medssl.evaluation.image_text.similarity_map import draw_map, similarity_map

SENTENCES: Final = {
    "Effusion": "there is a pleural effusion",
    "Cardiomegaly": "the heart is enlarged",
}


def draw_maps(model: ImageTextModel, held: Held, folder: Path) -> list[Path]:
    """One picture for each sentence: the first image that shows the finding.

    Args:
        model: ConVIRT.
        held: Images of test participants.
        folder: Where the pictures go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for finding, sentence in SENTENCES.items():
        shows = np.flatnonzero(held.findings[:, held.names.index(finding)] == 1)
        if len(shows) == 0:
            continue
        row = held.rows[shows[0]]
        image = np.asarray(held.store.read_record(int(row)))
        raw = model.image.inputs.read(held.store, np.array([row]))
        places = model.project_map(raw)[0]
        text = model.project_texts([sentence])[0]
        path = folder / f"map_{finding.lower()}.png"
        draw_map(image, similarity_map(places, text), sentence, path)
        written.append(path)
    return written
