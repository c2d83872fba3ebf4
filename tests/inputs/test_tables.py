import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from medssl.contracts import TableContract
from medssl.errors import ConfigError, ContractError
from medssl.inputs.table_config import TableConfig
from medssl.inputs.tables import TableInputs, fit_contract
from medssl.records import Record
from medssl.store import ShardWriter, append
from medssl.store.schema import LEDGER_SCHEMA
from medssl.types import Modality

CRP = [3.0, None, 9.0, 27.0, None, 5.0]
D_DIMER = ["0.5", "inf", None, None, None, "2.5"]
AGES = {"p0": 40.0, "p1": 60.0, "p2": None}
SEXES = {"p0": "f", "p1": "m", "p2": None}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Six images of three participants, some of whose labels are known."""
    folder = tmp_path_factory.mktemp("tables")
    records = [
        Record(
            participant=f"p{number // 2}", session="s1", recording=f"image {number}",
            modality=Modality.RADIOGRAPH, data=np.full((2, 3), number, np.uint8),
            source_digest="0" * 32,
        )
        for number in range(6)
    ]  # fmt: skip
    with ShardWriter(folder / "staging", "b", max_bytes=1 << 20) as writer:
        for record in records:
            writer.add([record])
        table = writer.close()
    people = pd.DataFrame({"participant": list(AGES), "age": AGES.values(), "sex": SEXES.values()})
    labels = pd.DataFrame({"record": [r.name for r in records], "crp": CRP, "d_dimer": D_DIMER})
    labels = labels.drop(index=4)  # a record without any label of its own
    return append(
        folder / "store", staging=folder / "staging", records=table,
        participants=pa.Table.from_pandas(people, preserve_index=False),
        labels=pa.Table.from_pandas(labels, preserve_index=False),
        ledger=LEDGER_SCHEMA.empty_table(),
    )  # fmt: skip


def rows_of(store, *participants):
    return store.rows(participants=participants)


def test_labels_of_records_and_of_participants_become_cells(store):
    config = TableConfig(columns=("crp", "sex", "d_dimer"), categories=("age",))
    contract = fit_contract(store, store.rows(), config)
    assert [(c.name, c.categories) for c in contract.categories] == [
        ("sex", ("f", "m")),
        ("age", ("40", "60")),
    ]
    found = TableInputs(contract).read(store, store.rows()[::-1])
    assert found.categories.tolist()[::-1] == [[0, 0]] * 2 + [[1, 1]] * 2 + [[-1, -1]] * 2
    crp, d_dimer = contract.numbers
    values = found.numbers.numpy()[::-1] * [crp.deviation, d_dimer.deviation]
    values += [crp.mean, d_dimer.mean]
    expected = {"crp": CRP, "d_dimer": [0.5, 2.5, None, None, None, 2.5]}  # inf: the largest known
    np.testing.assert_allclose(values, pd.DataFrame(expected).to_numpy(float), rtol=1e-6)


def test_held_out_rows_leave_the_contract_alone(store):
    config = TableConfig(columns=("crp", "sex"))
    contract = fit_contract(store, rows_of(store, "p0", "p2"), config)
    assert (contract.numbers[0].mean, contract.numbers[0].high) == (4.0, 5.0)
    assert contract.categories[0].categories == ("f",)
    held_out = TableInputs(contract).read(store, rows_of(store, "p1"))
    assert held_out.categories.tolist() == [[-1], [-1]]  # m was never seen


def test_only_what_is_named_is_read(store):
    contract = fit_contract(store, store.rows(), TableConfig(columns=("crp",)))
    assert (contract.noun, contract.categories) == ("rows of 1 columns", ())
    assert TableContract.model_validate(contract.model_dump(mode="json")) == contract


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("ldh", "crp"), "no label column 'ldh'; known: crp, d_dimer, age, sex"),
        (("crp", "d_dimmer"), "no label column 'd_dimmer'; did you mean d_dimer"),
        (("has_radiograph",), "no label column 'has_radiograph'"),  # nobody's label
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest_name(store, columns, message):
    with pytest.raises(ConfigError, match=message):
        fit_contract(store, store.rows(), TableConfig(columns=columns))


def test_a_column_that_training_participants_lack_is_refused(store):
    with pytest.raises(ConfigError, match="column 'age' has no number"):
        fit_contract(store, rows_of(store, "p2"), TableConfig(columns=("crp", "age")))


def test_a_store_that_lacks_a_column_of_the_contract_is_refused(store):
    contract = fit_contract(store, store.rows(), TableConfig(columns=("crp",)))
    column = contract.numbers[0].model_copy(update={"name": "crb"})
    other = TableInputs(contract.model_copy(update={"numbers": (column,)}))
    with pytest.raises(ConfigError, match="no label column 'crb'; did you mean crp"):
        other.read(store, store.rows())


def test_records_without_any_known_cell_are_not_usable(store):
    config = TableConfig(columns=("crp", "d_dimer"))
    inputs = TableInputs(fit_contract(store, store.rows(), config))
    assert inputs.usable(store, store.rows()).tolist() == [0, 1, 2, 3, 5]
    with_sex = TableInputs(fit_contract(store, store.rows(), TableConfig(columns=("crp", "sex"))))
    assert with_sex.usable(store, store.rows()).tolist() == [0, 1, 2, 3, 5]


def test_inputs_read_the_cells_and_leave_them_to_the_method(store):
    inputs = TableInputs(fit_contract(store, store.rows(), TableConfig(columns=("crp", "sex"))))
    raw = inputs.read(store, store.rows())
    for seen in (inputs.plain(raw), inputs.viewed(raw, None, seed=3)):
        np.testing.assert_array_equal(seen.categories, raw.categories)
        np.testing.assert_array_equal(seen.numbers, raw.numbers)
    assert not inputs.broken(raw).any()


def test_tables_of_the_caller(store):
    inputs = TableInputs(fit_contract(store, store.rows(), TableConfig(columns=("crp", "sex"))))
    row = {"sex": "m", "crp": 11.0, "note": "left out"}
    for data in (row, [row], pd.DataFrame([row]), pd.Series(row)):
        found = inputs.accept(data)
        assert found.categories.tolist() == [[1]]
        assert found.numbers.item() == pytest.approx(0)  # 11 is the mean
    message = r"no column 'crp' \(it may be empty\); did you mean crp_val"
    with pytest.raises(ContractError, match=message):
        inputs.accept(pd.DataFrame({"crp_val": [1.0], "sex": ["f"]}))
    for wrong in ([], "crp", 3, [1, 2]):
        with pytest.raises(ContractError, match="a table is a pandas DataFrame"):
            inputs.accept(wrong)
    with pytest.raises(ContractError, match="needs no rate"):
        inputs.prepare(row, rate=3)


def test_configurations_that_make_no_table():
    with pytest.raises(ValidationError, match="at least one column"):
        TableConfig()
    with pytest.raises(ValidationError, match="crp is named twice"):
        TableConfig(columns=("crp",), numbers=("crp",))
