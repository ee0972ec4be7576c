"""The instant model: cells of a frozen encoder's features, and a head on them that fits in seconds."""
