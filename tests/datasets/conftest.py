import os
import shutil

import pytest

from tsfal_geo.datasets.registry import DATASETS


@pytest.fixture(scope="session")
def vaihingen(tmp_path_factory):
    """The fixture in the owners' layout; tests must not write into it."""
    folder = tmp_path_factory.mktemp("owners") / "vaihingen"
    DATASETS["vaihingen"].fixture(folder, 0)
    return folder


@pytest.fixture
def copied(vaihingen, tmp_path):
    """The same, to be spoilt: files are hard links, so replace them rather than write into them."""
    return shutil.copytree(vaihingen, tmp_path / "spoilt", copy_function=os.link)
