from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from medssl.evaluation.image_text.model import ImageTextModel
from medssl.evaluation.image_text.untrained import untrained_model
from medssl.evaluation.untrained import plain_batches
from medssl.store import Store


def test_weights_are_random_by_seed_and_batch_norm_fits_the_images(
    image_text_run: Path, image_text_store: Path
) -> None:
    store = Store.open(image_text_store)
    rows = store.rows(modality="radiograph")
    trained = ImageTextModel.load(image_text_run, device="cpu")

    def made(seed: int) -> ImageTextModel:
        batches = plain_batches(trained.image.inputs, store, rows, limit=64, seed=0)
        return untrained_model(image_text_run, batches, seed=seed, device="cpu")

    state = torch.random.get_rng_state()
    first, again, other = made(0), made(0), made(1)
    assert torch.equal(state, torch.random.get_rng_state())
    for project in (
        lambda model: model.project_rows(store, rows[:6]),
        lambda model: model.project_texts(["no pleural effusion", "there is an effusion"]),
    ):
        found = [project(model) for model in (first, again, other, trained)]
        np.testing.assert_array_equal(found[0], found[1])
        assert np.abs(found[0] - found[2]).max() > 0.01
        assert np.abs(found[0] - found[3]).max() > 0.01
        assert found[0].shape == found[3].shape
    # Batch norm: features of the images it was fitted to have mean 0 and variance 1 after it.
    norm = next(m for m in first.image.module.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert norm.num_batches_tracked == 1
    assert not torch.allclose(norm.running_var, torch.ones_like(norm.running_var))
    assert not first.image.module.training
    assert not first.image_head.training
