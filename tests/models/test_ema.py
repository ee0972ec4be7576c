import copy

import pytest
import torch
from torch import nn

from tsfal_geo.models.ema import EmaTeacher


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).double()


def test_closed_form_after_k_steps():
    student = network()
    teacher = EmaTeacher(student, decay=0.6)
    history = []
    for step in range(7):
        for tensor in [*student.parameters(), student[1].running_mean, student[1].running_var]:
            tensor.data.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(step)).abs())
        student[1].num_batches_tracked += 2
        history.append({key: value.clone() for key, value in student.state_dict().items()})
        teacher.update(student)
    # weights of the students of steps 0..6: (1 - m_t) times all later m's; m = 0, 1/2, then capped at 0.6
    decays = [min(1 - 1 / (t + 1), 0.6) for t in range(7)]
    shares = [(1 - decays[t]) * torch.tensor(decays[t + 1 :]).prod().item() for t in range(7)]
    assert sum(shares) == pytest.approx(1)
    for key, value in teacher.model.state_dict().items():
        if value.is_floating_point():
            expected = sum(share * state[key] for share, state in zip(shares, history, strict=True))
            assert torch.allclose(value, expected, rtol=1e-6), key
    assert teacher.model[1].num_batches_tracked == 14


def test_first_update_copies_the_student():
    teacher, student = EmaTeacher(network(0), 0.99), network(1)
    teacher.update(student)
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), student.parameters(), strict=True))


def test_always_eval_and_without_gradients():
    student = network().train()
    teacher = EmaTeacher(student, 0.99)
    nn.ModuleList([teacher]).train()
    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    teacher.update(student)
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert torch.equal(teacher(images), teacher(images)) and not teacher(images).requires_grad
    assert student.training and all(p.requires_grad for p in student.parameters())


def test_resumed_teacher_goes_on_where_it_stopped():
    teacher, student = EmaTeacher(network(0), 0.99), network(1)
    for _ in range(3):
        teacher.update(student)
    resumed = EmaTeacher(network(2), 0.99)
    resumed.load_state_dict(copy.deepcopy(teacher.state_dict()))
    assert resumed.updates == 3
    other = network(3)
    teacher.update(other)
    resumed.update(other)
    ours, theirs = teacher.state_dict(), resumed.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
