"""Fitting of small networks, stopped by held-out participants."""

from __future__ import annotations

import copy
from typing import Final

import numpy as np
import torch
from torch import Tensor

from medssl.evaluation.folds import grouped_folds
from medssl.evaluation.models.bags import Bags
from medssl.evaluation.models.networks import GatedAttention, Inputs, Network, OneHidden
from medssl.evaluation.models.order import canonical_order, sort_bags
from medssl.evaluation.models.output import ModelOutput, base_scores
from medssl.evaluation.models.scaler import Scaler
from medssl.evaluation.models.settings import ModelConfig
from medssl.evaluation.models.tasks import Task, make_task
from medssl.evaluation.targets import Kind
from medssl.threads import torch_threads

CHUNK: Final = 4096
"""Rows that are predicted at once."""
STEPS: Final = 8
"""Steps in a pass over the rows, at least."""


def fit_network(
    x: np.ndarray | Bags,
    truth: np.ndarray,
    participants: np.ndarray,
    new: np.ndarray | Bags,
    *,
    kind: Kind,
    config: ModelConfig,
    classes: int,
    seed: int,
) -> ModelOutput:
    """A small network, trained with AdamW until held-out participants say stop.

    The first of the inner folds is held out, also from the standardisation. The network begins at
    what is known without features and keeps the parameters with the lowest held-out loss, those it
    began with included: where features say nothing about people not seen, neither does it. Bags go
    through gated attention over their records, single rows through one hidden layer. For survival
    the held-out loss is ℓ(all) − ℓ(fitted rows) of the partial likelihood.

    Arguments as in `fit_predict`. The result depends on the seed and not on the order of the rows;
    it is computed on one thread, and leaves torch's own random numbers alone.
    """
    order = canonical_order(x, truth, participants)
    x = sort_bags(x.take(order)) if isinstance(x, Bags) else x[order]
    new = sort_bags(new) if isinstance(new, Bags) else new
    truth, participants = truth[order], participants[order]
    base = base_scores(kind, truth, classes)
    held = grouped_folds(participants, truth, folds=config.inner_folds, seed=seed) == 0
    shape = (len(new), *base.shape)
    if held.all() or _features(x).shape[1] == 0 or not len(new):
        flat = np.broadcast_to(base, shape).copy()
        return ModelOutput(flat, flat.copy(), chosen={"epochs": 0.0})
    with torch_threads(1):
        # What it would say without features is what it begins with.
        base = base_scores(kind, truth[~held], classes)
        scaler = Scaler.fit(_features(x.take(~held) if isinstance(x, Bags) else x[~held]))
        inputs = Inputs.of(x, scaler)
        task = make_task(kind, truth[~held], classes)
        generator = torch.Generator().manual_seed(seed)
        network = _make(inputs.values.shape[1], task.width, isinstance(x, Bags), config, generator)
        epochs = _train(network, task, inputs, truth, held, kind, config, generator)
        outputs = _predict(network, Inputs.of(new, scaler), torch.arange(len(new)))
        with torch.no_grad():
            scores = task.scores(outputs).double().numpy()
    return ModelOutput(
        scores, np.broadcast_to(base, shape).copy(), chosen={"epochs": float(epochs)}
    )


def _features(x: np.ndarray | Bags) -> np.ndarray:
    return x.values if isinstance(x, Bags) else x


def _make(
    dim: int, outputs: int, bags: bool, config: ModelConfig, generator: torch.Generator
) -> Network:
    if bags:
        return GatedAttention(dim, config.attention, outputs, config.dropout, generator)
    return OneHidden(dim, config.hidden, outputs, config.dropout, generator)


def _train(
    network: Network,
    task: Task,
    inputs: Inputs,
    truth: np.ndarray,
    held: np.ndarray,
    kind: Kind,
    config: ModelConfig,
    generator: torch.Generator,
) -> int:
    """Train, restore the best parameters, and say after how many passes they were found."""
    targets = torch.tensor(truth, dtype=torch.float64 if kind == "survival" else torch.float32)
    kept_rows, held_rows = (torch.from_numpy(np.flatnonzero(rows)) for rows in (~held, held))
    own = task.parameters()
    optimiser = torch.optim.AdamW(
        [*network.groups(config.learning_rate), {"params": own, "weight_decay": 0.0}],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    # Small sets make several steps a pass as well; else nothing would be learnt in time.
    size = min(config.batch_size, max(1, -(-len(kept_rows) // STEPS)))
    best, best_epoch = _held_loss(network, task, inputs, targets, kept_rows, held_rows), 0
    state = copy.deepcopy((network.state_dict(), [one.detach().clone() for one in own]))
    for epoch in range(1, config.epochs + 1):
        network.train()
        shuffled = kept_rows[torch.randperm(len(kept_rows), generator=generator)]
        for rows in torch.split(shuffled, size):
            total, terms = task.loss(network(*inputs.take(rows), len(rows)), targets[rows])
            if terms == 0:
                continue
            optimiser.zero_grad()
            (total / terms).backward()
            optimiser.step()
        loss = _held_loss(network, task, inputs, targets, kept_rows, held_rows)
        if loss < best:
            best, best_epoch = loss, epoch
            state = copy.deepcopy((network.state_dict(), [one.detach().clone() for one in own]))
        elif epoch - best_epoch >= config.patience:
            break
    network.load_state_dict(state[0])
    with torch.no_grad():
        for one, value in zip(own, state[1], strict=True):
            one.copy_(value)
    return best_epoch


@torch.no_grad()
def _held_loss(
    network: Network, task: Task, inputs: Inputs, targets: Tensor, kept: Tensor, held: Tensor
) -> float:
    """Loss of the held-out rows; for survival what they add to that of the fitted rows."""
    if targets.dtype != torch.float64:
        return float(task.loss(_predict(network, inputs, held), targets[held])[0])
    everyone = _predict(network, inputs, torch.arange(len(targets)))
    return float(task.loss(everyone, targets)[0] - task.loss(everyone[kept], targets[kept])[0])


@torch.no_grad()
def _predict(network: Network, inputs: Inputs, rows: Tensor) -> Tensor:
    network.eval()
    parts = [network(*inputs.take(some), len(some)) for some in torch.split(rows, CHUNK)]
    return torch.cat(parts)
