"""One of two processes in which every method sees half of each batch; run by test_all_methods.py.

Batch norm uses its running statistics, dropout and views are off: what is left to differ between
two processes and one is what a method gathers.
"""

import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from medssl.methods.config import MethodConfig
from medssl.methods.registry import METHODS, build_method

OFF = {
    name: {"probability": 0}
    for name in ("cutout", "magnitude_warp", "time_warp", "gaussian_noise", "channel_permutation")
}
SMALL = {"moco": {"queue": 50, "momentum": 0.9}, "byol": {"predictor_hidden": 16}}
"""Settings that make tests quick; 50 is no multiple of any batch here."""
RESNET = {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2}
VIT = {"name": "vit1d", "channels": 1, "patch": 8, "width": 16, "depth": 1}
ENCODERS = {"masked_autoencoder": VIT}
DRAWS_BY_PLACE = frozenset({"masked_autoencoder"})
"""Whose loss draws something for each place in a batch, so that the place matters."""


def config(name, *, views=None, dropout=0.0, optimiser=None):
    return MethodConfig.model_validate(
        {
            "method": {"name": name, **SMALL.get(name, {})},
            "encoder": ENCODERS.get(name, RESNET),
            "head": {"hidden": 16, "out": 8, "dropout": dropout},
            "views": OFF if views is None else views,
            "optimiser": optimiser or {},
        }
    )


def batch(position, size=8):
    """Pairs of waves, each pair with a frequency of its own."""
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


class Steps(nn.Module):
    """The loss of two batches in a row, so that what a method remembers counts."""

    def __init__(self, name):
        super().__init__()
        self.method = build_method(config(name), seed=0, steps=2).double()
        for module in self.method.modules():
            if isinstance(module, _BatchNorm):
                module.eval()

    def forward(self, part):
        total = 0
        for position in range(2):
            rows = {
                name: value[part] if isinstance(value, torch.Tensor) else value
                for name, value in batch(position).items()
            }
            total = total + self.method.loss(rows)["loss"]
        return total


def outcome(steps, part):
    """Loss, gradients, and what the method remembers."""
    loss = steps(part)
    loss.backward()
    method = steps.module.method if isinstance(steps, DistributedDataParallel) else steps.method
    return {
        "loss": loss.detach(),
        "gradients": [p.grad for p in method.parameters() if p.grad is not None],
        "buffers": dict(method.named_buffers()),
    }


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    part = slice(4 * rank, 4 * rank + 4)
    found = {
        name: outcome(DistributedDataParallel(Steps(name)), part)
        for name in METHODS
        if name not in DRAWS_BY_PLACE
    }
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
