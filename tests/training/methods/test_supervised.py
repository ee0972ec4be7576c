"""The supervised baseline by the tester of all ways to train."""

from tests.helpers.method_tester import MethodTester
from tsfal_geo.training.methods.supervised import Supervised


class TestSupervised(MethodTester):
    method = "supervised"
    labelled = ("total",)
    test_in_the_warm_up_only_labels_teach = None  # it has none

    def test_what_people_said_on_unlabelled_images_is_learnt(self):
        """Chips that people labelled are labelled chips to it; the loop's tests show that."""
        assert not Supervised.uses_unlabelled
