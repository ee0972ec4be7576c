"""The supervised baseline by the tester of all ways to train."""

from tests.helpers.method_tester import MethodTester
from tsfal_geo.training.methods.supervised import Supervised


class TestSupervised(MethodTester):
    method = "supervised"
    labelled = ("total",)
    test_in_the_warm_up_only_labels_teach = None  # it has none

    def test_manual_labels_on_unlabelled_images_are_learnt(self):
        """Chips with manual labels are labelled chips to this method; the tests of rounds cover them."""
        assert not Supervised.uses_unlabelled
