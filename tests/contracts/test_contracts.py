"""What every contract promises, whatever the kind of its modality."""

import json

import pytest

from medssl.contracts import (
    CONTRACTS,
    CategoryColumn,
    ImageContract,
    NumberColumn,
    TableContract,
    TextContract,
    WaveformContract,
    parse_contract,
)
from medssl.filters import Filter
from medssl.text.policy import TextPolicy
from medssl.types import Kind, Modality

NUMBER = NumberColumn(name="crp", mean=3, deviation=2, low=1, high=9)
EXAMPLES = [
    WaveformContract(modality="ecg", rate=128, channels=("I",), units="mV", length=256),
    ImageContract(modality=Modality.RADIOGRAPH, edge=256, size=224),
    TextContract(
        modality=Modality.REPORT, policy=TextPolicy(missing="other"), tokenizer="a" * 32, tokens=64
    ),
    TableContract(
        modality=Modality.TABLE, numbers=(NUMBER,),
        categories=(CategoryColumn(name="sex", categories=("F", "M")),),
    ),
]  # fmt: skip
every = pytest.mark.parametrize("contract", EXAMPLES, ids=lambda one: one.modality.kind.value)


def test_every_kind_that_has_encoders_has_an_example():
    assert {type(contract) for contract in EXAMPLES} == set(CONTRACTS.values())
    assert {contract.modality.kind for contract in EXAMPLES} == set(CONTRACTS)


@every
def test_it_survives_json(contract):
    text = json.dumps(contract.model_dump(mode="json"))
    assert parse_contract(json.loads(text)) == contract


@every
def test_it_tells_people_all_that_it_says(contract):
    facts = dict(contract.facts)
    assert all(isinstance(value, str) and value for value in facts.values())
    assert facts["modality"] == contract.modality.value
    assert contract.noun
    assert contract.preparation.endswith(".")
    code = contract.usage("found = model.predict")
    compile(code, "usage", "exec")
    assert "found = model.predict(" in code
    assert "encoder" not in code


@every
def test_records_of_another_make_are_told_apart(contract):
    assert contract.differences(contract) == []
    for name in contract.fixed_by_store:
        value = getattr(contract, name)
        other = (
            Filter(low=1)
            if value is None
            else {float: 7.5, str: "x", tuple: ("x",)}.get(type(value), 16)
        )
        changed = contract.model_copy(update={name: other})
        (difference,) = contract.differences(changed)
        assert difference.startswith(f"{name} ")
        assert " instead of " in difference


@every
def test_a_contract_of_another_kind_is_refused(contract):
    others = [m for m in Modality if m.kind is not contract.modality.kind]
    for other in others:
        with pytest.raises(ValueError, match=other.value):
            type(contract).model_validate({**contract.model_dump(), "modality": other})


@pytest.mark.parametrize("values", [None, [], "a", {}, {"modality": "sound"}, {"modality": 3}])
def test_what_is_no_contract_is_a_value_error(values):
    with pytest.raises(ValueError, match=r"mapping|valid Modality"):
        parse_contract(values)


def test_a_kind_without_a_contract_is_told():
    volumes = [modality for modality in Modality if modality.kind is Kind.VOLUME]
    for modality in volumes:
        with pytest.raises(ValueError, match="has no contract yet"):
            parse_contract({"modality": modality.value})
