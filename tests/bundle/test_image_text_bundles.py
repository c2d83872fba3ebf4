"""Bundles of images and of texts: what they are asked, and what harms them."""

import json
import shutil

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from medssl.bundle import load_encoder
from medssl.bundle.card import ExportFacts, read_card
from medssl.bundle.card_page import render_card
from medssl.bundle.exports import RawEncoder, example_batches, export_bundle
from medssl.bundle.manifest import write_manifest
from medssl.bundle.pyfunc import SegmentModel
from medssl.bundle.verification import verify_bundle
from medssl.errors import ContractError, StageError, StoreError


@pytest.fixture
def images(image_text_run, tmp_path):
    """A copy of a small bundle of images."""
    return shutil.copytree(image_text_run / "bundle", tmp_path / "images")


@pytest.fixture
def texts(image_text_run, tmp_path):
    """A copy of a small bundle of texts."""
    return shutil.copytree(image_text_run / "partner_bundle", tmp_path / "texts")


def test_both_are_whole(images, texts):
    for folder in (images, texts):
        verify_bundle(folder)
    assert (texts / "tokenizer.json").is_file()
    assert not (images / "tokenizer.json").exists()


def test_what_is_embedded_does_not_depend_on_its_neighbours(images, texts):
    encoder = load_encoder(images, device="cpu")
    edge = encoder.contract.edge
    pixels = [np.full((edge, edge - 2 * n), 40 * n, np.uint8) for n in range(4)]
    whole = encoder.embed(pixels)
    assert np.abs(np.concatenate([encoder.embed(one) for one in pixels]) - whole).max() < 1e-5
    encoder = load_encoder(texts, device="cpu")
    said = ["No pleural effusion.", "There is a pleural effusion. Heart size is normal.", "No."]
    whole = encoder.embed(said)
    assert np.abs(np.concatenate([encoder.embed(one) for one in said]) - whole).max() < 1e-5
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


def test_an_export_of_images_takes_grey_values(images):
    encoder = load_encoder(images, device="cpu")
    size = encoder.contract.size
    written = export_bundle(images, "torch")
    module = torch.export.load(written).module()
    grey = np.random.default_rng(0).random((3, 1, size, size)).astype(np.float32)
    expected = SegmentModel(encoder).predict(grey)
    with torch.inference_mode():
        found = module(torch.from_numpy(grey)).numpy()
        raw = RawEncoder(encoder.module, encoder.contract)(torch.from_numpy(grey)).numpy()
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(raw, expected, atol=1e-5)
    # The same as of stored pixels that need no other size.
    if encoder.contract.edge == size:
        stored = (grey[:, 0] * 255).round().astype(np.uint8)
        again = SegmentModel(encoder).predict(stored[:, None] / 255)
        assert np.allclose(encoder.embed(list(stored)), again, atol=1e-4)


def test_an_onnx_file_of_images_agrees_on_grey_values(images):
    encoder = load_encoder(images, device="cpu")
    batches = list(example_batches(encoder.contract))
    assert all(0 <= batch.min() <= batch.max() <= 1 for batch in batches)
    written = export_bundle(images, "onnx")
    facts = json.loads(written.with_name(written.name + ".json").read_text())
    assert facts["max_difference"] < 1e-4
    assert facts["contract"]["size"] == encoder.contract.size
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    (found,) = session.run(["embeddings"], {"images": batches[0]})
    assert np.allclose(found, SegmentModel(encoder).predict(batches[0]), atol=1e-5)


def test_pixels_that_were_not_brought_to_grey_values_are_refused(images):
    model = SegmentModel(load_encoder(images, device="cpu"))
    size = model.encoder.contract.size
    with pytest.raises(ContractError, match="from 0 to 255, not from 0 .black. to 1"):
        model.predict(np.linspace(0, 255, size * size).reshape(1, 1, size, size))
    assert model.predict(np.empty((0, 1, size, size))).shape == (0, model.encoder.dim)


def test_a_served_model_of_texts_takes_a_list_or_a_table(texts):
    model = SegmentModel(load_encoder(texts, device="cpu"))
    said = ["No pleural effusion.", "Heart size is normal."]
    expected = model.encoder.embed(said)
    for given in (said, np.array(said), pd.DataFrame({"text": said})):
        np.testing.assert_array_equal(model.predict(given), expected)
    with pytest.raises(ContractError, match="give a text or a list of texts"):
        model.predict([1.0, 2.0])
    table = pd.DataFrame({"text": said, "name": ["a", "b"]})
    with pytest.raises(ContractError, match=r"a table of one column, not of shape \(2, 2\)"):
        model.predict(table)


def test_the_card_says_what_each_takes(images, texts):
    shown = ExportFacts(
        file="encoder.onnx", format="onnx", sha256="0" * 64, written_with="torch",
        checked_with="onnxruntime", segments_checked=16, max_difference=1e-7,
        relative_tolerance=1e-4, absolute_tolerance=1e-6,
    )  # fmt: skip
    page = render_card(read_card(images).model_copy(update={"exports": (shown,)}))
    assert "grey images as displayed, in [0, 1]" in page
    assert "segments" not in page
    assert "image = encoder.prepare" in page
    page = render_card(read_card(texts))
    assert "| sections | findings, impression |" in page
    assert 'encoder.embed(["No pleural effusion."])' in page


def test_texts_cannot_be_exported_and_the_message_says_why(texts):
    with pytest.raises(
        StageError, match="encoders of report records cannot be exported: their tok"
    ):
        export_bundle(texts, "torch")
    assert not list(texts.parent.glob("*.pt2"))


def test_a_tokenizer_that_was_changed_is_found(texts):
    path = texts / "tokenizer.json"
    path.write_text(path.read_text().replace("effusion", "effusiom"))
    with pytest.raises(StoreError, match=r"damaged|changed"):
        load_encoder(texts)
    write_manifest(texts)  # somebody who also changed the list
    with pytest.raises(
        (StoreError, ContractError), match="tokenizer is not the one of the contrac"
    ):
        load_encoder(texts)


def test_without_its_tokenizer_a_bundle_of_texts_is_damaged(texts):
    (texts / "tokenizer.json").unlink()
    with pytest.raises((StoreError, ContractError), match=r"damaged|needs its tokenizer"):
        load_encoder(texts)


def test_contract_and_encoder_must_be_of_one_kind(images, texts):
    shutil.copy(texts / "contract.json", images / "contract.json")
    write_manifest(images)
    with pytest.raises(StoreError, match="resnet2d is no encoder of report records"):
        load_encoder(images)


def test_an_architecture_beyond_its_weights_is_refused_before_memory_is_taken(texts):
    config = json.loads((texts / "config.json").read_text())
    config["encoder"]["architecture"]["intermediate_size"] = 10**9
    (texts / "config.json").write_text(json.dumps(config))
    write_manifest(texts)
    with pytest.raises(StoreError, match="does not fit medssl"):
        load_encoder(texts)
