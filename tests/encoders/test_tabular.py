import pytest
import torch
from pydantic import ValidationError

from medssl.batches import Cells
from medssl.contracts import CategoryColumn, NumberColumn, TableContract
from medssl.encoders.tabular import (
    TabularTransformerConfig,
    missing_cells,
    visible_tokens,
)
from medssl.errors import ConfigError, ContractError
from medssl.types import Modality

NAN = float("nan")
CONFIG = TabularTransformerConfig(width=16, categories=(2, 3), numbers=3)
ROWS = Cells(
    torch.tensor([[0, 2], [1, -1], [-1, -1], [1, 0]]),
    torch.tensor([[0.5, -1.0, 2.0], [NAN, 0.3, NAN], [NAN, NAN, NAN], [NAN, NAN, 1.5]]),
)


def made(config=CONFIG, seed=0):
    torch.manual_seed(seed)
    return config.build().eval()


def rows(x, *which):
    return Cells(x.categories[list(which)], x.numbers[list(which)])


def without_missing_tokens(encoder, x):
    """The class token of one row whose missing cells were never there."""
    missing = missing_cells(x)
    kept = visible_tokens(missing)[0]
    tokens = encoder.tokens(x, missing)[:, kept]
    everything = torch.ones(tokens.shape[:2], dtype=torch.bool)
    for block in encoder.blocks:
        tokens = block(tokens, everything)
    return encoder.norm(tokens)[:, 0]


def test_missing_cells_are_as_if_they_were_not_there():
    encoder = made()
    found = encoder(ROWS)
    for row in range(4):
        expected = without_missing_tokens(encoder, rows(ROWS, row))
        assert torch.allclose(found[row : row + 1], expected, atol=1e-6)


def test_a_row_without_any_cell_is_finite_and_so_is_its_gradient():
    encoder = made().train()
    out = encoder(rows(ROWS, 2, 2))
    assert torch.isfinite(out).all()
    out.square().sum().backward()
    gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_masked_cells_tell_nothing_and_hide_as_missing_ones_do():
    encoder = made()
    x = rows(ROWS, 0)
    masked = torch.tensor([[False, True, False, True, False]])
    found = encoder.hidden(x, masked)
    other = Cells(torch.tensor([[0, 1]]), torch.tensor([[0.5, 99.0, 2.0]]))
    assert torch.equal(found, encoder.hidden(other, masked))
    gone = Cells(torch.tensor([[0, -1]]), torch.tensor([[0.5, NAN, 2.0]]))
    assert torch.equal(found, encoder.hidden(gone))
    assert not torch.allclose(found, encoder.hidden(x), atol=1e-3)
    # A masked cell gathers from the visible ones, or there would be nothing to reconstruct from.
    changed = Cells(torch.tensor([[1, 2]]), torch.tensor([[0.5, -1.0, 2.0]]))
    moved = (found - encoder.hidden(changed, masked)).abs().amax(dim=-1)[0]
    assert (moved[[2, 4]] > 1e-4).all()


def test_the_same_code_in_two_columns_is_two_categories():
    encoder = made()
    with torch.no_grad():
        encoder.columns.zero_()
        tokens = encoder.tokens(rows(ROWS, 0), missing_cells(rows(ROWS, 0)))
    vectors = encoder.category.weight
    assert len(vectors) == 5
    assert torch.allclose(tokens[0, 1], encoder.token_norm(vectors[0]), atol=1e-6)
    assert torch.allclose(tokens[0, 2], encoder.token_norm(vectors[2 + 2]), atol=1e-6)


def test_columns_of_numbers_differ_by_their_own_vector():
    encoder = made()
    first = Cells(torch.tensor([[0, 0]]), torch.tensor([[1.0, NAN, NAN]]))
    second = Cells(torch.tensor([[0, 0]]), torch.tensor([[NAN, 1.0, NAN]]))
    assert not torch.allclose(encoder(first), encoder(second), atol=1e-3)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        TabularTransformerConfig(width=12, heads=3, depth=1, categories=(4,)),
        TabularTransformerConfig(width=12, heads=3, depth=3, numbers=2, dropout=0.1),
    ],
    ids=["both", "categories alone", "numbers alone"],
)
def test_gradient_reaches_every_parameter(config):
    torch.manual_seed(0)
    encoder = config.build().train()
    sizes = torch.tensor(config.categories).reshape(1, -1)
    codes = torch.arange(8)[:, None] % (sizes + 1) - 1
    numbers = torch.randn(8, config.numbers)
    numbers[0] = NAN
    cells = Cells(codes, numbers)
    masked = torch.zeros(8, len(config.categories) + config.numbers, dtype=torch.bool)
    masked[1] = True
    out = encoder.hidden(cells, masked)
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert (parameter.grad != 0).any(), name


def test_fresh_weights_tell_rows_apart():
    out = made(CONFIG)(ROWS).detach()
    assert out.std(dim=0).mean() > 0.01 * out.abs().mean()


def test_neighbours_do_not_matter():
    encoder = made()
    for row in range(4):
        assert torch.allclose(encoder(ROWS)[row], encoder(rows(ROWS, row))[0], atol=1e-6)


def test_half_precision_holds_rows_with_missing_cells():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(made()(ROWS)).all()
    half = made().double()
    assert half(ROWS).dtype == torch.float64


def test_layers_have_tokens_before_width():
    encoder = made(TabularTransformerConfig(width=16, depth=3, categories=(2, 3), numbers=3))
    seen = {}
    for name, module in encoder.layers().items():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    encoder(ROWS)
    assert list(seen) == ["cells", "block 1", "block 2"]
    assert {tuple(out.shape) for out in seen.values()} == {(4, 6, 16)}


def test_rows_of_another_table_are_refused():
    with pytest.raises(ContractError, match="2 columns of categories and 2 of numbers.*2 and 3"):
        made()(Cells(ROWS.categories, ROWS.numbers[:, :2]))


def test_the_contract_says_how_many_columns_there_are():
    contract = TableContract(
        modality=Modality.TABLE,
        categories=(CategoryColumn(name="view", categories=("AP", "PA")),),
        numbers=(NumberColumn(name="age", mean=0, deviation=1, low=0, high=1),),
    )
    unfitted = TabularTransformerConfig(width=16)
    assert unfitted.fitted(contract) == TabularTransformerConfig(
        width=16, categories=(2,), numbers=1
    )
    with pytest.raises(ConfigError, match="no columns"):
        unfitted.build()


def test_heads_divide_the_width():
    with pytest.raises(ValidationError, match="multiple of heads"):
        TabularTransformerConfig(width=10, heads=4)
