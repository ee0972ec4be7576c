from tests.helpers.fixtures import make_town, one_thread, towns

__all__ = ["make_town", "one_thread", "towns"]
