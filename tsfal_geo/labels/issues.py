"""Issues: problems of label rows, by file and reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tsfal_geo.errors import Cancelled, LabelError, WorkspaceError


@dataclass(frozen=True)
class Issue:
    """A problem that rows of one file share.

    Attributes:
        file: name of the file (or table).
        reason: the problem.
        fids: the rows; empty if the problem is the file's.
        author: whose file it is, where its name does not say so.
    """

    file: str
    reason: str
    fids: tuple[int, ...] = ()
    author: str = ""

    def __str__(self) -> str:
        file = f"{self.file} ({self.author})" if self.author else self.file
        if not self.fids:
            return f"{file}: {self.reason}"
        shown = ", ".join(str(fid) for fid in self.fids[:10])
        more = f" and {len(self.fids) - 10} more" if len(self.fids) > 10 else ""
        return f"{file}: {self.reason} (row{'s' if len(self.fids) > 1 else ''} {shown}{more})"


class Issues:
    """The issues of one file, gathered by reason while its rows are validated.

    Attributes:
        file: name of the file (or table).
        author: whose file it is, where its name does not say so.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.author = ""
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

    @contextmanager
    def guarding(self, part: str = "") -> Iterator[None]:
        """Turn any failure inside the block into an issue, so that it does not end everybody's work.

        Args:
            part: of the file that the block reads, for the issue.

        Raises:
            WorkspaceError: the file is locked for too long, or of a newer schema, so that it may hold labels
                that are not known: nobody goes on without them.
        """
        try:
            yield
        except (WorkspaceError, Cancelled, MemoryError):
            raise
        except LabelError as error:
            self.reject(str(error))
        # Any program may have written the file, and a reader finds each kind of damage in another way.
        except Exception as error:
            found = " ".join(str(error).split())
            self.reject(f"{part or 'the file'} is not readable ({type(error).__name__}: {found}); restore it")

    @property
    def rejected(self) -> tuple[Issue, ...]:
        """Issues of rows that cannot be used."""
        return self._gathered(self._rejected)

    @property
    def notes(self) -> tuple[Issue, ...]:
        """Issues of rows that are changed before use."""
        return self._gathered(self._noted)

    def _gathered(self, by_reason: dict[str, list[int]]) -> tuple[Issue, ...]:
        return tuple(Issue(self.file, reason, tuple(fids), self.author) for reason, fids in by_reason.items())
