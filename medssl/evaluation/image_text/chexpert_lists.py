"""Which images the CheXpert 8×200 and 5×200 protocols ask and find, drawn from the label table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, model_validator

from medssl.config import StrictModel
from medssl.errors import StageError
from medssl.evaluation.image_text.prompts import PromptSet, default_prompts
from medssl.files import digest_json, read_json, write_json
from medssl.views.seeds import derive_seed

FINDINGS: Final = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion",
    "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion",
    "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
"""The 14 label columns of CheXpert."""

Variant = Literal["8x200", "5x200"]
CLASSES: Final[dict[Variant, tuple[str, ...]]] = {
    "8x200": (
        "No Finding", "Cardiomegaly", "Edema", "Pneumonia", "Atelectasis", "Pneumothorax",
        "Pleural Effusion", "Fracture",
    ),
    "5x200": ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"),
}  # fmt: skip

CANDIDATES: Final = 200
IMAGE_QUERIES: Final = 10
TEXT_QUERIES: Final = 5

LISTS: Final[dict[Variant, str]] = {
    "8x200": "f3d29ff31c8f5c787e8cf30f53bafe48",
    "5x200": "c6ef4eae3a2a1b27d1b8831e1f41fd1d",
}
"""Digests of the lists that seed 0 draws from the published CheXpert v1.0 table."""

_PATH: Final = "Path"
_VIEW: Final = "Frontal/Lateral"
_IDENTIFIER: Final = re.compile(r"(patient\d+)/(study\d+)/(view\d+_(?:frontal|lateral)\.\w+)$")

Lists = dict[str, tuple[str, ...]]


class Protocol(StrictModel):
    """Lists of one protocol: by class, images that are found, images that ask, texts that ask.

    Images are named as in the CheXpert table, from the folder of the participant on, so that the
    lists hold for every copy of the images.
    """

    variant: Variant
    seed: int | None = Field(description="of the draw; None for lists that were read")
    candidates: Lists
    image_queries: Lists
    text_queries: Lists

    @model_validator(mode="after")
    def _belongs_together(self) -> Protocol:
        wanted = set(CLASSES[self.variant])
        for name in ("candidates", "image_queries", "text_queries"):
            if set(getattr(self, name)) != wanted:
                msg = f"{name} must have the classes {', '.join(sorted(wanted))}"
                raise ValueError(msg)
        images = [*self.images(self.candidates), *self.images(self.image_queries)]
        if len(set(images)) != len(images):
            msg = "an image stands twice in the lists"
            raise ValueError(msg)
        for image in images:
            participant_of(image)
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in their order."""
        return CLASSES[self.variant]

    def images(self, lists: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """One side's entries in the order of the classes."""
        return tuple(entry for name in self.classes for entry in lists[name])

    def labels(self, lists: Mapping[str, tuple[str, ...]]) -> np.ndarray:
        """Class of each entry of `images`, int64."""
        return np.repeat(np.arange(len(self.classes)), [len(lists[name]) for name in self.classes])

    @property
    def overlap(self) -> tuple[str, ...]:
        """Participants with an image among the queries and one among the candidates."""
        asked, found = (
            {participant_of(image) for image in self.images(lists)}
            for lists in (self.image_queries, self.candidates)
        )
        return tuple(sorted(asked & found))

    @property
    def digest(self) -> str:
        """Digest of the lists of images; who has the same evaluates on the same images."""
        return digest_json([self.variant, self.candidates, self.image_queries])

    def save(self, path: str | Path) -> None:
        """Write the lists as JSON, atomically."""
        write_json(Path(path), self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: str | Path) -> Protocol:
        """Read what `save` wrote.

        Raises:
            StageError: The file is absent or holds no protocol.
        """
        try:
            return cls.model_validate(read_json(Path(path)))
        except (OSError, ValueError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            msg = f"cannot read the protocol at {path}: {what}"
            raise StageError(msg) from error


def participant_of(image: str) -> str:
    """Participant of an image by its name.

    Raises:
        StageError: It is no name of a CheXpert image.

    >>> participant_of("train/patient00001/study1/view1_frontal.jpg")
    'patient00001'
    """
    found = _IDENTIFIER.search(image)
    if found is None:
        msg = f"{image!r} is no image of CheXpert: expected …/patient…/study…/view….jpg"
        raise StageError(msg)
    return found.group(1)


def image_name(path: str) -> str:
    """The name of an image from the participant's folder on, whatever stands before it.

    Raises:
        StageError: It is no path of a CheXpert image.

    >>> image_name("CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg")
    'patient00001/study1/view1_frontal.jpg'
    """
    found = _IDENTIFIER.search(str(path))
    if found is None:
        msg = "the label table has paths that are not CheXpert's: expected …/patient…/study…/view…"
        raise StageError(msg)
    return found.group(0)


def pools(table: pd.DataFrame, variant: Variant = "8x200") -> dict[str, tuple[str, ...]]:
    """Images that may stand for each class: frontal, and this finding alone of all 14.

    One of the 14 labels is 1, none is −1 (uncertain); a blank counts as 0. The rule is read off
    the published lists, all 1,680 images of which fulfil it, and gives the pools that are known of
    5×200: Atelectasis 1,087, Cardiomegaly 1,034, Consolidation 537, Edema 2,257, Effusion 2,425.

    Args:
        table: CheXpert's train.csv.
        variant: Which classes.

    Returns:
        Names of images by class, in the order of the table.

    Raises:
        StageError: The table is not that of CheXpert.
    """
    absent = [name for name in (_PATH, _VIEW, *FINDINGS) if name not in table.columns]
    if absent:
        msg = f"the label table has no column {absent[0]!r}: give the train.csv of CheXpert"
        raise StageError(msg)
    labels = table[list(FINDINGS)].to_numpy(dtype=np.float64)
    alone = ((labels == 1).sum(axis=1) == 1) & ~(labels == -1).any(axis=1)
    eligible = alone & (table[_VIEW] == "Frontal").to_numpy()
    found = {}
    for name in CLASSES[variant]:
        chosen = eligible & (labels[:, FINDINGS.index(name)] == 1)
        found[name] = tuple(image_name(path) for path in table.loc[chosen, _PATH])
    return found


def build_protocol(
    table: pd.DataFrame,
    *,
    variant: Variant = "8x200",
    seed: int = 0,
    prompts: PromptSet | None = None,
    candidates: int = CANDIDATES,
    image_queries: int = IMAGE_QUERIES,
    text_queries: int = TEXT_QUERIES,
) -> Protocol:
    """Draw the lists: 200 candidates, 10 image queries and 5 text queries of each class.

    Images come from `pools` in an order that is a digest of the seed and their name, so that the
    lists do not depend on the order of the table. A participant gives one image to the whole
    protocol: nobody stands among queries and candidates (6 do in the published lists), and nobody
    weighs twice. Classes with the fewest participants draw first.

    Text queries are the first positive prompts: the published sentences, written by radiologists,
    have no licence, and `read_lists` takes them from a copy of your own.

    Args:
        table: CheXpert's train.csv.
        variant: `"8x200"` or `"5x200"`.
        seed: Of the draw.
        prompts: Where text queries come from; None for `default_prompts`.
        candidates: Candidates of each class.
        image_queries: Images of each class that ask.
        text_queries: Sentences of each class that ask.

    Raises:
        StageError: The table is not that of CheXpert, or too small.
    """
    pool = pools(table, variant)
    wanted = candidates + image_queries
    sizes = {name: len({participant_of(i) for i in images}) for name, images in pool.items()}
    taken: set[str] = set()
    drawn: dict[str, list[str]] = {}
    for name in sorted(pool, key=lambda name: (sizes[name], name)):
        drawn[name] = _draw(pool[name], wanted, taken, variant, seed)
        if len(drawn[name]) < wanted:
            msg = (
                f"{name}: {len(drawn[name])} participants with a frontal image of this finding "
                f"alone, {wanted} are needed: give the whole train.csv of CheXpert"
            )
            raise StageError(msg)
    said = prompts or default_prompts()
    return Protocol(
        variant=variant,
        seed=seed,
        candidates={name: tuple(drawn[name][image_queries:]) for name in pool},
        image_queries={name: tuple(drawn[name][:image_queries]) for name in pool},
        text_queries={name: said[name].positive[:text_queries] for name in pool},
    )


def read_lists(folder: str | Path) -> Protocol:
    """The published lists of 8×200, from a copy of github.com/yuhaozhang/convirt.

    To compare with published numbers. Query images of six participants have others of the same
    participant among the candidates: scoring leaves these out and says so.

    Args:
        folder: Holds `image-retrieval/candidate.csv`, `image-retrieval/query.csv` and
            `text-retrieval/query.csv`.

    Raises:
        StageError: A file is absent or of another layout.
    """
    folder = Path(folder)
    classes = CLASSES["8x200"]
    try:
        found = pd.read_csv(folder / "image-retrieval" / "candidate.csv")
        asked = pd.read_csv(folder / "image-retrieval" / "query.csv")
        said = pd.read_csv(folder / "text-retrieval" / "query.csv")
        return Protocol(
            variant="8x200",
            seed=None,
            candidates={
                name: tuple(map(image_name, found.loc[found[name] == 1, _PATH])) for name in classes
            },
            image_queries={
                name: tuple(map(image_name, asked.loc[asked["Variable"] == name, _PATH]))
                for name in classes
            },
            text_queries={
                name: tuple(said.loc[said["Variable"] == name, "Text"]) for name in classes
            },
        )
    except (OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        msg = f"{folder} does not hold the published lists of 8×200: {reason}"
        raise StageError(msg) from error


def _draw(
    images: Iterable[str], count: int, taken: set[str], variant: Variant, seed: int
) -> list[str]:
    """Images of participants that are not yet taken, one each; adds them to those taken."""
    drawn: list[str] = []
    for image in sorted(images, key=lambda image: derive_seed(seed, variant, image)):
        if len(drawn) == count:
            break
        participant = participant_of(image)
        if participant not in taken:
            taken.add(participant)
            drawn.append(image)
    return drawn
