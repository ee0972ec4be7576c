"""The errors that a person sees: what was found, what was expected, what mends it."""


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
