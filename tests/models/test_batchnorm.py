import pytest
import torch
from torch import nn

from tsfal_geo.models.batchnorm import recalibrate_batch_norm


def test_statistics_are_the_average_over_batches():
    norm = nn.BatchNorm2d(3, momentum=0.1).double()
    norm.running_mean.fill_(50)
    model = nn.Sequential(norm, nn.Dropout(0.5)).train()
    norm.eval()
    batches = [torch.randn(4, 3, 8, 8, dtype=torch.float64) * k + k for k in (1, 2, 3)]
    recalibrate_batch_norm(model, batches)
    assert torch.allclose(norm.running_mean, torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0))
    assert torch.allclose(norm.running_var, torch.stack([b.var((0, 2, 3)) for b in batches]).mean(0))
    assert norm.momentum == 0.1 and not norm.training and model.training and model[1].training


def test_no_batches_leave_the_statistics_alone():
    norm = nn.BatchNorm2d(3)
    norm.running_mean.fill_(7)
    with pytest.raises(ValueError, match="at least one batch"):
        recalibrate_batch_norm(norm, [])
    assert (norm.running_mean == 7).all() and norm.momentum == 0.1
