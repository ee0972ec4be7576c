"""The live session of the engine: map, queue and accuracy follow each answer."""
