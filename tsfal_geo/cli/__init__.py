"""The command line: one click command a file, each a thin layer over the library."""
