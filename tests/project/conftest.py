from tests.helpers.fixtures import folder, one_thread

__all__ = ["folder", "one_thread"]
