"""Workspaces made, and opened again."""

from __future__ import annotations

from pathlib import Path

from tsfal_geo.config import Config
from tsfal_geo.errors import UserError
from tsfal_geo.project.workspace import PathLike, Workspace
from tsfal_geo.reporting import Reporter
from tsfal_geo.rounds.request import Request
from tsfal_geo.workspace.folder import WorkspaceFolder


def create_workspace(
    root: PathLike,
    rasters: PathLike,
    validation: PathLike | None = None,
    config: Config | None = None,
    *,
    store: str | None = None,
    fresh: bool = False,
    reporter: Reporter | None = None,
) -> Workspace:
    """Make a workspace for a folder of orthophotos.

    Args:
        root: the workspace's folder.
        rasters: folder of orthophotos, with ``dsm/`` and ``labels/`` where there are some.
        validation: folder of scenes with labels that nothing trains on.
        config: the configuration; None: the defaults.
        store: ``postgresql://…`` for a team's label store; None: GeoPackages in the workspace.
        fresh: start over where there is a workspace: earlier rounds go to its ``archive/``.
        reporter: takes lines and warnings; None: nobody does.

    Returns:
        The workspace, not trained yet.

    Raises:
        UserError: there is a workspace already, or rasters, labels or configuration cannot be used.

    Example:
        >>> import tsfal_geo as tg
        >>> workspace = tg.create_workspace("new", rasters="dir", validation="val", config=config)
        >>> workspace.status().round
        -1
    """
    from tsfal_geo.rounds.loop import create
    from tsfal_geo.rounds.request import Request

    root = Path(root)
    if WorkspaceFolder.exists(root) and not fresh:
        raise UserError(
            f"{root}: found a workspace, expected none; open it with open_workspace, or pass fresh=True to "
            "start over"
        )
    val_dir = None if validation is None else Path(validation)
    request = Request(root, Path(rasters), val_dir, config or Config(), store, fresh)
    opened = create(request, reporter)
    return Workspace(opened.context.workspace, request, opened)


def open_workspace(
    root: PathLike,
    *,
    config: Config | None = None,
    rasters: PathLike | None = None,
    validation: PathLike | None = None,
    store: str | None = None,
) -> Workspace:
    """Open a workspace that is there.

    Args:
        root: the workspace's folder.
        config: another configuration for the rounds to come; None: the workspace's own.
        rasters: the training scenes' folder, where it has moved.
        validation: another folder of validation scenes.
        store: another label store.

    Raises:
        WorkspaceError: not a workspace, damaged, or written by a newer version.

    Example:
        >>> import tsfal_geo as tg
        >>> workspace = tg.open_workspace("ws")
        >>> workspace.status().round >= 0
        True
    """
    folder = WorkspaceFolder.open(Path(root))
    state = folder.state
    request = Request(
        folder.root,
        state.raster_dir if rasters is None else Path(rasters),
        state.val_dir if validation is None else Path(validation),
        config or folder.config,
        store or state.store,
    )
    return Workspace(folder, request)
