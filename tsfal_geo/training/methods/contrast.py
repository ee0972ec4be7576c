"""U2PL's contrastive loss: unreliable cells are negatives of the classes that they are surely not.

All maps are on the stride-4 grid. Source: Wang et al., CVPR 2022, "Semi-Supervised Semantic Segmentation
Using Unreliable Pseudo-Labels" (arXiv 2203.03884). The authors' public code requires of a negative of class c
that its label is c as well, which leaves almost none (issues 27 and 171 of that code); we use the paper's
definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE

# The authors' constants for Cityscapes.
ANCHORS = 256
NEGATIVES = 50
ANCHOR_PROBABILITY = 0.3
TEMPERATURE = 0.5
LOW_RANK, HIGH_RANK = 3, 20
# The authors keep 30 000 float32 vectors a class, which is half a gigabyte in a checkpoint. A step draws
# 12 800 of them with replacement and uses their direction alone, for which 4096 in float16 suffice. A step
# renews at most 512.
QUEUE = 4096
KEYS = 512


@dataclass(frozen=True)
class Cells:
    """Labels and reliability of a step's cells, labelled images first; maps are (N, h4, w4).

    Attributes:
        labels: int64 true labels of labelled images, the teacher's of the others; 255 ignored.
        log_p: (N, C, h4, w4) the teacher's log-probabilities.
        reliable: bool, True for true labels and for pseudo-labels of low entropy.
        unreliable: bool, True for pseudo-labels of high entropy; False on labelled images.
        labelled_images: number of labelled images.
    """

    labels: Tensor
    log_p: Tensor
    reliable: Tensor
    unreliable: Tensor
    labelled_images: int


def rank_range(classes: int) -> tuple[int, int]:
    """Return the ranks from which, and before which, a class is surely not the cell's.

    The authors' ranks 3 and 20 are for 19 and 21 classes. With fewer than six classes the low rank is half of
    their number (our reading), because hardly any class has rank 3.

    Args:
        classes: number of classes C.

    Returns:
        The low and the high rank, counted from 0 for the likeliest class.
    """
    return min(LOW_RANK, classes // 2), min(HIGH_RANK, classes)


def negative_masks(cells: Cells) -> Tensor:
    """Mark the cells that are negatives of each class.

    On labelled images the negatives of a class are cells of another class whose rank of this class is below
    the low one. On other images they are unreliable cells whose rank of this class is in `rank_range`.

    Args:
        cells: of the step.

    Returns:
        (N, C, h4, w4) bool.
    """
    classes = cells.log_p.shape[1]
    low, high = rank_range(classes)
    rank = cells.log_p.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    index = torch.arange(classes, device=rank.device)[:, None, None]
    labels = cells.labels[: cells.labelled_images, None]
    on_labelled = (labels != IGNORE) & (labels != index) & (rank[: cells.labelled_images] < low)
    others = rank[cells.labelled_images :]
    on_unlabelled = cells.unreliable[cells.labelled_images :, None] & (others >= low) & (others < high)
    return torch.cat((on_labelled, on_unlabelled))


def anchor_mask(cells: Cells, class_index: int) -> Tensor:
    """Mark the anchors of a class: reliable cells of it whose probability exceeds 0.3.

    Args:
        cells: of the step.
        class_index: the class.

    Returns:
        (N, h4, w4) bool.
    """
    likely = cells.log_p[:, class_index].exp() > ANCHOR_PROBABILITY
    return cells.reliable & (cells.labels == class_index) & likely


def info_nce(anchors: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
    """Compute the mean cross-entropy of the positive among the negatives (Wang et al. 2022, eq. 4).

    The logits are cosines divided by the temperature.

    Args:
        anchors: (M, D), with gradients.
        positive: (D,), the class centre.
        negatives: (M, K, D), K for each anchor.

    Returns:
        A scalar.
    """
    anchors, positive, negatives = (F.normalize(x, dim=-1) for x in (anchors, positive, negatives))
    against = torch.einsum("md,mkd->mk", anchors, negatives)
    logits = torch.cat(((anchors @ positive)[:, None], against), dim=1) / TEMPERATURE
    return -F.log_softmax(logits, dim=1)[:, 0].mean()


class ClassQueues(nn.Module):
    """Queues of the newest negatives of each class, part of the state dict and equal in all processes.

    Attributes:
        keys: (C, QUEUE, D) float16, unit vectors.
        filled: (C,) int64 number of vectors.
        place: (C,) int64 slot of the next vector.
    """

    keys: Tensor
    filled: Tensor
    place: Tensor

    def __init__(self, classes: int, width: int) -> None:
        """Create empty queues.

        Args:
            classes: number of classes C.
            width: length D of a vector.
        """
        super().__init__()
        self.register_buffer("keys", torch.zeros((classes, QUEUE, width), dtype=torch.float16))
        self.register_buffer("filled", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("place", torch.zeros(classes, dtype=torch.int64))

    @torch.no_grad()
    def add(self, vectors: Tensor, masks: Tensor) -> None:
        """Append each class's negatives, at most `KEYS` at random, in place of the oldest.

        Args:
            vectors: (N, D, h4, w4) of the teacher.
            masks: (N, C, h4, w4) bool, True where a cell is a negative of a class.
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
        """Draw vectors of a class with replacement.

        Args:
            class_index: the class.
            shape: of the draw.

        Returns:
            (*shape, D) float32; None if the queue is empty.
        """
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
    """Compute L_c: anchors of each class against its centre and its queue, after this step's negatives.

    Args:
        student: (N, D, h4, w4) float32 vectors of the student.
        teacher: (N, D, h4, w4) float32 vectors of the teacher, without gradients.
        cells: labels and reliability of the same cells.
        queues: negatives of earlier steps; this step's are appended.

    Returns:
        A scalar, the mean over the classes that reliable cells show; 0 where these are fewer than two.
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
        # With repeated indices the backward pass of plain indexing adds gradients in no fixed order, that of
        # `index_select` in the order of the indices: runs of one seed stay equal.
        anchors = from_student.index_select(0, drawn)
        losses.append(info_nce(anchors, from_teacher[of_class].mean(dim=0), negatives))
    return torch.stack(losses).sum() / shown if shown > 1 else losses[0]


def _from_all(new: Tensor, counts: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Gather vectors and counts of all processes in the order of their ranks."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [(new, counts)]
    world = torch.distributed.get_world_size()
    parts = [torch.empty_like(new) for _ in range(world)]
    numbers = [torch.empty_like(counts) for _ in range(world)]
    torch.distributed.all_gather(parts, new)
    torch.distributed.all_gather(numbers, counts)
    return list(zip(parts, numbers, strict=True))
