"""The teacher: an exponential moving average (EMA) of the student."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch
from torch import Tensor, nn


class EmaTeacher(nn.Module):
    """A copy of a network that follows it with decay m_t = min(1 − 1/(t + 1), decay), t counted from 0.

    The decay m_0 = 0 makes the first update a copy of the student. As long as the first term is the smaller
    one, the teacher is the plain average of all students so far. Parameters and floating-point buffers (batch
    norm statistics) are averaged, integer buffers copied. The teacher is always in eval mode and has no
    gradients. Sources: Tarvainen and Valpola 2017 (Mean Teacher); the ramp of the decay is AEL's code.

    Attributes:
        model: the averaged network.
        decay: upper bound of m_t.
        updates: number of updates t; part of the state dict.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        """Copy the student.

        Args:
            student: the network to follow.
            decay: upper bound of m_t, in [0, 1).
        """
        super().__init__()
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(student).requires_grad_(False)
        self.eval()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the averaged network's output."""
        return self.model(*args, **kwargs)

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Set θ ← m_t θ + (1 − m_t) θ_student.

        Args:
            student: a network of the same structure, on the same device.
        """
        momentum = min(1 - 1 / (self.updates + 1), self.decay)
        ours, theirs = _floating(self.model), _floating(student)
        torch._foreach_lerp_(ours, theirs, 1 - momentum)
        for mine, other in zip(self.model.buffers(), student.buffers(), strict=True):
            if not mine.is_floating_point():
                mine.copy_(other)
        self.updates += 1

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, because PLAR needs features that do not depend on the batch."""
        return super().train(False)

    def get_extra_state(self) -> Tensor:
        """Return the number of updates, for the state dict."""
        return torch.tensor(self.updates)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the number of updates."""
        self.updates = int(state)


# Largest memory of a teacher, as a share of the training.
_MEMORY = 0.1


def bounded_decay(decay: float, steps: int) -> float:
    """Bound a decay so that its memory, 1 / (1 − decay) steps, is at most a tenth of the training.

    A decay of 0.99 has a memory of a hundred steps. In a training of a few hundred steps such a teacher would
    lag behind its student until the end.

    Args:
        decay: the decay for long trainings.
        steps: steps of the training.

    Returns:
        The smaller of ``decay`` and 1 − 10 / steps, at least 0.
    """
    return min(decay, max(0.0, 1 - 1 / (_MEMORY * steps)))


def _floating(model: nn.Module) -> list[Tensor]:
    tensors = [*model.parameters(), *model.buffers()]
    return [tensor for tensor in tensors if tensor.is_floating_point()]
