"""The errors that a person sees: what was found, what was expected, what mends it."""

from importlib.util import find_spec


class UserError(Exception):
    """The user's mistake, told in one line that names the file or option and the remedy.

    The command line prints the message without a traceback and exits with ``exit_code``.
    """

    exit_code = 2
    code = "user"


class RasterError(UserError, ValueError):
    """A raster that cannot be used as it is."""

    code = "raster"


class LabelError(UserError, ValueError):
    """Labels that do not fit their scene or the class map."""

    code = "labels"


class ConfigError(UserError, ValueError):
    """A configuration key or value that does not exist or is out of range."""

    code = "config"


class WeightsError(UserError, RuntimeError):
    """Weights that cannot be had or do not fit the network."""

    code = "weights"


class WorkspaceError(UserError, RuntimeError):
    """A workspace that is damaged, locked, of a newer schema, or not one at all."""

    exit_code = 3
    code = "workspace"


class Cancelled(Exception):
    """The run was asked to stop (stdin closed, SIGINT, SIGTERM); everything done so far is kept."""

    exit_code = 4
    code = "cancelled"


def require_extra(package: str, extra: str, purpose: str) -> None:
    """Refuse to start on something whose optional package is not installed.

    Args:
        package: the package, by the name that it is imported by.
        extra: the extra of ``tsfal-geo`` that installs it.
        purpose: the file, option or format that needs it; the message begins with it.

    Raises:
        UserError: the package is not installed.
    """
    if find_spec(package) is None:
        raise UserError(f"{purpose} needs {package}; `pip install 'tsfal-geo[{extra}]'`")
