"""TIP on images whose brightness, and where it stands, are what the table says of them."""

import pytest
import torch

from medssl.batches import Cells, Pictures
from medssl.contracts import CategoryColumn, ImageContract, NumberColumn, TableContract
from medssl.encoders.tabular import missing_cells
from medssl.errors import ConfigError
from medssl.inputs.images import ImageInputs
from medssl.inputs.tables import TableInputs
from medssl.methods.config import MethodConfig
from medssl.methods.tip import TIP, row_codes
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import Matches
from medssl.types import Modality

EDGE = 16
IMAGE = {"name": "resnet2d", "width": 4, "blocks": [1, 1], "block": "basic", "stem": "small"}
TABLE = {"name": "tabular_transformer", "width": 16, "heads": 2, "categories": [2], "numbers": 2}
INPUTS = ImageInputs(ImageContract(modality=Modality.RADIOGRAPH, edge=EDGE, size=EDGE))
PARTNER_INPUTS = TableInputs(
    TableContract(
        modality=Modality.TABLE,
        categories=(CategoryColumn(name="side", categories=("left", "right")),),
        numbers=tuple(
            NumberColumn(name=name, mean=0, deviation=1, low=-2, high=2)
            for name in ("brightness", "noise")
        ),
    )
)
OFF = {
    "size": EDGE,
    **{name: {"probability": 0} for name in ("crop", "flip", "affine", "jitter", "blur")},
}


def made(seed=0, encoder=IMAGE, table=TABLE, views=None, **method):
    config = MethodConfig.model_validate(
        {
            "method": {"name": "tip", "fusion": {"width": 16, "heads": 2, "depth": 1}, **method},
            "encoder": encoder,
            "head": {"hidden": 16, "out": 8, "dropout": 0},
            "views": OFF if views is None else views,
            "partner": {"encoder": table},
        }
    )
    return TIP(config, seed=seed, steps=10, inputs=INPUTS, partner_inputs=PARTNER_INPUTS)


