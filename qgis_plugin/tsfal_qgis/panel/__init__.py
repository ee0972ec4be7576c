"""The panel and the options page: widgets and signals."""
