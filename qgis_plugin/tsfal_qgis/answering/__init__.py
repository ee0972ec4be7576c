"""Answering queries: the session, its queue, and the keys and tools that act on it."""