def pairs(rows=16, *, seed=0, missing=0.2, position=0):
    """A bright half, left or right, as bright as the table says; and a number of no meaning."""
    generator = torch.Generator().manual_seed(seed)
    side = torch.randint(0, 2, (rows,), generator=generator)
    numbers = torch.randn(rows, 2, generator=generator)
    pixels = torch.zeros(rows, 1, EDGE, EDGE)
    for row in range(rows):
        start = int(side[row]) * EDGE // 2
        pixels[row, :, :, start : start + EDGE // 2] = 128 + 40 * numbers[row, 0].clamp(-3, 3)
    gone = torch.rand(rows, 3, generator=generator) < missing
    extents = torch.full((rows, 2), EDGE)
    return {
        "first": Pictures(pixels.to(torch.uint8), extents),
        "second": Cells(
            side[:, None].masked_fill(gone[:, :1], -1), numbers.masked_fill(gone[:, 1:], torch.nan)
        ),
        "participants": torch.arange(rows),
        "position": position,
    }


def train(method, batches, *, steps, rate=3e-3):
    optimiser = torch.optim.Adam(method.parameters(), lr=rate)
    history = []
    method.train()
    for step in range(steps):
        terms = method.loss({**batches[step % len(batches)], "position": step})
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
        history.append({name: value.item() for name, value in terms.items()})
    return history


def mean_of(history, name):
    return sum(terms[name] for terms in history) / len(history)


def test_the_loss_is_the_mean_of_its_three_terms():
    terms = made().loss(pairs())
    parts = [terms[name] for name in ("contrast", "matching", "reconstruction")]
    assert terms["loss"].item() == pytest.approx(sum(p.item() for p in parts) / 3)
    assert terms.keys() == {"loss", "contrast", "matching", "reconstruction", "false_negatives"}


def test_terms_are_those_of_the_paper_on_what_the_networks_say():
    method, batch = made(corruption=0.0), pairs()
    found = method.loss(batch)
    method = made(corruption=0.0)  # batch norm has not seen anything yet
    cells = batch["second"]
    maps = method.encoder.feature_map(method.plain(batch, "first"))
    images = method.head(maps.mean(dim=(2, 3)))
    tables = method.partner_head(method.partner_encoder(cells))
    apart = torch.eye(16, dtype=torch.bool)
    codes = row_codes(cells)
    everyone = apart | (codes[:, None] != codes[None, :])
    expected = convirt_loss(
        images, tables, Matches(apart, everyone), temperature=0.1, image_weight=0.5
    )
    assert found["contrast"].item() == pytest.approx(expected.item(), rel=1e-5)
    # Untrained, the matcher hardly tells a true from a wrong combination.
    assert found["matching"].item() == pytest.approx(0.69, abs=0.3)


def test_everything_is_drawn_from_the_seed_and_the_position():
    first, again, later, other = (
        made(seed).loss(pairs(position=position))
        for seed, position in ((0, 3), (0, 3), (0, 4), (1, 3))
    )
    assert first["loss"].equal(again["loss"])
    for name in ("contrast", "matching", "reconstruction"):
        assert first[name] != later[name]
        assert first[name] != other[name]


def test_hidden_cells_are_reconstructed_from_what_is_left():
    method, batch = made().eval(), pairs(missing=0)
    cells, maps = batch["second"], method.feature_map(method.plain(batch, "first"))
    masked = torch.zeros(16, 3, dtype=torch.bool)
    masked[:, :2] = True
    logits, numbers = method.reconstruct(maps, cells, masked)
    assert [tuple(each.shape) for each in logits] == [(16, 2)]
    assert numbers.shape == (16, 2)
    changed = Cells(1 - cells.categories, cells.numbers * torch.tensor([-3.0, 1.0]))
    for said, after in zip(
        (*logits, numbers), (*(again := method.reconstruct(maps, changed, masked))[0], again[1]),
        strict=True,
    ):  # fmt: skip
        assert said.equal(after)
    other_images = method.reconstruct(maps.flip(0), cells, masked)[1]
    assert not torch.allclose(numbers, other_images, atol=1e-4)


def test_it_learns_to_fill_gaps_that_only_the_image_can_fill():
    torch.manual_seed(0)
    # At a low temperature wrong combinations are as alike as true ones: noise tells no row apart.
    method = made(corruption=0.0, temperature=1.0)
    history = train(method, [pairs(32, seed=seed) for seed in range(1, 9)], steps=100)
    for name in ("contrast", "matching", "reconstruction"):
        assert mean_of(history[-20:], name) < 0.95 * mean_of(history[:20], name), name
    batch = pairs(200, seed=99, missing=0)
    cells, masked = batch["second"], torch.ones(200, 3, dtype=torch.bool)
    with torch.no_grad():
        maps = method.eval().feature_map(method.plain(batch, "first"))
        (side,), numbers = method.reconstruct(maps, cells, masked)
    assert (side.argmax(1) == cells.categories[:, 0]).float().mean() > 0.9
    errors = (numbers - cells.numbers).square().mean(dim=0)
    assert errors[0] < 0.5 * cells.numbers[:, 0].var()  # brightness
    assert errors[1] > 0.8 * cells.numbers[:, 1].var()  # what no image shows


def test_training_stays_finite_where_nine_of_ten_cells_are_missing():
    method = made()
    batches = [pairs(8, seed=seed, missing=0.9) for seed in range(4)]
    empty = missing_cells(batches[0]["second"]).all(dim=1)
    assert empty.any()  # whole rows are missing
    history = train(method, batches, steps=20)
    assert all(abs(value) < 1e3 for terms in history for value in terms.values())
    assert all(torch.isfinite(parameter).all() for parameter in method.parameters())


def test_records_of_one_participant_and_equal_rows_are_no_negatives():
    batch = pairs(4, missing=0)
    together = {**batch, "participants": torch.zeros(4, dtype=torch.int64)}
    assert made().loss(together)["contrast"].item() == pytest.approx(0, abs=1e-6)
    apart = made(same_participant="ignore").loss(together)
    assert apart["contrast"].item() == pytest.approx(made().loss(batch)["contrast"].item())
    alike = {**batch, "second": Cells(*(part[:1].expand(4, -1) for part in batch["second"]))}
    found = made().loss(alike)
    assert found["contrast"].item() == pytest.approx(0, abs=1e-6)
    assert found["false_negatives"] == 1
    assert made(same_row="ignore").loss(alike)["contrast"] > 1


def test_a_batch_of_one_pair_has_nothing_to_contrast():
    terms = made().eval().loss(pairs(1, missing=0))
    assert terms["contrast"].item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(terms["loss"])


def test_gradient_reaches_every_parameter():
    method = made()
    method.loss(pairs())["loss"].backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert (parameter.grad != 0).any(), name


def test_half_precision_stays_finite():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = made().loss(pairs(missing=0.8))
    assert all(torch.isfinite(value) for value in terms.values())
    assert terms["loss"].dtype == torch.float32


def test_images_are_seen_through_views_and_rows_through_none():
    batch = pairs()
    noisy = made(views={**OFF, "jitter": {"probability": 1}})
    assert not noisy.view(batch, "first").equal(noisy.plain(batch, "first"))
    seen = noisy.view(batch, "second")
    assert seen.categories.equal(batch["second"].categories)


def test_the_table_encoder_is_exported_beside_the_image_encoder():
    method = made()
    encoder, head = method.exported_partner()
    assert head(encoder(pairs()["second"])).shape == (16, 8)
    assert method.exported("student")[0] is method.encoder


@pytest.mark.parametrize(
    ("encoder", "table", "message"),
    [
        ({"name": "resnet1d", "channels": 1}, TABLE, "pairs images with a table"),
        (IMAGE, IMAGE, "pairs images with a table"),
        (IMAGE, {"name": "tabular_transformer"}, "no columns"),
    ],
)
def test_other_encoders_are_refused(encoder, table, message):
    views = OFF if encoder is IMAGE else {}
    config = {"encoder": table, **({"views": OFF} if table is IMAGE else {})}
    values = {"method": "tip", "encoder": encoder, "views": views, "partner": config}
    with pytest.raises(ConfigError, match=message):
        TIP(MethodConfig.model_validate(values), seed=0, steps=1, inputs=INPUTS)


def test_rows_are_equal_where_all_their_cells_are():
    cells = pairs(64, missing=0.5)["second"]
    codes = row_codes(cells)
    for i in range(64):
        for j in range(64):
            same = all(
                torch.equal(part[i].nan_to_num(9e9), part[j].nan_to_num(9e9)) for part in cells
            )
            assert (codes[i] == codes[j]) == same
