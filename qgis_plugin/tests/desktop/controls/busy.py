"""The GUI thread is stuck: no timer fires any more."""

from guards import drive


def walk(desktop):
    while True:
        pass


drive(walk, 12)
