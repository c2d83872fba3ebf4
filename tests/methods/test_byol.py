import torch

from medssl.methods.config import MethodConfig
from medssl.methods.registry import build_method


def method(**settings):
    config = MethodConfig.model_validate(
        {
            "method": {"name": "byol", **settings},
            "encoder": {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2},
            "head": {"hidden": 16, "out": 8, "dropout": 0},
        }
    )
    return build_method(config, seed=0, steps=10)


def test_the_predictor_is_trained_and_stands_behind_the_student_alone():
    made = method(predictor_hidden=20)
    assert made.predictor in made.trained()
    shapes = [tuple(p.shape) for p in made.predictor.parameters() if p.ndim == 2]
    assert shapes == [(20, 8), (8, 20)]
    assert not any("predictor" in name for name, _ in made.teacher.named_parameters())
    for which in ("student", "teacher"):
        exported = torch.nn.Sequential(*made.exported(which))
        assert not any(made.predictor is module for module in exported.modules())


def test_the_loss_compares_predictions_with_the_teacher_of_the_other_view():
    made = method()
    first, second = torch.randn(2, 5, 1, 64)
    batch = {
        "first": first, "second": second, "participants": torch.arange(5), "position": 3,
    }  # fmt: skip
    a, b = made.view(batch, "first"), made.view(batch, "second")
    expected = 0
    for view, other in ((a, b), (b, a)):
        prediction = torch.nn.functional.normalize(made.predictor(made.student()(view)), dim=1)
        target = torch.nn.functional.normalize(made.teacher(other), dim=1)
        expected = expected + (prediction - target).square().sum(dim=1).mean()
    torch.testing.assert_close(made.loss(batch)["loss"], expected)


def test_the_teacher_slows_down_to_a_halt():
    made = method(momentum=0.5, momentum_end=1.0)
    moved = []
    for step in range(11):
        before = made.teacher.network[1][0].weight.clone()
        with torch.no_grad():
            made.head[0].weight.add_(1.0)
        gap = made.head[0].weight - before
        made.teacher.follow(made.student())
        share = (made.teacher.network[1][0].weight - before) / gap
        torch.testing.assert_close(share, share.mean().expand_as(share), atol=1e-4, rtol=1e-4)
        moved.append(share.mean().item())
        assert step == 0 or moved[step] <= moved[step - 1]
    assert moved[0] == 1  # the first step is a copy
    torch.testing.assert_close(moved[5], 0.25, atol=1e-4, rtol=0)
    assert moved[10] == 0


def test_without_an_end_the_momentum_stays():
    made = method(momentum=0.5, momentum_end=None)
    for _ in range(3):
        before = made.teacher.network[1][0].weight.clone()
        with torch.no_grad():
            made.head[0].weight.add_(1.0)
        gap = made.head[0].weight - before
        made.teacher.follow(made.student())
    torch.testing.assert_close(made.teacher.network[1][0].weight, before + gap / 2)
