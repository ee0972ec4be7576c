"""Adapters of public datasets: from the files that their owners ship to folders that every command reads."""
