"""The workspace at work: everything that a step of a round needs."""

from __future__ import annotations

from dataclasses import dataclass

from tsfal_geo.config import Config
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.inputs import INPUTS_NAME, Inputs, load
from tsfal_geo.rounds.validation import ValidationSet
from tsfal_geo.workspace.folder import WorkspaceFolder


@dataclass(frozen=True)
class RoundContext:
    """A workspace at work; each command opens one and carries it through its rounds.

    Attributes:
        workspace: the folder.
        inputs: the training scenes, opened.
        validation: the validation scenes, opened; None without them.
        store: the label store.
        config: the whole configuration.
        reporter: takes what the rounds tell.
    """

    workspace: WorkspaceFolder
    inputs: Inputs
    validation: ValidationSet | None
    store: LabelStore
    config: Config
    reporter: Reporter


def open_context(workspace: WorkspaceFolder, reporter: Reporter) -> RoundContext:
    """Open a workspace beside whoever holds its lock: nothing is written, and nothing is validated on.

    Args:
        workspace: the folder.
        reporter: takes lines and warnings.

    Raises:
        UserError: rasters or workspace cannot be used as they are.
    """
    path = workspace.root / INPUTS_NAME
    inputs = load(path, workspace.scenes, workspace.classes, workspace.config)
    return RoundContext(workspace, inputs, None, workspace.store(), workspace.config, reporter)
