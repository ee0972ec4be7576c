"""The driver itself finds something wrong."""

from guards import drive


def walk(desktop):
    desktop.until(lambda: False, "the impossible", seconds=1)


drive(walk, 60)
