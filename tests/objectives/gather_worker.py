"""One of two processes that train on halves of a batch; run by test_gather.py."""

import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from medssl.errors import ObjectiveError
from medssl.objectives.gather import gather
from medssl.objectives.wearable import wearable_loss


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 5)).double()


def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 8, 6, generator=generator, dtype=torch.float64)
    return x, torch.tensor([0, 1, 2, 0, 1, 5, 6, 7])


def loss_of(model, teacher, x, participants):
    with torch.no_grad():
        targets = [gather(teacher(view)) for view in x]
    students = [gather(model(view)) for view in x]
    return wearable_loss(*students, *targets, gather(participants))["loss"]


def teacher():
    torch.manual_seed(2)
    return nn.Linear(6, 5).double()


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    x, participants = data()
    mine = slice(4 * rank, 4 * rank + 4)
    model = DistributedDataParallel(build())
    loss = loss_of(model, teacher(), x[:, mine], participants[mine])
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    rows = torch.arange(2.0).half() + 10 * rank
    try:
        gather(torch.zeros(1 + rank, 3))
        refusal = ""
    except ObjectiveError as error:
        refusal = str(error)
    torch.save(
        {"loss": loss.detach(), "gradients": gradients, "rows": gather(rows), "refusal": refusal},
        folder / f"{rank}.pt",
    )
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
