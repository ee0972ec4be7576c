"""Questions of earlier rounds as the instant model saw them, and what people made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsfal_geo.atomic import replace_file
from tsfal_geo.instant.answerable import Asked
from tsfal_geo.instant.segments import Traits
from tsfal_geo.labels.model import LabelSnapshot, Query
from tsfal_geo.workspace.folder import WorkspaceFolder

_NAME = "asked.npz"


def keep_traits(
    folder: Path, queries: Sequence[Query], traits: Sequence[Traits], places: Sequence[int]
) -> None:
    """Keep what was known of a round's questions when they were asked, beside those that it keeps already.

    Args:
        folder: of the round.
        queries: of the round, by rank.
        traits: of the segments of each query's piece.
        places: of each query in its traits.
    """
    if not queries:
        return
    rows = [own.take(np.array([place])).columns()[0] for own, place in zip(traits, places, strict=True)]
    qids, columns = np.array([query.qid for query in queries]), np.array(rows)
    if (folder / _NAME).is_file():
        with np.load(folder / _NAME) as stored:
            qids = np.concatenate([stored["qids"], qids])
            columns = np.concatenate([stored["columns"], columns])
    with replace_file(folder / _NAME) as temporary, temporary.open("wb") as file:
        np.savez(file, qids=qids, columns=columns)


def read_asked(workspace: WorkspaceFolder, number: int, snapshot: LabelSnapshot) -> Asked:
    """Read the decided questions of the rounds before.

    Args:
        workspace: holds the rounds; those that kept nothing are left out.
        number: of the round that asks now.
        snapshot: holds the decisions.
    """
    decided = {decision.qid: decision.status == "done" for decision in snapshot.decisions}
    columns, answered = [np.zeros((0, 3))], []
    for earlier in range(number):
        path = workspace.round_dir(earlier) / _NAME
        if not path.is_file():
            continue
        with np.load(path) as stored:
            qids = stored["qids"].tolist()
            known = [place for place, qid in enumerate(qids) if qid in decided]
            columns.append(stored["columns"][known])
        answered += [decided[qids[place]] for place in known]
    return Asked(np.concatenate(columns), np.array(answered, bool))
