"""The teacher: an exponential moving average of the student."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch
from torch import Tensor, nn


class EmaTeacher(nn.Module):
    """A copy of a network that follows it with decay m_t = min(1 − 1/(t + 1), decay), t counted from 0.

    Parameters and floating-point buffers (batch norm statistics) are averaged, integer buffers copied. The
    teacher is always in eval mode and takes no gradients. The first update copies the student (Mean Teacher,
    Tarvainen and Valpola 2017; method, section 2.1).

    Attributes:
        model: the averaged network.
        updates: updates so far (t); part of the state dict.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(student).requires_grad_(False)
        self.eval()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged network's output."""
        return self.model(*args, **kwargs)

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Move towards ``student``, a network of the same structure and device."""
        momentum = min(1 - 1 / (self.updates + 1), self.decay)
        ours, theirs = _floating(self.model), _floating(student)
        torch._foreach_lerp_(ours, theirs, 1 - momentum)
        for mine, other in zip(self.model.buffers(), student.buffers(), strict=True):
            if not mine.is_floating_point():
                mine.copy_(other)
        self.updates += 1

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: PLAR needs features that do not depend on the batch."""
        return super().train(False)

    def get_extra_state(self) -> Tensor:
        """The number of updates, for the state dict."""
        return torch.tensor(self.updates)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the number of updates."""
        self.updates = int(state)


_MEMORY = 0.1


def bounded_decay(decay: float, steps: int) -> float:
    """A decay whose memory 1 / (1 - decay) is at most a tenth of a training of ``steps`` steps.

    A decay of 0.99 remembers a hundred steps: in a training of a few hundred the teacher would lag behind its
    student to the end.
    """
    return min(decay, max(0.0, 1 - 1 / (_MEMORY * steps)))


def _floating(model: nn.Module) -> list[Tensor]:
    tensors = [*model.parameters(), *model.buffers()]
    return [tensor for tensor in tensors if tensor.is_floating_point()]
