"""The live session: the map and the queries follow each answer within a second."""
