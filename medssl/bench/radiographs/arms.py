"""What is compared: ConVIRT, its switches, and image-only methods on the same images."""

from __future__ import annotations

from typing import Any, Final

from medssl.bench.arms import Arm

BASE: Final = "ConVIRT"
IMAGES: Final = "image-only"
MASKING: Final = "same texts"
LOSS: Final = "loss"
TERM: Final = "further term"
TIP: Final = "TIP"


_ALONE: Final = {"level": "segment", "partner": None, "min_records": 1}
"""Pairs of image-only methods: two views of one image."""


def arms() -> tuple[Arm, ...]:
    """All arms, ConVIRT first; images, steps, batches, encoder and head are the same for all.

    Image-only methods take two views of one image, as published.
    """

    def switched(name: str, group: str, method: dict[str, Any], **more: Any) -> Arm:
        return Arm(name=name, group=group, pretrain={"method": method, **more})

    def image_only(name: str, method: dict[str, Any]) -> Arm:
        return Arm(
            name=name, group=IMAGES,
            pretrain={"method": method, "pairs": _ALONE,
                      "partner": None},
        )  # fmt: skip

    return (
        Arm(name=BASE, group="ConVIRT, same texts masked"),
        switched("same texts as negatives", MASKING,
                 {"same_report": "ignore", "same_participant": "ignore"}),
        switched("same texts as positives", MASKING, {"same_report": "positive"}),
        switched("CLIP (λ = 0.5)", LOSS, {"loss": {"name": "convirt", "image_weight": 0.5}}),
        switched("SigLIP", LOSS, {"loss": {"name": "siglip"}}),
        switched("DCL", LOSS, {"loss": {"name": "dcl"}}),
        switched("CWCL", LOSS, {"loss": {"name": "cwcl"}}),
        switched("iSogCLR", LOSS, {"loss": {"name": "isogclr"}}),
        switched("gap terms", TERM, {"gap": 1.0}),
        switched("two images, two sentences", TERM, {"image_image": 1.0, "text_text": 0.5},
                 pairs={"companion": "study"}),
        switched("longitudinal images", TERM, {"image_image": 1.0},
                 pairs={"companion": "participant"}),
        switched("non-contrastive terms", TERM,
                 {"extras": {"cross_correlation": 0.025, "regression": 1.0,
                             "swapped_assignment": 0.2}}),
        switched("whole reports, not a sentence", TERM, {},
                 partner={"views": {"draw": "report"}}),
        switched("warm-up on reports", TERM, {"warm_up": {"steps": 200}}),
        switched("opposite sentences", TERM, {"opposites": True},
                 views={"flip": {"probability": 0}}),
        image_only("SimCLR", {"name": "simclr"}),
        image_only("MoCo", {"name": "moco", "queue": 1024, "momentum": 0.99}),
        image_only("SwAV", {"name": "swav", "prototypes": 64, "freeze_steps": 30, "queue": 256}),
    )  # fmt: skip


def table_arms() -> tuple[Arm, ...]:
    """TIP, and SimCLR on the same images."""
    alone = {
        "method": {"name": "simclr"}, "pairs": _ALONE,
        "partner": None,
    }  # fmt: skip
    return Arm(name=TIP, group="images and tables"), Arm(
        name="SimCLR", group=IMAGES, pretrain=alone
    )
