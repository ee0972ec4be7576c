"""U2PL's contrast: unreliable pixels are negatives of the classes that they are surely not (CVPR 2022).

All maps are on the stride-4 grid. Source: Wang et al., "Semi-Supervised Semantic Segmentation Using
Unreliable Pseudo-Labels" (arXiv 2203.03884). Their public code asks of a negative of class c that its label
is c as well, which leaves almost none (its issues 27 and 171); here the paper's definition counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE

# The authors' (their Cityscapes configuration).
ANCHORS = 256
NEGATIVES = 50
ANCHOR_PROBABILITY = 0.3
TEMPERATURE = 0.5
LOW_RANK, HIGH_RANK = 3, 20


# Theirs are 30 000 vectors of float32 a class, half a gigabyte in a checkpoint. A step draws 12 800 of them
# with replacement, and only their direction counts: 4096 in float16 serve, renewed by 512 a step at most.
QUEUE = 4096
KEYS = 512


@dataclass(frozen=True)
class Cells:
    """What is known of a step's cells, labelled images first; maps are (N, h4, w4).

    Attributes:
        labels: int64 true labels of labelled images, the teacher's of the others; 255 ignored.
        log_p: (N, C, h4, w4) the teacher's log-probabilities.
        reliable: bool, valid labels and pseudo-labels of low entropy.
        unreliable: bool, pseudo-labels of high entropy; False on labelled images.
        known: number of labelled images.
    """

    labels: Tensor
    log_p: Tensor
    reliable: Tensor
    unreliable: Tensor
    known: int


def rank_range(classes: int) -> tuple[int, int]:
    """From which rank to before which one a class is surely not the pixel's.

    The authors' 3 and 20 are for 19 and 21 classes. With fewer than six a class of rank 3 hardly exists, so
    the likelier half of the classes is spared at most.
    """
    return min(LOW_RANK, classes // 2), min(HIGH_RANK, classes)


def negative_masks(cells: Cells) -> Tensor:
    """Which cells are negatives of which class, (N, C, h4, w4) bool.

    On labelled images: cells of another class that the teacher holds for likely (rank below the low one, from
    0). On the others: unreliable cells for which the class has a rank in `rank_range`.
    """
    classes = cells.log_p.shape[1]
    low, high = rank_range(classes)
    rank = cells.log_p.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    index = torch.arange(classes, device=rank.device)[:, None, None]
    labels = cells.labels[: cells.known, None]
    known = (labels != IGNORE) & (labels != index) & (rank[: cells.known] < low)
    others = rank[cells.known :]
    unknown = cells.unreliable[cells.known :, None] & (others >= low) & (others < high)
    return torch.cat((known, unknown))


def anchor_mask(cells: Cells, class_index: int) -> Tensor:
    """Cells that stand for a class, (N, h4, w4) bool: reliable, of it, and likely enough for the teacher."""
    likely = cells.log_p[:, class_index].exp() > ANCHOR_PROBABILITY
    return cells.reliable & (cells.labels == class_index) & likely


def info_nce(anchors: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
    """Mean cross-entropy of the positive among the negatives, by cosine over the temperature (equation 4).

    Args:
        anchors: (M, D), with gradients.
        positive: (D,), the class centre.
        negatives: (M, K, D), each anchor's own.
    """
    anchors, positive, negatives = (F.normalize(x, dim=-1) for x in (anchors, positive, negatives))
    against = torch.einsum("md,mkd->mk", anchors, negatives)
    logits = torch.cat(((anchors @ positive)[:, None], against), dim=1) / TEMPERATURE
    return -F.log_softmax(logits, dim=1)[:, 0].mean()


class ClassQueues(nn.Module):
    """The newest negatives of each class; everything is in the state dict, and alike on all processes.

    Attributes:
        keys: (C, QUEUE, D) float16, unit vectors.
        filled: (C,) int64, how many there are.
        place: (C,) int64, where the next one goes.
    """

    keys: Tensor
    filled: Tensor
    place: Tensor

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros((classes, QUEUE, width), dtype=torch.float16))
        self.register_buffer("filled", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("place", torch.zeros(classes, dtype=torch.int64))

    @torch.no_grad()
    def add(self, vectors: Tensor, masks: Tensor) -> None:
        """Put each class's negatives in, `KEYS` at random where there are more; the oldest go.

        Args:
            vectors: (N, D, h4, w4) the teacher's.
            masks: (N, C, h4, w4) bool, which cells are negatives of which class.
        """
        flat = vectors.movedim(1, -1).flatten(0, 2)
        new = flat.new_zeros((len(self.keys), KEYS, flat.shape[1]))
        counts = torch.zeros_like(self.filled)
        for c in range(len(self.keys)):
            where = masks[:, c].flatten().nonzero().flatten()
            where = where[torch.randperm(len(where), device=where.device)[:KEYS]]
            new[c, : len(where)] = F.normalize(flat[where], dim=1)
            counts[c] = len(where)
        for part, count in _from_all(new, counts):
            self._append(part, count)

    def sample(self, class_index: int, shape: tuple[int, ...]) -> Tensor | None:
        """Random vectors (*shape, D) float32 of a class, with replacement; None if there is none."""
        filled = int(self.filled[class_index])
        if not filled:
            return None
        drawn = torch.randint(filled, shape, device=self.keys.device)
        return self.keys[class_index, drawn].float()

    def _append(self, new: Tensor, counts: Tensor) -> None:
        for c, count in enumerate(counts.tolist()):
            slots = (int(self.place[c]) + torch.arange(count, device=new.device)) % QUEUE
            self.keys[c, slots] = new[c, :count].to(self.keys.dtype)
        self.place.copy_((self.place + counts) % QUEUE)
        self.filled.copy_((self.filled + counts).clamp_max(QUEUE))


def contrast(student: Tensor, teacher: Tensor, cells: Cells, queues: ClassQueues) -> Tensor:
    """L_c: anchors of each class against its centre and its queue; the step's negatives go in first.

    Args:
        student: (N, D, h4, w4) float32 the student's vectors.
        teacher: as ``student``, without gradients.
        cells: what is known of them.
        queues: negatives of earlier steps.

    Returns:
        The mean over the classes that reliable cells show; 0 where there are fewer than two.
    """
    queues.add(teacher, negative_masks(cells))
    from_student, from_teacher = (x.movedim(1, -1).flatten(0, 2) for x in (student, teacher))
    shown, losses = 0, [student.sum() * 0]
    for c in range(len(queues.keys)):
        of_class = (cells.reliable & (cells.labels == c)).flatten()
        shown += int(of_class.any())
        where = anchor_mask(cells, c).flatten().nonzero().flatten()
        negatives = queues.sample(c, (ANCHORS, NEGATIVES))
        if not len(where) or negatives is None:
            continue
        drawn = where[torch.randint(len(where), (ANCHORS,), device=where.device)]
        # Indexing by repeated positions adds their gradients in any order; `index_select` in theirs.
        anchors = from_student.index_select(0, drawn)
        losses.append(info_nce(anchors, from_teacher[of_class].mean(dim=0), negatives))
    return torch.stack(losses).sum() / shown if shown > 1 else losses[0]


def _from_all(new: Tensor, counts: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The vectors and counts of all processes, in the order of their ranks."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [(new, counts)]
    world = torch.distributed.get_world_size()
    parts = [torch.empty_like(new) for _ in range(world)]
    numbers = [torch.empty_like(counts) for _ in range(world)]
    torch.distributed.all_gather(parts, new)
    torch.distributed.all_gather(numbers, counts)
    return list(zip(parts, numbers, strict=True))
