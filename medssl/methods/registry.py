"""Every method that a configuration can name."""

from __future__ import annotations

from typing import Final

from medssl.methods.barlow_twins import BarlowTwins
from medssl.methods.base import PretrainingMethod
from medssl.methods.byol import BYOL
from medssl.methods.config import MethodConfig
from medssl.methods.masked_autoencoder import MaskedAutoencoder
from medssl.methods.moco import MoCo
from medssl.methods.multiview import MultiView
from medssl.methods.simclr import SimCLR
from medssl.methods.vicreg import VICReg
from medssl.methods.wearable import WearableMethod

METHODS: Final[dict[str, type[PretrainingMethod]]] = {
    "wearable": WearableMethod,
    "simclr": SimCLR,
    "moco": MoCo,
    "byol": BYOL,
    "barlow_twins": BarlowTwins,
    "vicreg": VICReg,
    "masked_autoencoder": MaskedAutoencoder,
    "multiview": MultiView,
}


def build_method(config: MethodConfig, *, seed: int, steps: int) -> PretrainingMethod:
    """The configured method, with fresh weights.

    Args:
        config: Its settings.
        seed: Seed of initial weights, views and dropout.
        steps: Optimiser steps in the whole run, for the schedule.
    """
    return METHODS[config.method.name](config, seed=seed, steps=steps)
