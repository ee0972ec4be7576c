"""The engine as a process of its own: finding it, starting it, reading its output."""
