import torch

from medssl.encoders.fusion import MultimodalFusion


def made(table=12):
    torch.manual_seed(0)
    return MultimodalFusion(image=6, table=table, width=16, depth=2, heads=4).eval()


def inputs():
    generator = torch.Generator().manual_seed(0)
    visible = torch.tensor([[True, True, False, True], [True, False, False, False]])
    return (
        torch.randn(2, 4, 12, generator=generator),
        torch.randn(2, 6, 3, 5, generator=generator),
        visible,
    )


def test_every_token_sees_the_image_wherever_things_stand_in_it():
    fuse, (tokens, image, visible) = made(), inputs()
    found = fuse(tokens, image, visible)
    assert found.shape == (2, 4, 16)
    assert torch.allclose(found, fuse(tokens, image.flip(2).flip(3), visible), atol=1e-5)
    moved = (found - fuse(tokens, image[[1, 0]], visible)).abs().amax(dim=-1)
    assert (moved > 1e-3).all()


def test_hidden_cells_reach_no_other_cell():
    fuse, (tokens, image, visible) = made(), inputs()
    found = fuse(tokens, image, visible)
    changed = torch.where(visible[..., None], tokens, torch.randn_like(tokens))
    after = fuse(changed, image, visible)
    assert torch.allclose(found[visible], after[visible], atol=1e-6)
    assert ((found - after)[~visible].abs().amax(dim=-1) > 1e-3).all()


def test_rows_do_not_see_each_other_and_images_of_any_size_fit():
    fuse, (tokens, image, visible) = made(), inputs()
    both = fuse(tokens, image, visible)
    assert torch.allclose(both[1:], fuse(tokens[1:], image[1:], visible[1:]), atol=1e-6)
    assert fuse(tokens, image[..., :1, :1], visible).shape == (2, 4, 16)


def test_tokens_of_the_same_width_are_taken_as_they_are():
    assert not list(made(table=16).table.parameters())
    assert list(made(table=12).table.parameters())
