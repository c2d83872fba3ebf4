import re

import pytest

from medssl.bundle.card import (
    CountFacts,
    DataFacts,
    ExportFacts,
    FindingFacts,
    SourceFacts,
    pick_probes,
    read_card,
)
from medssl.bundle.card_page import render_card
from medssl.contracts import WaveformContract
from medssl.filters import Filter


@pytest.fixture
def full(bundle, probe_row):
    """A card with every part."""
    card = read_card(bundle)
    difference = {
        "target": "age", "metric": "mae", "features": "encoder", "baseline": "heart rate",
        "value": -0.7, "low": -1.6, "high": 0.2, "verdict": "unclear",
    }  # fmt: skip
    return card.model_copy(update={
        "data": DataFacts(
            digest="d1", participants=131, records=1393,
            counts=(CountFacts(modality="ppg", split="test", participants=58, records=170),),
            sources=(SourceFacts(name="mine"), SourceFacts(name="ours", licence="CC BY 4.0")),
        ),
        "probes": pick_probes({
            "rows": [probe_row, {**probe_row, "features": "heart rate", "note": "a | b"}],
            "differences": [difference], "notes": ["BCa bootstrap over participants"],
        }),
        "audit": (FindingFacts(severity="warning", title="1 signal\nunder | two"),),
        "exports": (ExportFacts(
            file="encoder.onnx", format="onnx", sha256="0", opset=18, written_with="a",
            checked_with="onnxruntime 1", segments_checked=16, max_difference=2e-6,
            relative_tolerance=1e-4, absolute_tolerance=1e-6,
        ),),
        "limits": ("Adults only.",),
    })  # fmt: skip


def test_every_part_is_on_the_page(full):
    page = render_card(full)
    for text in (
        "| age | mae | encoder | 11.800 [9.700, 14.400] |  | 58 | 170 |  |",
        "-0.700 [-1.600, +0.200]: unclear",
        "- BCa bootstrap over participants",
        "| ppg | test | 58 | 170 |",
        "| mine | not stated |",
        "| ours | CC BY 4.0 |",
        "Ask whoever gave the recordings",
        "| encoder.onnx | onnx, opset 18 | 2e-06 over 16 inputs | onnxruntime 1 |",
        "- Adults only.",
        "not a diagnosis",
    ):
        assert text in page, text


def test_main_metrics_are_shown_for_every_feature_and_others_for_the_encoder(bundle, probe_row):
    names = (("auroc", "AUROC"), ("ece", "ECE"), ("f1", ""))
    rows = [
        {**probe_row, "target": "sex", "metric": metric, "label": label, "features": features}
        for metric, label in names for features in ("encoder", "heart rate")
    ]  # fmt: skip
    difference = {"target": "sex", "metric": "auroc", "features": "encoder",
                  "baseline": "heart rate"}  # fmt: skip
    probes = pick_probes({"rows": rows, "differences": [difference]})
    page = render_card(read_card(bundle).model_copy(update={"probes": probes}))
    assert page.count("| sex | AUROC |") == 2
    assert page.count("| sex | ECE | 11.800 [9.700, 14.400] | 58 | 170 |") == 1
    assert page.count("| sex | f1 |") == 1
    assert "card.json beside this page has every metric" in page
    # A kind whose metrics nobody has called main is shown by its first.
    odd = pick_probes({"rows": [r for r in rows if r["metric"] == "ece"]})
    page = render_card(read_card(bundle).model_copy(update={"probes": odd}))
    assert page.count("| sex | ECE |") == 2


def test_whoever_was_seen_outside_pairs_is_counted(full):
    data = full.data.model_copy(update={"trained_on": 58})
    card = full.model_copy(update={"data": data, "training": {"training participants": 57}})
    page = render_card(card)
    assert "saw 58 of `train`, and nobody else (1 of them for batch-norm statistics" in page


def test_texts_cannot_break_the_tables(full):
    page = render_card(full)
    assert "| warning | 1 signal under \\| two |" in page
    widths = set()
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        widths |= {len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()})}
    assert widths == {1}


def test_what_was_not_measured_is_said(bundle):
    page = render_card(read_card(bundle))
    assert "no probe of this encoder" in page
    assert "no audit of this encoder" in page
    assert "## Data" not in page
    assert "## Exports" not in page


def test_with_licences_nobody_has_to_ask(full):
    data = full.data.model_copy(update={"sources": (SourceFacts(name="a", licence="CC0"),)})
    assert "Ask whoever" not in render_card(full.model_copy(update={"data": data}))


def test_the_whole_contract_is_on_the_page(bundle):
    card = read_card(bundle)
    page = render_card(card)
    for line in (
        "| modality | ecg |", "| channels, in order | I |", "| units | mV |",
        "| filter, before resampling | none |", "| rate | 128 Hz |", "| resampling | polyphase",
        "| segment | 256 samples, 2 s |", "| overlap of neighbouring segments | 0 s |",
        "| normalisation | per segment and channel",
    ):  # fmt: skip
        assert line in page
    told = {"filter": Filter(low=0.5, high=40), "overlap": 0.5}
    contract = card.contract.model_copy(update=told)
    page = render_card(card.model_copy(update={"contract": contract}))
    assert "| 0.5 to 40 Hz, Butterworth of order 4, zero phase |" in page
    assert "| overlap of neighbouring segments | 0.5 s |" in page
    assert "signal = encoder.prepare(recording, rate=rate, channels=channels, units=units)" in page
    # A field that is added to the contract has to be added to the page.
    assert len(contract.facts) == len(WaveformContract.model_fields)
