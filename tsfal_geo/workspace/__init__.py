"""The workspace folder on disk: state, configuration, lock, copy."""
