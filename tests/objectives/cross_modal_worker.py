"""Every objective across modalities as one function, and one of two processes that share a batch.

Loaded by test_cross_modal_rules.py, which runs it as a script as well.
"""

import sys
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, distributed

from medssl.objectives.contrastive_gap import contrastive_gap_terms
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import find_matches
from medssl.objectives.cwcl import cwcl_loss, reference_weights
from medssl.objectives.decoupled import decoupled_loss
from medssl.objectives.gather import gather
from medssl.objectives.hard_negatives import opposite_sentence_loss
from medssl.objectives.image_text_extras import (
    cross_correlation,
    predictor_regression,
    smoothed_contrast,
    swapped_assignment,
)
from medssl.objectives.isogclr import ISogCLR
from medssl.objectives.siglip import SigLIP, siglip_loss
from medssl.objectives.within_modality import matched_infonce

DIM = 5


@dataclass
class More:
    """What some objectives take beside images and texts, one entry a row."""

    reference: Tensor
    opposites: Tensor
    present: Tensor
    items: Tensor

    def each(self, change):
        return More(*(change(getattr(self, field.name)) for field in fields(self)))


def mixed(rows):
    """The same columns in another order; roll and cat refuse float16 under CPU autocast."""
    return rows[:, [3, 1, 4, 0, 2]]


def isogclr(images, texts, matches, more):
    """The surrogate at the second meeting, when there is something to remember."""
    module = ISogCLR(40, temperature=0.25)
    if images.dtype == torch.float64:
        module.double()
    with torch.no_grad():
        module(mixed(texts), images, matches, more.items)
    return module(images, texts, matches, more.items)["loss"]


OBJECTIVES = {
    "convirt": lambda x, y, m, more: convirt_loss(x, y, m, temperature=0.2),
    "siglip": lambda x, y, m, more: siglip_loss(x, y, m, scale=4.0, bias=-2.0),
    "siglip_chunked": lambda x, y, m, more: siglip_loss(x, y, m, scale=4.0, bias=-2.0, chunk=2),
    "decoupled": lambda x, y, m, more: decoupled_loss(x, y, m, temperature=0.2),
    "decoupled_weighted": lambda x, y, m, more: decoupled_loss(x, y, m, temperature=0.2, sigma=0.5),
    "cwcl": lambda x, y, m, more: cwcl_loss(
        x, y, m, reference_weights(more.reference), temperature=0.2
    ),
    "cwcl_both": lambda x, y, m, more: cwcl_loss(
        x, y, m, reference_weights(more.reference, form="exponential", temperature=0.5),
        temperature=0.2, both=True,
    ),
    "isogclr": isogclr,
    "contrastive_gap": lambda x, y, m, more: sum(contrastive_gap_terms(x, y, m).values()),
    "smoothed": lambda x, y, m, more: smoothed_contrast(
        [x, mixed(x)], [y, y.flip(1)], m, temperature=0.2
    ),
    "opposites": lambda x, y, m, more: opposite_sentence_loss(
        x, y, m, more.opposites, more.present, temperature=0.2
    ),
    "within": lambda x, y, m, more: matched_infonce(x, y, m, temperature=0.2),
}  # fmt: skip
"""Those that take matches."""
WITHOUT_MATCHES = {
    "cross_correlation": lambda x, y, m, more: cross_correlation(x, y),
    "regression": lambda x, y, m, more: predictor_regression(mixed(x), y.flip(1), x, y),
    "swapped": lambda x, y, m, more: swapped_assignment(x, y, temperature=0.2, epsilon=0.3),
}
EVERY = {**OBJECTIVES, **WITHOUT_MATCHES}
TWO_ROWS = {"decoupled", "decoupled_weighted", "isogclr", "cross_correlation"}
"""Not defined for a single row."""
CODES = {
    1: [[0], [0], [0]],
    2: [[4, 9], [0, 1], [2, 3]],
    3: [[1, 0, 1], [0, 1, 2], [5, 6, 7]],
    7: [[0, 1, 0, 2, 2, 2, 5], [0, 1, 2, 3, 3, 4, 5], [7, 8, 9, 7, 1, 2, 3]],
    8: [[0, 1, 0, 2, 2, 2, 5, 6], [0, 1, 2, 3, 3, 4, 5, 6], [7, 8, 9, 7, 1, 2, 3, 8]],
}
"""Participants, studies and texts; 8 rows are those of two processes."""


def batch(size, dtype=torch.float64):
    generator = torch.Generator().manual_seed(size)

    def rows(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    images, texts = rows(size, DIM), rows(size, DIM)
    more = More(
        reference=rows(size, 3),
        opposites=rows(size, 2, DIM),
        present=torch.rand(size, 2, generator=generator) < 0.6,
        items=torch.randperm(40, generator=generator)[:size],
    )
    return images, texts, torch.tensor(CODES[size]), more


def matches_of(codes):
    return find_matches(*codes)


def value_of(name, images, texts, codes, more):
    """Value, from rows that are gathered first."""
    codes = torch.stack([gather(code) for code in codes])
    return EVERY[name](gather(images), gather(texts), matches_of(codes), more.each(gather))


def trained(images, texts, codes, more, steps=3):
    """State of the two modules after some steps: iSogCLR's buffers and SigLIP's gradients."""
    remembering, asking = ISogCLR(40), SigLIP()
    for step in range(steps):
        rows = gather(images.roll(step, 1)), gather(texts)
        matches = matches_of([gather(code) for code in codes])
        remembering(*rows, matches, gather(more.items))
        asking(*rows, matches).backward()
    gradients = {name: each.grad for name, each in asking.named_parameters()}
    return {**remembering.state_dict(), **gradients}


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    images, texts, codes, more = batch(8)
    mine = slice(4 * rank, 4 * rank + 4)
    found = {}
    for name in EVERY:
        rows = [side[mine].clone().requires_grad_() for side in (images, texts)]
        value = value_of(name, *rows, codes[:, mine], more.each(lambda each: each[mine]))
        value.backward()
        found[name] = {"value": value.detach(), "gradients": [row.grad for row in rows]}
    single = [side.float()[mine] for side in (images, texts)]
    found["state"] = trained(*single, codes[:, mine], more.each(lambda each: each[mine]))
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
