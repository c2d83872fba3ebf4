import torch
from torch import nn

from medssl.methods.ema import MomentumTeacher, momentum_at


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Dropout(0.5))


def test_parameters_and_buffers_follow_with_the_momentum():
    student = network()
    teacher = MomentumTeacher(student, momentum=0.9)
    teacher.follow(student)  # the first step is a copy
    expected = {k: v.clone().double() for k, v in student.state_dict().items()}
    for step in range(5):
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(torch.randn_like(parameter))
        student(torch.randn(8, 1, 6) * (step + 1))  # moves the running statistics
        teacher.follow(student)
        for name, value in student.state_dict().items():
            expected[name] = 0.9 * expected[name] + 0.1 * value
    for name, value in teacher.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_a_forward_changes_no_state_and_drops_nothing():
    teacher = MomentumTeacher(network(), momentum=0.9).train()
    before = {k: v.clone() for k, v in teacher.network.state_dict().items()}
    x = torch.randn(8, 1, 6)
    first = teacher(x)
    assert torch.equal(first, teacher(x))
    assert not (first == 0).any()
    for name, value in teacher.network.state_dict().items():
        if "num_batches_tracked" not in name:  # a counter that nothing reads
            assert torch.equal(value, before[name]), name


def test_it_normalises_with_its_own_batch():
    student = network()
    teacher = MomentumTeacher(student, momentum=0.9).train()
    student[3].p = 0.0
    x = torch.randn(8, 1, 6) * 100 + 7
    torch.testing.assert_close(teacher(x), student.train()(x))


def test_no_gradient_reaches_it():
    teacher = MomentumTeacher(network(), momentum=0.9)
    assert not any(p.requires_grad for p in teacher.parameters())


def test_the_momentum_is_a_function_of_the_steps_taken_also_after_a_reload():
    def run(teacher, students):
        for student in students:
            teacher.follow(student)
        return teacher.network.state_dict()

    torch.manual_seed(1)
    students = [network() for _ in range(8)]
    for student in students:
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(torch.randn_like(parameter))
    settings = {"momentum": 0.2, "end": 0.9, "steps": 8}
    whole = run(MomentumTeacher(network(), **settings), students)
    first, second = (MomentumTeacher(network(), **settings) for _ in range(2))
    run(first, students[:3])
    second.load_state_dict(first.state_dict())
    resumed = run(second, students[3:])
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    weights = [momentum_at(k, start=0.2, end=0.9, steps=8) for k in range(8)]
    expected = students[0].state_dict()["0.weight"].double()
    for k in range(1, 8):
        new = students[k].state_dict()["0.weight"].double()
        expected = weights[k] * expected + (1 - weights[k]) * new
    torch.testing.assert_close(whole["0.weight"].double(), expected, rtol=1e-5, atol=1e-6)
    assert weights == sorted(weights)
