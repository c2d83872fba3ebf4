"""Every method, and every objective that ConVIRT may have, as small cases with their batches.

Waveform methods see waves; the others see images whose lower half is bright where their report
speaks of fluid. Views and dropout are off unless a test asks for them.
"""

from dataclasses import dataclass, field

import torch

from medssl.batches import Cells, Pictures
from medssl.contracts import (
    CategoryColumn,
    ImageContract,
    NumberColumn,
    TableContract,
    TextContract,
)
from medssl.inputs.images import ImageInputs
from medssl.inputs.tables import TableInputs
from medssl.inputs.texts import TextInputs
from medssl.methods.config import MethodConfig
from medssl.methods.facts import RunFacts
from medssl.methods.registry import METHODS, build_method
from medssl.text.policy import TextPolicy
from medssl.text.tokenizer import train_tokenizer
from medssl.types import Modality

OFF = {
    name: {"probability": 0}
    for name in ("cutout", "magnitude_warp", "time_warp", "gaussian_noise", "channel_permutation")
}
EDGE, SIZE = 24, 16
IMAGES_OFF = {
    "size": SIZE,
    **{name: {"probability": 0} for name in ("crop", "flip", "affine", "jitter", "blur")},
}
WORDS = (
    "There is a small left right pleural effusion. No nodule is seen. Heart size is normal. "
    "Bones are intact. Lungs are clear."
)
TOKENIZER = train_tokenizer([WORDS] * 2, vocabulary=150)
RESNET = {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2}
VIT = {"name": "vit1d", "channels": 1, "patch": 8, "width": 16, "depth": 1}
IMAGE = {"name": "resnet2d", "width": 4, "blocks": [1, 1], "block": "basic", "stem": "small"}
TEXT = {
    "name": "text_transformer", "vocabulary": TOKENIZER.size, "width": 16, "depth": 1, "heads": 2,
    "tokens": 16, "dropout": 0.0,
}  # fmt: skip
TABLE = {"name": "tabular_transformer", "width": 16, "heads": 2, "categories": [2], "numbers": 1}
IMAGE_CONTRACT = ImageContract(modality=Modality.RADIOGRAPH, edge=EDGE, size=SIZE)
TEXT_CONTRACT = TextContract(
    modality=Modality.REPORT, policy=TextPolicy(), tokenizer=TOKENIZER.digest, tokens=16
)
TABLE_CONTRACT = TableContract(
    modality=Modality.TABLE,
    categories=(CategoryColumn(name="effusion", categories=("no", "yes")),),
    numbers=(NumberColumn(name="brightness", mean=120, deviation=40, low=0, high=255),),
)


@dataclass(frozen=True)
class Case:
    """A method with settings that make tests quick, and what it is trained on."""

    method: dict
    kind: str = "waves"
    encoder: dict = field(default_factory=lambda: RESNET)
    pairs: dict = field(default_factory=dict)
    partner: dict | None = None

    @property
    def modality(self):
        return {"waves": "ppg", "reports": "report"}.get(self.kind, "radiograph")


def convirt(pairs=None, **settings):
    return Case(
        {"name": "convirt", **settings}, "studies", IMAGE,
        {"level": "study", "partner": "report", **(pairs or {})}, {"encoder": TEXT},
    )  # fmt: skip


EVERY_EXTRA = {"cross_correlation": 0.025, "regression": 1.0, "swapped_assignment": 0.2,
               "prototypes": 6}  # fmt: skip
CASES = {
    **{name: Case({"name": name}) for name in METHODS},
    # 50 is no multiple of any batch here.
    "moco": Case({"name": "moco", "queue": 50, "momentum": 0.9}),
    "byol": Case({"name": "byol", "predictor_hidden": 16}),
    "masked_autoencoder": Case({"name": "masked_autoencoder"}, encoder=VIT),
    "swav": Case({"name": "swav", "prototypes": 6, "freeze_steps": 1, "queue": 50}),
    "masked_language": Case(
        {"name": "masked_language", "share": 0.3}, "reports", TEXT, {"level": "segment"}
    ),
    "tip": Case(
        {"name": "tip", "fusion": {"width": 16, "heads": 2, "depth": 1}}, "table", IMAGE,
        {"level": "record", "partner": "table"}, {"encoder": TABLE},
    ),
    "convirt": convirt(),
    "convirt siglip": convirt(loss="siglip"),
    "convirt dcl": convirt(loss={"name": "dcl", "sigma": 0.5}, same_report="positive"),
    "convirt cwcl": convirt(loss="cwcl"),
    "convirt isogclr": convirt(loss="isogclr", same_participant="ignore"),
    "convirt with every term": convirt(
        {"companion": "study", "draw": "study"}, opposites=True, gap=0.5, image_image=1.0,
        text_text=0.5, extras=EVERY_EXTRA,
    ),
    "convirt over time": convirt(
        {"companion": "participant"}, image_image=1.0, same_participant="positive"
    ),
}  # fmt: skip
DRAWS_BY_PLACE = frozenset({"masked_autoencoder", "masked_language", "tip"})
"""Whose loss draws something for each place in a batch, so that the place matters."""


