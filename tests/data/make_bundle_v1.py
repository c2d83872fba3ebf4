"""Make `bundle_v1`, the tiny bundle of version 1 that the tests load for ever.

It was run once, while version 1 was current: `python tests/data/make_bundle_v1.py FOLDER`. Never
make the committed bundle again: what matters is that newer code loads what old code wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from medssl.bundle import load_encoder, save_bundle
from medssl.contracts import WaveformContract
from medssl.encoders import ResNet1dConfig, build_encoder
from medssl.types import Modality


def segments() -> np.ndarray:
    """Three segments of 134 samples; float32 holds every value exactly."""
    time = np.arange(3 * 134).reshape(3, 1, 134)
    return ((time * time * 7 + time * 13) % 251).astype(np.float32) / 16


def main(folder: Path) -> None:
    """Write the bundle, and beside it what it gives for `segments`."""
    torch.manual_seed(0)
    config = ResNet1dConfig(channels=1, width=4, stages=3)
    module = build_encoder(config)
    module.train()
    for _ in range(20):  # batch-norm statistics that are not the initial ones
        module(torch.randn(16, 1, 134))
    contract = WaveformContract(
        modality=Modality.PPG, rate=64, channels=("ppg",), units="counts", length=134
    )
    provenance = {"method": "none (random weights)", "steps": 0, "calibration records": 320}
    save_bundle(
        folder / "bundle_v1", module.eval(),
        encoder=config, contract=contract, provenance=provenance,
    )  # fmt: skip
    values = load_encoder(folder / "bundle_v1", device="cpu").embed_segments(segments())
    (folder / "bundle_v1.json").write_text(json.dumps(values.tolist()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
