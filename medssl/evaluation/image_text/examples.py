"""One similarity map a finding, on an image that has it: drawn by lot, not picked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from medssl.evaluation.image_text.model import ImageTextModel
from medssl.evaluation.image_text.prompts import plain_name
from medssl.evaluation.image_text.scored import Scored
from medssl.evaluation.image_text.similarity_map import draw_map, similarity_map
from medssl.store.schema import RECORD
from medssl.views.seeds import derive_seed


def draw_examples(
    model: ImageTextModel, scored: Scored, folder: Path, *, limit: int, seed: int = 0
) -> list[Path]:
    """Draw the first positive prompt of each finding over one image that has the finding.

    Which image is a function of the seed and the record's name. The pictures show participants:
    they stay local, and their names say the finding alone.

    Args:
        model: Trained encoders.
        scored: Images and labels.
        folder: Where the pictures go.
        limit: Most pictures; of more findings, the first ones are drawn.
        seed: Of the lot.
    """
    written = []
    records = scored.store.column(RECORD, scored.images).tolist()
    for number, finding in enumerate(scored.findings[:limit], start=1):
        having = np.flatnonzero(scored.labels[finding].to_numpy() == 1)
        drawn = min(having.tolist(), key=lambda at: derive_seed(seed, "map", records[at]))
        row = scored.images[drawn : drawn + 1]
        sentence = scored.prompts[finding].positive[0]
        found = similarity_map(
            model.project_map(model.image.inputs.read(scored.store, row))[0],
            model.project_texts([sentence])[0],
        )
        path = folder / f"{number:02d}-{re.sub(r'[^a-z0-9]+', '-', plain_name(finding))}.png"
        draw_map(np.asarray(scored.store.read_record(int(row[0]))), found, sentence, path)
        written.append(path)
    return written
