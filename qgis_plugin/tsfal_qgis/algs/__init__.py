"""The commands of the engine as Processing algorithms."""
