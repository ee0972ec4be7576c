"""Which pictures are labelled, or kept for validation: drawn by a rule that anyone can repeat.

Names are put in the order of the SHA-256 of ``<seed> <name>``, as hexadecimal text; the first ⌈n/d⌉ of n are
labelled. The lists of one seed are nested, and no library's random numbers take part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

FOLDER = "splits"
DIVISORS = (2, 4, 8, 16)


def shuffled(names: Iterable[str], seed: int | str) -> list[str]:
    """Names in an order that depends on nothing but them and the seed."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest())


def write_lists(folder: Path, names: Sequence[str], seed: int) -> tuple[str, ...]:
    """Write ``splits/1_2.txt`` … ``splits/1_16.txt``, for ``train --labelled-list``.

    Args:
        folder: the dataset's.
        names: of the training scenes.
        seed: of the lists.

    Returns:
        A note for people.
    """
    order = shuffled(names, seed)
    home = folder / FOLDER
    home.mkdir()
    sizes = []
    for divisor in DIVISORS:
        chosen = sorted(order[: -(-len(order) // divisor)])
        (home / f"1_{divisor}.txt").write_text("".join(f"{name}\n" for name in chosen), encoding="utf-8")
        sizes.append(f"1/{divisor}: {len(chosen)}")
    return (f"labelled pictures for --labelled-list in {FOLDER}/ ({', '.join(sizes)})",)
