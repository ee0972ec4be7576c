"""The layout of label and query files: columns, triggers, file names."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.tables import literal, quote

LABEL_COLUMNS = ("class_id", "scene", "qid", "round", "author", "created", "source")
SNAPSHOT_COLUMNS = (*LABEL_COLUMNS, "file", "file_fid")
QUERY_COLUMNS = ("qid", "round", "scene", "chip", "rank", "score", "reason", "suggested", "pixels")
DECISION_COLUMNS = ("qid", "round", "status", "author", "created")
_WINDOWS_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$")
_RESERVED = re.compile(r"(import|restore)-\d+$")


def label_columns(author: str) -> str:
    """Return the columns of a layer of labels, as SQL.

    Args:
        author: default of the column ``author``.
    """
    return (
        "class_id INTEGER NOT NULL, scene TEXT, qid TEXT, round INTEGER, "
        f"author TEXT DEFAULT {literal(author)}, created DATETIME, source TEXT DEFAULT 'drawn'"
    )


def snapshot_columns() -> str:
    """Return the columns of a snapshot's labels: a label's own, and the file and row that it comes from."""
    return f"{label_columns('')}, file TEXT, file_fid INTEGER"


def query_columns() -> str:
    """Return the columns of a layer of queries, as SQL."""
    return (
        "qid TEXT NOT NULL, round INTEGER NOT NULL, scene TEXT NOT NULL, chip TEXT, rank INTEGER, "
        "score REAL, reason TEXT, suggested INTEGER, pixels INTEGER"
    )


def decision_table(author: str, one_each: bool = True) -> str:
    """Return the statement that makes the table of decisions.

    Args:
        author: default of the column ``author``.
        one_each: whether the table holds one decision for each query.
    """
    unique = ", UNIQUE (round, qid)" if one_each else ""
    return (
        "CREATE TABLE decisions (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, qid TEXT NOT NULL, "
        "round INTEGER NOT NULL, status TEXT NOT NULL CHECK (status IN ('done', 'skipped', 'unsure')), "
        f"author TEXT DEFAULT {literal(author)}, created DATETIME{unique})"
    )


def fill_trigger(table: str, author: str, source: bool) -> str:
    """Return the trigger that fills in author, time (UTC) and source where a program leaves them out.

    QGIS writes NULL where its form has no value, which overrides a column's default; and its present time is
    local time that it declares to be UTC.

    Args:
        table: name of the table.
        author: the author to fill in.
        source: whether the table has the column ``source``.
    """
    values = [("author", literal(author)), ("created", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')")]
    values += [("source", "'drawn'")] if source else []
    filled = ", ".join(f"{name} = coalesce({name}, {value})" for name, value in values)
    missing = " OR ".join(f"NEW.{name} IS NULL" for name, _ in values)
    return (
        f"CREATE TRIGGER {quote(f'tsfal_fill_{table}')} AFTER INSERT ON {quote(table)} WHEN {missing} "
        f"BEGIN UPDATE {quote(table)} SET {filled} WHERE fid = NEW.fid; END"
    )


def author_slug(author: str) -> str:
    """Return the name, without suffix, of an annotator's label file: safe on every system, and unique.

    Args:
        author: the annotator; any text.

    Raises:
        LabelError: an empty name.
    """
    if not author.strip():
        raise LabelError(
            "the author's name is empty, expected one; name the annotator, such as --author anna"
        )
    plain = unicodedata.normalize("NFKD", author).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")[:40]
    if slug != author or _WINDOWS_NAMES.match(slug) or _RESERVED.match(slug):
        digest = hashlib.blake2b(author.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        slug = f"{slug or 'author'}-{digest}"
    return slug
