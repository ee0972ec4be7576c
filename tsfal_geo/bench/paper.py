"""Figures that were published, to stand beside ours.

Source: Ma, Karakus, Rosin, arXiv 2501.19227, the table of the same number. Only figures that could be checked
are here; where one is missing the table shows a dash, never a guess. What the compared systems' authors
published themselves is of other protocols and stays out.
"""

from __future__ import annotations

from collections.abc import Mapping

PAPER: Mapping[tuple[str, str, str], float] = {
    ("table1", "TSF", "1/16"): 75.59,
    ("table1", "TSF", "1/8"): 77.86,
    ("table1", "TSF", "1/4"): 79.50,
    ("table1", "TSF", "1/2"): 80.32,
    ("table2", "S4AL", "mIoU"): 64.80,
    ("table2", "ours", "mIoU"): 65.90,
    # With 40 % of the labels; "ours" with 24 %.
    ("table3", "Random", "mIoU"): 54.22,
    ("table3", "ours", "mIoU"): 61.47,
    # With the first 15 % alone.
    ("table4", "TSF", "mIoU"): 53.91,
    ("table4", "all", "mIoU"): 61.47,
}
"""(table, row, column) to per cent."""
