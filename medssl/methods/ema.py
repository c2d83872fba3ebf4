"""The momentum teacher: an exponential moving average of a network, buffers included."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.optim.swa_utils import AveragedModel


class MomentumTeacher(nn.Module):
    """θ_teacher ← m·θ_teacher + (1 − m)·θ_student, for parameters and buffers alike.

    The rule for batch normalisation: the teacher's forward normalises with the statistics of its
    own batch, as the student's does, and never writes running statistics; those are the moving
    average of the student's. Its dropout is off. So its state is a function of the student's
    states alone.

    Args:
        student: The network to follow; copied at once.
        momentum: m, between 0 and 1.
        end: What m rises to, along half a cosine; None keeps it.
        steps: Optimiser steps in the whole run, for the rise.
    """

    def __init__(
        self, student: nn.Module, *, momentum: float, end: float | None = None, steps: int = 1
    ) -> None:
        super().__init__()
        follower = copy.deepcopy(student)
        for module in follower.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = 0.0
            if isinstance(module, _DropoutNd):
                module.p = 0.0
        rule = partial(_follow, start=momentum, end=end, steps=steps)
        self.average = AveragedModel(follower, multi_avg_fn=rule, use_buffers=True)
        self.average.requires_grad_(False)

    @property
    def network(self) -> nn.Module:
        """The averaged network."""
        module = self.average.module
        assert isinstance(module, nn.Module)
        return module

    def follow(self, student: nn.Module) -> None:
        """One step towards the student."""
        self.average.update_parameters(student)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the averaged network."""
        result: Tensor = self.average(x)
        return result


def momentum_at(step: int, *, start: float, end: float | None, steps: int) -> float:
    r"""The momentum at a step: $e - (e - s)(\cos(\pi k / K) + 1) / 2$ (BYOL, arXiv 2006.07733).

    Args:
        step: k, from 0.
        start: s.
        end: e; None keeps s.
        steps: K, steps in the whole run.

    >>> [momentum_at(k, start=0.75, end=1.0, steps=10) for k in (0, 5, 10)]
    [0.75, 0.875, 1.0]
    """
    if end is None:
        return start
    done = min(1.0, step / steps)
    return end - (end - start) * (math.cos(math.pi * done) + 1) / 2


def _follow(
    averaged: Sequence[Tensor],
    current: Sequence[Tensor],
    step: Tensor,
    *,
    start: float,
    end: float | None,
    steps: int,
) -> None:
    """One step for many tensors; counters are copied. Torch's own cannot be sent to a process."""
    momentum = start if end is None else momentum_at(int(step), start=start, end=end, steps=steps)
    for follower, leader in zip(averaged, current, strict=True):
        if follower.is_floating_point():
            follower.lerp_(leader, 1 - momentum)
        else:
            follower.copy_(leader)
