"""One of two processes in which every method sees half of each batch; run by test_all_methods.py.

Batch norm uses its running statistics, dropout and views are off: what is left to differ between
two processes and one is what a method gathers.
"""

import importlib.util
import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel


def load(path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module  # where pickle looks for its classes
    specification.loader.exec_module(module)
    return module


cases = load(Path(__file__).with_name("method_cases.py"))


class Steps(nn.Module):
    """The loss of two batches in a row, so that what a method remembers counts."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        self.method = cases.build(name, steps=2, images=cases.DoubleImages).double()
        for module in self.method.modules():
            if isinstance(module, _BatchNorm):
                module.eval()

    def forward(self, part):
        total = 0
        for position in range(2):
            batch = cases.batch(self.name, position)
            rows = {name: cases.take(value, part) for name, value in batch.items()}
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
        for name in cases.CASES
        if name not in cases.DRAWS_BY_PLACE
    }
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
