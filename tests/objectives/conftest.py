import pytest
import torch


@pytest.fixture(params=[2, 3, 7])
def batch(request):
    """Two views' rows in float64 and participants, some of whom have several rows."""
    size = request.param
    generator = torch.Generator().manual_seed(size)
    s, t = torch.randn(2, size, 5, generator=generator, dtype=torch.float64)
    participants = torch.tensor({2: [4, 9], 3: [1, 0, 1], 7: [0, 1, 0, 2, 2, 2, 5]}[size])
    return s, t, participants
