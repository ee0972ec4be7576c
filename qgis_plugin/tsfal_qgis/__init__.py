"""TSFAL: see the errors, answer the queries, get the map."""


def classFactory(iface):  # noqa: ANN001, ANN201
    """What QGIS calls to load the plugin."""
    from .plugin import TsfalPlugin

    return TsfalPlugin(iface)
