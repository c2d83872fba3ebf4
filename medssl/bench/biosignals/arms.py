"""What is compared: the published recipe, its ablations, and its rivals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from medssl.bench.arms import Arm, pick_arms

BASE: Final = "published recipe"
SEGMENT: Final = "segment pairs"
NO_KOLEO: Final = "no KoLeo"
NO_MOMENTUM: Final = "no momentum"


def arms() -> tuple[Arm, ...]:
    """All arms, the published recipe first; participants, steps and batches are the same for all.

    Rivals keep their published temperature or weights, and share the encoder, the projection
    head, the views and the optimiser of the leg. The masked autoencoder can but have the encoder of
    "ViT-1D", no projection head, and its mask as the only view.
    """
    vit = {"name": "vit1d", "channels": 1, "patch": 16, "width": 64, "depth": 3, "heads": 4}
    return (
        Arm(name=BASE, group="recipe"),
        Arm(name=SEGMENT, group="ablation", pretrain={"pairs": {"level": "segment"}}),
        Arm(name=NO_KOLEO, group="ablation", pretrain={"method": {"koleo_weight": 0}}),
        Arm(name=NO_MOMENTUM, group="ablation", pretrain={"method": {"momentum": None}}),
        Arm(
            name="ResNet-1D", group="encoder",
            pretrain={"encoder": {"name": "resnet1d", "channels": 1, "width": 8}},
        ),
        Arm(name="ViT-1D", group="encoder", pretrain={"encoder": vit}),
        Arm(name="SimCLR", group="rival", pretrain={"method": {"name": "simclr"}}),
        Arm(name="MoCo", group="rival", pretrain={"method": {"name": "moco", "queue": 1024}}),
        Arm(name="BYOL", group="rival", pretrain={"method": {"name": "byol"}}),
        Arm(name="Barlow Twins", group="rival", pretrain={"method": {"name": "barlow_twins"}}),
        Arm(name="VICReg", group="rival", pretrain={"method": {"name": "vicreg"}}),
        Arm(
            name="MV-InfoNCE, 4 views", group="rival",
            pretrain={"method": {"name": "multiview", "form": "mv_infonce", "views_per_record": 2}},
        ),
        Arm(
            name="MV-DHEL, 4 views", group="rival",
            pretrain={"method": {"name": "multiview", "form": "mv_dhel", "views_per_record": 2}},
        ),
        Arm(
            name="masked autoencoder", group="rival",
            pretrain={"method": {"name": "masked_autoencoder"}, "encoder": vit},
        ),
    )  # fmt: skip


def choose_arms(names: Sequence[str] | None) -> list[Arm]:
    """The published recipe and the named arms, in their order; all if no names are given.

    Raises:
        StageError: There is no such arm.

    >>> [arm.name for arm in choose_arms(["MoCo"])]
    ['published recipe', 'MoCo']
    """
    return pick_arms(arms(), names, always=(BASE,))
