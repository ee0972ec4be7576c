"""TSFAL: see the errors, answer the queries, get the map."""


def classFactory(iface):  # noqa: ANN001, ANN201
    """Make the plugin; QGIS calls this.

    Args:
        iface: QGIS's interface; None without a desktop.

    Returns:
        The plugin.
    """
    from .plugin import TsfalPlugin

    return TsfalPlugin(iface)
