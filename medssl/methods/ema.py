"""The momentum teacher: an exponential moving average of a network, buffers included."""

from __future__ import annotations

import copy
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
    """

    def __init__(self, student: nn.Module, *, momentum: float) -> None:
        super().__init__()
        follower = copy.deepcopy(student)
        for module in follower.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = 0.0
            if isinstance(module, _DropoutNd):
                module.p = 0.0
        self.average = AveragedModel(
            follower, multi_avg_fn=partial(_follow, momentum=momentum), use_buffers=True
        )
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


def _follow(
    averaged: Sequence[Tensor], current: Sequence[Tensor], _: Tensor, *, momentum: float
) -> None:
    """One step for many tensors; counters are copied. Torch's own cannot be sent to a process."""
    for follower, leader in zip(averaged, current, strict=True):
        if follower.is_floating_point():
            follower.lerp_(leader, 1 - momentum)
        else:
            follower.copy_(leader)
