"""Public datasets as their owners ship them, turned into folders that every command reads."""
