"""Rows of a comparison that begin with one training and part ways with their queries."""

from __future__ import annotations

import shutil

from tsfal_geo.active.loop import query, train
from tsfal_geo.active.request import Reporter, Request
from tsfal_geo.labels.backup import copy_workspace
from tsfal_geo.workspace.layout import Workspace


def branch_off(request: Request, first: Request, reporter: Reporter) -> None:
    """Begin a row with a copy of a shared first training, asked anew by the row's own strategy.

    Args:
        request: the row's; nothing happens if it is already under way.
        first: the shared training, without an oracle, so that it stops after its queries.
        reporter: is told of progress.

    Raises:
        UserError: as training raises.
    """
    if Workspace.exists(request.root) and Workspace.open(request.root).current_round > 0:
        return
    begin(first, reporter)
    shutil.rmtree(request.root, ignore_errors=True)
    copy_workspace(first.root, request.root)
    query(request, reporter)


def begin(first: Request, reporter: Reporter) -> None:
    """Run a shared first training to its end, if it is not done."""
    if not Workspace.exists(first.root) or Workspace.open(first.root).current_round < 0:
        train(first, reporter)
