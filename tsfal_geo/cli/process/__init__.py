"""The process that a command runs in: faults of its machine, signals, and the program that started it."""
