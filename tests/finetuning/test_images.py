"""Fine-tuning of encoders of images and of reports, on the synthetic store of both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medssl.contracts import TextContract
from medssl.encoders import build_encoder
from medssl.encoders.resnet2d import ResNet2dConfig
from medssl.encoders.text_transformer import TextTransformerConfig
from medssl.errors import ContractError, StageError
from medssl.finetuning import Pretrained, finetune_store, load_task, runs
from medssl.finetuning.augment import build_views
from medssl.finetuning.config import FinetuneConfig
from medssl.finetuning.lora import LoraConfig, add_adapters, find_targets, merge_adapters
from medssl.inputs import make_inputs
from medssl.inputs.waveforms import bare_waveforms
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.store import Store
from medssl.text.tokenizer import train_tokenizer
from medssl.types import Modality

ENCODER = ResNet2dConfig(width=4, block="basic", blocks=(1, 1), stem="small")
EFFUSION = {"name": "effusion", "column": "effusion", "kind": "binary", "positive": 1,
            "level": "record"}  # fmt: skip
VIEWS = {"size": 16, "flip": {"probability": 0}}


@pytest.fixture(scope="module")
def store(image_text_store):
    return Store.open(image_text_store)


@pytest.fixture(scope="module")
def images(store):
    """A fresh encoder of images, as if it had been pretrained."""
    torch.manual_seed(0)
    return Pretrained(ENCODER, build_encoder(ENCODER).eval(), store.contract("radiograph"), "d")


@pytest.fixture(scope="module")
def finetune(store, make_config):
    def run(pretrained, rows, folder, **changes):
        settings = {
            "target": EFFUSION, "fractions": [1], "seeds": 1, "start": ["bundle"], "steps": 40,
            "warmup_steps": 2, "validate_every": 10, "patience": 100, "learning_rate": 0.02,
        }  # fmt: skip
        config = make_config(**{**settings, **changes})
        splits = assign_splits(store.participants, SplitConfig(train=0.5, validation=0.2, test=0.3))
        return finetune_store(store, rows, splits, pretrained, config, folder, seed=0)

    return run


def test_an_image_bundle_learns_under_views_and_predicts_from_pixels(
    images, finetune, store, tmp_path
):
    rows = store.rows(modality="radiograph")
    outcome = finetune(images, rows, tmp_path, augment=VIEWS)
    assert outcome.curve.find("bundle", 1.0, "auroc").interval.value > 0.9
    model = load_task(tmp_path / "task", device="cpu")
    bright, dark = np.full((16, 12), 60, np.uint8), np.full((16, 12), 60, np.uint8)
    bright[8:] = 180
    with_fluid, without = (float(model.predict([image])) for image in (bright, dark))
    assert 0 <= without < with_fluid <= 1
    # Several images of one participant are one prediction: the mean of theirs.
    assert float(model.predict([bright, dark])) == pytest.approx((with_fluid + without) / 2)
    assert float(model.predict(model.prepare(bright / 255))) == pytest.approx(with_fluid, abs=1e-6)
    with pytest.raises(ContractError, match="longer side of 16"):
        model.predict([np.zeros((20, 20), np.uint8)])
    card = (tmp_path / "task" / "card.md").read_text()
    assert "from radiograph\nimages of 16 x 16 pixels" in card
    assert "found = model.predict([image])" in card


def test_adapters_of_a_2d_network_learn_and_are_merged(images, finetune, store, tmp_path):
    pytest.importorskip("peft")
    rows = store.rows(modality="radiograph")
    outcome = finetune(images, rows, tmp_path, lora={"rank": 2}, learning_rate=0.05)
    assert outcome.curve.find("bundle", 1.0, "auroc").interval.value > 0.9
    names = load_task(tmp_path / "task", device="cpu").network.state_dict()
    assert not [name for name in names if "lora" in name]


def test_every_2d_convolution_gets_an_adapter_that_merges_into_it():
    pytest.importorskip("peft")
    encoder = build_encoder(ENCODER).eval()
    convolutions = [n for n, m in encoder.named_modules() if isinstance(m, torch.nn.Conv2d)]
    assert find_targets(encoder) == convolutions
    x = torch.randn(2, 1, 16, 16)
    adapted = add_adapters(encoder, LoraConfig(rank=2), seed=0)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
        wanted = encoder(x)
        assert torch.allclose(merge_adapters(adapted)(x), wanted, atol=1e-5)


def test_reports_are_fine_tuned_with_the_tokenizer_of_the_bundle(finetune, store, tmp_path):
    rows = store.rows(modality="report")
    texts = [str(store.read_record(int(row))) for row in rows]
    tokenizer = train_tokenizer(texts, vocabulary=200, lowercase=True)
    config = TextTransformerConfig(
        vocabulary=200, width=16, depth=1, heads=2, tokens=24
    ).resolved(tokenizer.size)  # fmt: skip
    contract = TextContract(modality=Modality.REPORT, tokenizer=tokenizer.digest, tokens=24)
    torch.manual_seed(0)
    pretrained = Pretrained(config, build_encoder(config).eval(), contract, "d", tokenizer)
    sex = {"name": "sex", "column": "sex", "kind": "binary", "positive": "M"}
    finetune(pretrained, rows, tmp_path, target=sex, augment={"draw": "sentence"}, steps=6,
             validate_every=2)  # fmt: skip
    model = load_task(tmp_path / "task", device="cpu")
    assert 0 <= float(model.predict(["No pleural effusion. The bones are intact."])) <= 1


def test_from_scratch_nothing_is_frozen(finetune, store, tmp_path, monkeypatch):
    rows = store.rows(modality="report")
    texts = [str(store.read_record(int(row))) for row in rows]
    tokenizer = train_tokenizer(texts, vocabulary=200, lowercase=True)
    plain = TextTransformerConfig(vocabulary=200, width=16, depth=1, heads=2, tokens=24)
    frozen = {"freeze_embeddings": True, "freeze_layers": 1}
    config = plain.resolved(tokenizer.size).model_copy(update=frozen)
    contract = TextContract(modality=Modality.REPORT, tokenizer=tokenizer.digest, tokens=24)
    pretrained = Pretrained(config, build_encoder(config).eval(), contract, "d", tokenizer)
    assert not all(one.requires_grad for one in pretrained.module.parameters())
    built = []

    def build(config):
        built.append(build_encoder(config))
        return built[-1]

    monkeypatch.setattr(runs, "build_encoder", build)
    sex = {"name": "sex", "column": "sex", "kind": "binary", "positive": "M"}
    scratch = {"start": ["scratch"], "steps": 4, "validate_every": 2}
    finetune(pretrained, rows, tmp_path, target=sex, **scratch)
    assert all(one.requires_grad for one in built[0].parameters())


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "waveform"),
        ({"cutout": {"probability": 0}}, "waveform"),
        ({"size": 64}, "image"),
        ({"size": 64, "flip": {"probability": 0}}, "image"),
        ({"draw": "report"}, "text"),
        ({"kind": "image", "size": 64}, "image"),
    ],
)
def test_views_say_by_their_settings_what_they_are_of(given, kind):
    target = {"name": "age", "column": "age", "kind": "regression"}
    config = FinetuneConfig.model_validate({"target": target, "augment": given})
    assert config.augment.kind == kind


def test_views_of_another_kind_or_size_are_refused(images, store):
    target = {"name": "age", "column": "age", "kind": "regression"}

    def views(given):
        return FinetuneConfig.model_validate({"target": target, "augment": given}).augment

    with pytest.raises(StageError, match="views of waveforms and the encoder takes images"):
        build_views(views({}), images.contract)
    with pytest.raises(StageError, match="size is 64 and the encoder sees 16 pixels: set it to 16"):
        build_views(views({"size": 64}), images.contract)
    with pytest.raises(StageError, match="views of images and the encoder takes waveforms"):
        build_views(views({"size": 64}), bare_waveforms().contract)
    drawn = build_views(views(VIEWS), images.contract)
    raw = make_inputs(images.contract).read(store, store.rows(modality="radiograph")[:3])
    assert make_inputs(images.contract).viewed(raw, drawn, seed=0).shape == (3, 1, 16, 16)
