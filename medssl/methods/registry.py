"""Every method that a configuration can name."""

from __future__ import annotations

from typing import Final

from medssl.inputs import Inputs
from medssl.methods.barlow_twins import BarlowTwins
from medssl.methods.base import PretrainingMethod
from medssl.methods.byol import BYOL
from medssl.methods.config import MethodConfig
from medssl.methods.convirt import ConVIRT
from medssl.methods.masked_autoencoder import MaskedAutoencoder
from medssl.methods.masked_language import MaskedLanguage
from medssl.methods.moco import MoCo
from medssl.methods.multiview import MultiView
from medssl.methods.simclr import SimCLR
from medssl.methods.swav import SwAV
from medssl.methods.tip import TIP
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
    "swav": SwAV,
    "convirt": ConVIRT,
    "masked_language": MaskedLanguage,
    "tip": TIP,
}


def build_method(
    config: MethodConfig,
    *,
    seed: int,
    steps: int,
    inputs: Inputs | None = None,
    partner_inputs: Inputs | None = None,
) -> PretrainingMethod:
    """The configured method, with fresh weights.

    Args:
        config: Its settings.
        seed: Seed of initial weights, views and dropout.
        steps: Optimiser steps in the whole run, for the schedule.
        inputs: How records of the first modality are read; by default waveforms.
        partner_inputs: The same for the partner's.
    """
    return METHODS[config.method.name](
        config, seed=seed, steps=steps, inputs=inputs, partner_inputs=partner_inputs
    )
