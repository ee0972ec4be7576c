"""Labels, disturbances and comparisons for tests of trainings."""

import numpy as np
import torch


class CornerLabels:
    """Manual labels: the top left quarter of each chip is class 2."""

    def read(self, window):
        labels = np.full(window.shape, 255, np.uint8)
        labels[: window.height // 2, : window.width // 2] = 2
        return labels


def stop_after(after):
    """Set the stop signal during step ``after``."""

    def disturb(module, stop):
        done = module.after_step

        def after_step():
            done()
            if module.steps_done + 1 == after:
                stop.set()

        module.after_step = after_step

    return disturb


def same(first, second):
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(
        torch.equal(value, two[key]) or (value.isnan().all() and two[key].isnan().all())
        for key, value in one.items()
    )


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


class Notes:
    """Saves gradients and weights of a process after each step; can be pickled for spawned processes."""

    def __init__(self, module, folder):
        self.module, self.folder = module, folder
        module.after_step = self

    def __call__(self):
        type(self.module).after_step(self.module)
        weights = {name: p.detach() for name, p in self.module.named_parameters()}
        content = {"gradients": gradients(self.module), "weights": weights}
        torch.save(content, self.folder / f"{self.module.steps_done}-{self.module.global_rank}.pt")
