import pytest
import torch

from medssl.objectives.contrastive_gap import contrastive_gap_terms
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import find_matches


def rows(size, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, size, dim, generator=generator, dtype=torch.float64)


def apart(size):
    return find_matches(*torch.arange(size).repeat(3, 1))


def test_terms_are_those_of_pairwise_distances():
    x, y = torch.nn.functional.normalize(rows(7), dim=2)
    found = contrastive_gap_terms(x, y, apart(7))
    assert torch.allclose(found["alignment"], ((x - y) ** 2).sum(1).mean())
    within = [(-2 * torch.pdist(z) ** 2).exp().mean().log() for z in (x, y)]
    assert torch.allclose(found["uniformity"], sum(within) / 2)
    squares = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    across = (-2 * squares)[~torch.eye(7, dtype=torch.bool)].exp().mean().log()
    assert torch.allclose(found["cross_uniformity"], across)


def test_a_single_row_has_alignment_alone():
    x, y = rows(1)
    found = contrastive_gap_terms(x, y, apart(1))
    assert found["uniformity"].item() == found["cross_uniformity"].item() == 0
    assert found["alignment"].item() > 0


def test_uniformity_cannot_undo_a_collapse():
    x = torch.ones(5, 4, dtype=torch.float64, requires_grad=True)
    found = contrastive_gap_terms(x, x.detach(), apart(5))
    (gradient,) = torch.autograd.grad(found["uniformity"], x, retain_graph=True)
    assert gradient.abs().max() < 1e-12
    assert found["alignment"].item() == pytest.approx(0, abs=1e-12)


def test_they_close_a_gap_that_contrast_alone_leaves():
    # Images and texts in two narrow cones, as two untrained encoders have them.
    generator = torch.Generator().manual_seed(0)
    noise = 0.15 * torch.randn(2, 24, 8, generator=generator)

    def gap_after(weight):
        x = (noise[0] + torch.eye(8)[0]).requires_grad_()
        y = (noise[1] + torch.eye(8)[1]).requires_grad_()
        optimiser = torch.optim.Adam([x, y], lr=0.02)
        for _ in range(80):
            optimiser.zero_grad()
            terms = contrastive_gap_terms(x, y, apart(24))
            loss = convirt_loss(x, y, apart(24), temperature=0.02, image_weight=0.5)
            (loss + weight * sum(terms.values())).backward()
            optimiser.step()
        unit = torch.nn.functional.normalize
        return (unit(x).mean(0) - unit(y).mean(0)).norm().item()

    assert gap_after(1.0) < 0.6 * gap_after(0.0)