class DoubleImages(ImageInputs):
    """Images in double precision, where two ways to compute one thing are compared."""

    def normalise(self, x):
        return super().normalise(x).double()


def config(name, *, views=None, dropout=0.0, optimiser=None):
    """The configuration of a case; `views` are those of waveforms."""
    case = CASES[name]
    if case.kind == "waves":
        views = OFF if views is None else views
    elif case.kind == "reports":
        views = {}
    else:
        views = IMAGES_OFF if views is None else {"size": SIZE}
    values = {
        "method": case.method,
        "encoder": case.encoder,
        "head": {"hidden": 16, "out": 8, "dropout": dropout},
        "views": views,
        "optimiser": optimiser or {},
    }
    return MethodConfig.model_validate({**values, "partner": case.partner})


def inputs(name, images=ImageInputs):
    """How the two sides of a case are read."""
    texts = TextInputs(TEXT_CONTRACT, TOKENIZER)
    pictures = images(IMAGE_CONTRACT)
    return {
        "waves": {},
        "reports": {"inputs": texts},
        "studies": {"inputs": pictures, "partner_inputs": texts},
        "table": {"inputs": pictures, "partner_inputs": TableInputs(TABLE_CONTRACT)},
    }[CASES[name].kind]


def build(name, *, seed=0, steps=12, images=ImageInputs, facts=None, **changes):
    """The method of a case, in single precision, which knows of as many records as batches have."""
    made = build_method(config(name, **changes), seed=seed, steps=steps, **inputs(name, images))
    made.meet(facts or RunFacts(16, 16, lambda: _texts(range(16))))
    return made


def batch(name, position, size=8):
    """Pairs that are different at every position, as they come from a store."""
    kind = CASES[name].kind
    if kind == "waves":
        return _waves(position, size)
    rows = range(position, position + size)
    common = {
        "participants": torch.tensor([_participant(row) for row in rows]),
        "studies": torch.tensor(rows), "places": torch.tensor(rows), "position": position,
    }  # fmt: skip
    texts, pictures = _texts(rows), _pictures(rows)
    if kind == "reports":
        return {"first": texts, "second": texts, **common}
    if kind == "table":
        return {"first": pictures, "second": _cells(rows), **common}
    return {"first": pictures, "second": texts, "companion": _pictures(rows, 1), **common}


def take(value, part):
    """Some pairs of a batch: `part` is a slice or a tensor of places."""
    if isinstance(value, Pictures | Cells):
        return type(value)(*(each[part] for each in value))
    if isinstance(value, list):
        return [value[place] for place in torch.arange(len(value))[part].tolist()]
    return value[part] if isinstance(value, torch.Tensor) else value


def _waves(position, size):
    """Each pair has a frequency of its own."""
    generator = torch.Generator().manual_seed(position)
    time = torch.arange(64, dtype=torch.float64) / 10
    waves = [
        torch.sin(frequency * time + phase)
        for frequency in torch.rand(size, generator=generator) + 0.5
        for phase in 6 * torch.rand(2, generator=generator)
    ]
    pairs = torch.stack(waves).reshape(size, 2, 1, 64)
    return {
        "first": pairs[:, 0], "second": pairs[:, 1],
        "participants": torch.arange(size) + 3 * position, "position": position,
    }  # fmt: skip


def _participant(row):
    """Rows 2 and 3, and 6 and 7, are two studies of one participant each."""
    return row - 1 if row % 4 == 3 else row


def _pictures(rows, shift=0):
    generator = torch.Generator().manual_seed(1000 + shift)
    noise = torch.randint(0, 60, (64, 1, EDGE, EDGE), generator=generator)
    pixels = torch.stack([noise[row] + 3 * row for row in rows])
    fluid = [place for place, row in enumerate(rows) if row % 2]
    pixels[fluid, :, EDGE // 2 :] += 120
    sides = torch.tensor([[EDGE, EDGE - 4 * (row % 3)] for row in rows])
    for place, (_, columns) in enumerate(sides.tolist()):
        margin = (EDGE - columns) // 2
        pixels[place, :, :, :margin] = 0
        pixels[place, :, :, EDGE - margin :] = 0
    return Pictures(pixels.to(torch.uint8), sides)


def _texts(rows):
    """One sentence each, with one opposite at most; rows 4 and 5 of eight say the same."""
    said = [
        "No pleural effusion.", "Left lungs are seen.", "Heart size intact.", "No nodule.",
        "Bones bones.", "Bones bones.", "Lungs small small.", "No bones.",
    ]  # fmt: skip
    return [f"FINDINGS: {said[row % 8]}" for row in rows]


def _cells(rows):
    fluid = torch.tensor([[row % 2] for row in rows])
    numbers = torch.tensor([[row / 8 - 0.5] for row in rows], dtype=torch.float64)
    numbers[1:2] = torch.nan
    return Cells(fluid, numbers)
