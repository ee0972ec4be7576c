"""The engine as a process: finding it, starting it, reading what it prints."""
