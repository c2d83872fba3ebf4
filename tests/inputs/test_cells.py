import logging
import math

import numpy as np
import pandas as pd
import pytest
import torch

from medssl.contracts import CategoryColumn, NumberColumn, TableContract
from medssl.errors import ConfigError
from medssl.inputs.cells import MOST_CATEGORIES, fit_table, read_number, read_word, to_cells
from medssl.types import Modality

LABS = pd.DataFrame(
    {
        "crp": [3.0, 57.0, np.nan, 120.0],
        "d_dimer": ["0.3", "inf", "<0.2", None],
        "view": ["PA", "AP", "AP", ""],
        "icu": [0.0, 1.0, 1.0, np.nan],
    }
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (3, 3.0), (" 3.50 ", 3.5), ("1e-3", 1e-3), ("-2", -2.0), (True, 1.0),
        ("inf", math.inf), ("-inf", -math.inf), (-math.inf, -math.inf), ("+Infinity", math.inf),
        ("<0.3", -math.inf), ("< 0.3", -math.inf), ("<=0.3", -math.inf), ("≤5", -math.inf),
        (">500", math.inf), (">= 500", math.inf), ("≥5", math.inf),
        ("clotted", None), ("<", None), ("> many", None), ("3_1", None), ("3,5", None),
        ("12 mg/l", None), (pd.Timestamp(2020, 1, 1), None),
    ],
)  # fmt: skip
def test_numbers_and_detection_limits(raw, expected):
    assert read_number(raw) == expected


@pytest.mark.parametrize("raw", [None, np.nan, pd.NA, "", "  ", "NaN", "n/a", "?"])
def test_what_is_missing(raw):
    assert math.isnan(read_number(raw))
    assert read_word(raw) is None


def test_words_are_spelt_in_one_way():
    assert [read_word(v) for v in (1, 1.0, np.float32(1), True, "1")] == ["1"] * 5
    assert read_word(0.1) == "0.1"
    assert read_word(426783006.0) == "426783006"


def test_scale_and_limits_come_from_finite_training_values():
    contract = fit_table(LABS, columns=["crp", "d_dimer"])
    crp, d_dimer = contract.numbers
    assert (crp.mean, crp.low, crp.high) == (60.0, 3.0, 120.0)
    assert crp.deviation == pytest.approx(np.std([3, 57, 120]))
    assert (d_dimer.mean, d_dimer.low, d_dimer.high) == (0.3, 0.3, 0.3)
    assert d_dimer.deviation == 1.0  # a constant column must not divide by zero


def test_the_values_decide_the_kind_unless_the_configuration_does():
    contract = fit_table(LABS, columns=["crp", "view", "icu"])
    assert [column.name for column in contract.categories] == ["view"]
    assert [column.name for column in contract.numbers] == ["crp", "icu"]
    contract = fit_table(LABS, columns=["crp", "view"], categories=["icu"], numbers=["d_dimer"])
    assert contract.categories == (
        CategoryColumn(name="view", categories=("AP", "PA")),
        CategoryColumn(name="icu", categories=("0", "1")),
    )
    assert [column.name for column in contract.numbers] == ["crp", "d_dimer"]


def test_cells_of_rows_with_limits_gaps_and_unknown_words():
    contract = TableContract(
        modality=Modality.TABLE,
        categories=(CategoryColumn(name="view", categories=("AP", "PA")),),
        numbers=(
            NumberColumn(name="crp", mean=60, deviation=30, low=0, high=300),
            NumberColumn(name="ph", mean=7, deviation=0.5, low=6.5, high=8),
        ),
    )
    frame = pd.DataFrame(
        {
            "ph": ["7.5", ">7.9", "<6.8", "lost"],
            "other": 1,
            "view": ["PA", "lateral", None, "AP"],
            "crp": [90, np.inf, -np.inf, np.nan],
        }
    )
    found = to_cells(frame, contract)
    assert found.categories.dtype == torch.int64
    assert found.categories.flatten().tolist() == [1, -1, -1, 0]
    assert found.numbers.dtype == torch.float32
    expected = [[1.0, 1.0], [8.0, 2.0], [-2.0, -1.0], [np.nan, np.nan]]
    np.testing.assert_allclose(found.numbers.numpy(), expected)


def test_training_rows_are_standardised_by_their_own_contract():
    frame = LABS.astype({"crp": str})
    found = to_cells(frame, fit_table(frame, columns=["crp", "d_dimer", "view"]))
    crp = found.numbers[:, 0]
    known = crp[~crp.isnan()]
    assert known.mean() == pytest.approx(0, abs=1e-6)
    assert known.std(correction=0) == pytest.approx(1)
    assert not torch.isinf(found.numbers).any()


def test_an_empty_table_has_no_rows():
    contract = fit_table(LABS, columns=["crp", "view"])
    found = to_cells(LABS.iloc[:0], contract)
    assert found.categories.shape == (0, 1)
    assert found.numbers.shape == (0, 1)


@pytest.mark.parametrize("values", [[None, np.nan], ["inf", "<3"], [np.inf, None]])
def test_a_column_without_any_number_is_refused(values):
    with pytest.raises(ConfigError, match="column 'crp' has no number among the training records"):
        fit_table(pd.DataFrame({"crp": values}), columns=["crp"])


def test_a_column_without_any_category_is_refused():
    with pytest.raises(ConfigError, match="column 'view' has no value"):
        fit_table(pd.DataFrame({"view": ["", None]}), categories=["view"])


def test_numbers_with_words_among_them_are_for_the_reader_to_decide(caplog):
    mixed = pd.DataFrame({"crp": ["3", "5", "clotted"]})
    with pytest.raises(ConfigError, match="2 numbers and 1 words.*name it in numbers"):
        fit_table(mixed, columns=["crp"])
    with caplog.at_level(logging.WARNING):
        contract = fit_table(mixed, numbers=["crp"])
    assert contract.numbers[0].mean == 4
    assert "1 word(s) in column crp" in caplog.text
    assert "clotted" not in caplog.text
    assert fit_table(mixed, categories=["crp"]).categories[0].categories == ("3", "5", "clotted")


def test_free_text_does_not_end_up_in_a_bundle_by_accident():
    names = pd.DataFrame({"note": [f"word {i}" for i in range(MOST_CATEGORIES + 1)]})
    with pytest.raises(ConfigError, match="101 different words"):
        fit_table(names, columns=["note"])
    assert len(fit_table(names, categories=["note"]).categories[0].categories) == 101
    assert fit_table(names.iloc[1:], columns=["note"]).categories
