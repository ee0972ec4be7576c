"""Issues: problems of label rows, by file and reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Issue:
    """A problem that rows of one file share.

    Attributes:
        file: name of the file (or table).
        reason: the problem.
        fids: the rows; empty if the problem is the file's.
    """

    file: str
    reason: str
    fids: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.fids:
            return f"{self.file}: {self.reason}"
        shown = ", ".join(str(fid) for fid in self.fids[:10])
        more = f" and {len(self.fids) - 10} more" if len(self.fids) > 10 else ""
        return f"{self.file}: {self.reason} (row{'s' if len(self.fids) > 1 else ''} {shown}{more})"


class Issues:
    """The issues of one file, gathered by reason while its rows are validated.

    Attributes:
        file: name of the file (or table).
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._rejected: dict[str, list[int]] = {}
        self._noted: dict[str, list[int]] = {}

    def reject(self, reason: str, *fids: int) -> None:
        """Report rows, or without rows the file, that cannot be used.

        Args:
            reason: why.
            fids: the rows.
        """
        self._rejected.setdefault(reason, []).extend(fids)

    def note(self, reason: str, *fids: int) -> None:
        """Report rows that are changed before use.

        Args:
            reason: the change, and why.
            fids: the rows.
        """
        self._noted.setdefault(reason, []).extend(fids)

    @property
    def rejected(self) -> tuple[Issue, ...]:
        """Issues of rows that cannot be used."""
        return self._gathered(self._rejected)

    @property
    def notes(self) -> tuple[Issue, ...]:
        """Issues of rows that are changed before use."""
        return self._gathered(self._noted)

    def _gathered(self, by_reason: dict[str, list[int]]) -> tuple[Issue, ...]:
        return tuple(Issue(self.file, reason, tuple(fids)) for reason, fids in by_reason.items())
