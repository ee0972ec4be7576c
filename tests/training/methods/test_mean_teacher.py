import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from tests.helpers.method_tester import MethodTester
from tests.helpers.trained import CornerLabels
from tsfal_geo.models.ema import bounded_decay
from tsfal_geo.training.methods import mean_teacher


def fine_softmax(logits):
    fine = interpolate(logits.double(), scale_factor=4, mode="bilinear", align_corners=False)
    return fine.softmax(1).numpy()


class TestMeanTeacher(MethodTester):
    method = "mean_teacher"

    @pytest.mark.parametrize("progress", [0.0, 0.5])
    @pytest.mark.parametrize("manual", [None, CornerLabels()])
    def test_squared_error_of_softmax_with_a_ramp(
        self, make_config, make_module, make_data, batch_of, monkeypatch, progress, manual
    ):
        monkeypatch.setattr(mean_teacher, "NOISE", 0.0)
        config = make_config(
            train={"method": "mean_teacher"}, augment={"colour": 0.0}, tsf={"copy_paste": False}
        )
        data = make_data(config, manual=manual)
        module, batch = make_module(config, data), batch_of(data)
        torch.nn.init.normal_(module.student.head.classifier.weight)  # else student and teacher are one
        module._step = round(progress * module.total_steps)
        loss = module.losses(batch, module._seed())["consistency"]
        views, labelled = module.views(batch["unlabelled"]), module.branch.views(batch["labelled"])
        with torch.no_grad():
            target = fine_softmax(module.teacher(views.images).logits)
            p = fine_softmax(module.student(torch.cat((labelled.images, views.images))).logits[2:])
        labels, valid = views.labels.numpy(), views.valid.numpy()
        for c in range(3):
            target[:, c][labels != 255] = labels[labels != 255] == c
        squares = ((p - target) ** 2).mean(1)[valid]
        done = min(1, progress / (5 / 45))
        assert loss.item() == pytest.approx(100 * np.exp(-5 * (1 - done) ** 2) * squares.mean(), rel=1e-4)
        assert (labels != 255).any() == (manual is not None)

    @pytest.mark.parametrize("preset", ["paper", "strong"])
    def test_the_student_sees_other_images_than_the_teacher(
        self, make_config, make_module, make_data, batch_of, preset
    ):
        config = make_config(preset, train={"method": "mean_teacher"})
        data = make_data(config)
        module, batch, recorded = make_module(config, data), batch_of(data), {}
        for name in ("teacher", "student"):
            getattr(module, name).register_forward_pre_hook(
                lambda _, args, name=name: recorded.update({name: args[0]})
            )
        module.losses(batch, module._seed())
        valid = module.views(batch["unlabelled"]).valid
        assert (recorded["teacher"] != recorded["student"][2:]).any(1)[valid].float().mean() > 0.99

    def test_without_jitter_the_student_sees_noise_on_bands_where_the_image_is(
        self, make_config, make_module
    ):
        module = make_module(make_config("paper", train={"method": "mean_teacher"}))
        module.bands = 2  # the third channel is heights
        images, valid = torch.rand(2, 3, 64, 64), torch.rand(2, 64, 64) < 0.7
        first, again = (module.perturbed(images, valid, module._seed()) for _ in range(2))
        noise = (first - images).movedim(1, -1)
        assert torch.equal(first, again) and noise[..., 2].eq(0).all() and noise[~valid].eq(0).all()
        assert noise[valid][:, :2].std().item() == pytest.approx(0.15, rel=0.05)

    def test_the_teacher_is_the_students_moving_average(self, step):
        module, _ = step()
        module.begin(1000)
        assert module.teacher.decay == 0.99
        w = module.student.head.classifier.bias
        recorded = []
        for k in range(4):
            with torch.no_grad():
                w.fill_(2.0**k)
            module.after_step()
            recorded.append(module.predictor.head.classifier.bias[0].item())
        # Decays 0, 1/2, 2/3, 3/4: the plain mean as long as 1 - 1/(t + 1) is the smaller one.
        assert recorded == pytest.approx([1, 1.5, 7 / 3, 15 / 4])

    def test_short_trainings_forget_sooner(self):
        assert bounded_decay(0.99, 100_000) == 0.99 and bounded_decay(0.99, 100) == pytest.approx(0.9)
