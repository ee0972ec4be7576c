"""What a label file looks like: tables, metadata, file names."""

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
    """Columns of a layer of labels that one author writes."""
    return (
        "class_id INTEGER NOT NULL, scene TEXT, qid TEXT, round INTEGER, "
        f"author TEXT DEFAULT {literal(author)}, created DATETIME, source TEXT DEFAULT 'drawn'"
    )


def snapshot_columns() -> str:
    """Columns of the labels that a round trained on: a label's, and where it was read."""
    return f"{label_columns('')}, file TEXT, file_fid INTEGER"


def query_columns() -> str:
    """Columns of a layer of queries."""
    return (
        "qid TEXT NOT NULL, round INTEGER NOT NULL, scene TEXT NOT NULL, chip TEXT, rank INTEGER, "
        "score REAL, reason TEXT, suggested INTEGER, pixels INTEGER"
    )


def decision_table(author: str, one_each: bool = True) -> str:
    """The statement that makes the table of decisions; ``one_each``: one for each query."""
    unique = ", UNIQUE (round, qid)" if one_each else ""
    return (
        "CREATE TABLE decisions (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, qid TEXT NOT NULL, "
        "round INTEGER NOT NULL, status TEXT NOT NULL CHECK (status IN ('done', 'skipped', 'unsure')), "
        f"author TEXT DEFAULT {literal(author)}, created DATETIME{unique})"
    )


def fill_trigger(table: str, author: str, source: bool) -> str:
    """The trigger that fills in author, time (UTC) and source where a program leaves them out.

    QGIS writes NULL where its form has no value, which would beat a column's default; and what it takes for
    the present time is local time under the name of UTC.
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
    """File name, without suffix, for an author's labels: safe on every system, different for each author.

    Raises:
        LabelError: an empty name.
    """
    if not author.strip():
        raise LabelError("the author's name is empty; say who labels, such as --author anna")
    plain = unicodedata.normalize("NFKD", author).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")[:40]
    if slug != author or _WINDOWS_NAMES.match(slug) or _RESERVED.match(slug):
        digest = hashlib.blake2b(author.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        slug = f"{slug or 'author'}-{digest}"
    return slug
