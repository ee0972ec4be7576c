"""Answering queries in QGIS: the session, its keys and its map tools."""
