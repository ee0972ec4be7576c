"""QGIS dies after the driver was content."""

import os
import signal

from guards import drive


def walk(desktop):
    desktop.step("content")
    desktop.write(ok=True)
    os.kill(os.getpid(), signal.SIGKILL)


drive(walk, 60)
