"""Text formats of tables: CSV, Markdown and LaTeX, and the text of a mean with its standard deviation."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from statistics import mean, stdev


def spread(values: Sequence[float]) -> str:
    """Write the mean ± the sample standard deviation.

    Args:
        values: the values, at least one; the deviation of a single value is 0.

    Returns:
        Both with two decimals.
    """
    deviation = stdev(values) if len(values) > 1 else 0.0
    return f"{mean(values):.2f} ± {deviation:.2f}"


def csv_text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table as CSV.

    Args:
        header: names of the columns.
        rows: the cells, row by row.

    Returns:
        The text, with line feeds between the lines.
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *rows])
    return buffer.getvalue()


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown.

    Args:
        header: names of the columns.
        rows: the cells, row by row.

    Returns:
        The text.
    """
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines) + "\n"


def latex(title: str, header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Write a table in LaTeX, for documents that use booktabs.

    Args:
        title: the caption.
        header: names of the columns.
        body: the cells, row by row.

    Returns:
        The text, with LaTeX's special characters escaped.
    """
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        " & ".join(map(_escaped, header)) + r" \\",
        r"\midrule",
        *(" & ".join(map(_escaped, row)) + r" \\" for row in body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    for sign in "&%_#$":
        text = text.replace(sign, "\\" + sign)
    return text.replace("±", r"$\pm$").replace("×", r"$\times$").replace("–", "--")
