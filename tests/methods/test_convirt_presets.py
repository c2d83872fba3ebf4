"""configs/convirt.yaml says what the paper says, and training does what the file says."""

import pytest
import torch

from medssl.batches import Pictures, Tokens
from medssl.config import merge, parse_overrides, read_yaml
from medssl.contracts import ImageContract, TextContract
from medssl.inputs.images import ImageInputs
from medssl.inputs.texts import TextInputs
from medssl.methods.config import MethodConfig
from medssl.methods.registry import build_method
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import Matches
from medssl.stages.pretrain import PretrainConfig
from medssl.text.tokenizer import Tokenizer
from medssl.types import Modality
from medssl.views.image import Affine, Blur, Flip, Jitter
from medssl.views.image_crop import Crop

SENTENCES = ["no pleural effusion.", "heart size normal.", "lungs are clear."]


def read(pytestconfig, name, *overrides):
    raw = read_yaml(pytestconfig.rootpath / "configs" / f"{name}.yaml")["stages"]["pretrain"]
    return PretrainConfig.model_validate(merge(raw, parse_overrides(overrides)))


@pytest.fixture
def preset(pytestconfig, monkeypatch, bert_folder, tmp_path):
    monkeypatch.setenv("CLINICALBERT", str(bert_folder()))
    monkeypatch.setenv("RESNET50", str(tmp_path / "resnet50.pth"))
    return read(pytestconfig, "convirt")


@pytest.fixture
def method(preset):
    """The published method with a BERT that is narrow, without ImageNet weights."""
    tokenizer = Tokenizer.from_folder(preset.partner.encoder.folder)
    views = preset.partner.views
    texts = TextContract(
        modality=Modality.REPORT, policy=views.policy, tokenizer=tokenizer.digest, tokens=128
    )
    images = ImageContract(modality=Modality.RADIOGRAPH, edge=64, size=preset.views.size)
    return build_method(
        preset.model_copy(update={"encoder": preset.encoder.resolved()}), seed=0, steps=10,
        inputs=ImageInputs(images), partner_inputs=TextInputs(texts, tokenizer),
    )  # fmt: skip


def batch(position=0, size=4):
    generator = torch.Generator().manual_seed(position)
    pixels = torch.randint(0, 256, (size, 1, 64, 64), generator=generator, dtype=torch.uint8)
    return {
        "first": Pictures(pixels, torch.full((size, 2), 64)),
        "second": ["FINDINGS: " + " ".join(SENTENCES)] * size,
        "participants": torch.arange(size), "studies": torch.arange(size),
        "places": torch.arange(size), "position": position,
    }  # fmt: skip


def test_the_published_numbers(preset):
    loss, optimiser = preset.method.loss, preset.optimiser
    assert (loss.name, loss.temperature, loss.image_weight) == ("convirt", 0.1, 0.75)
    assert (preset.method.same_report, preset.method.same_participant) == ("ignore", "ignore")
    assert (optimiser.learning_rate, optimiser.weight_decay) == (1e-4, 1e-6)
    assert (optimiser.schedule, optimiser.patience) == ("plateau", 5)
    assert (preset.batch_size, preset.steps, preset.validate_every) == (32, 1_000_000, 5_000)
    assert preset.keep == "best"
    assert (preset.head.hidden, preset.head.out, preset.head.dropout) == (512, 512, 0)
    assert (preset.encoder.blocks, preset.encoder.block) == ((3, 4, 6, 3), "bottleneck")
    assert (preset.partner.views.draw, preset.partner.encoder.pooling) == ("sentence", "max")
    assert preset.partner.encoder.freeze_embeddings
    assert preset.partner.encoder.freeze_layers == 6
    assert (preset.pairs.level, preset.pairs.partner, preset.pairs.draw) == (
        "study", "report", "study",
    )  # fmt: skip


def test_five_transforms_in_the_published_order(preset):
    views = preset.views.build()
    assert views.names == ("crop", "flip", "affine", "jitter", "blur")
    assert views.size == 224
    crop, (flip, affine, jitter, blur) = views.crop, views.views
    assert isinstance(crop, Crop)
    assert (crop.probability, crop.area, crop.aspect) == (1, (0.6, 1.0), (1.0, 1.0))
    assert isinstance(flip, Flip)
    assert flip.probability == 0.5
    assert isinstance(affine, Affine)
    assert (affine.probability, affine.degrees, affine.translate) == (1, 20, 0.1)
    assert affine.scale == (0.95, 1.05)
    assert isinstance(jitter, Jitter)
    assert (jitter.probability, jitter.brightness, jitter.contrast) == (1, (0.6, 1.4), (0.6, 1.4))
    assert isinstance(blur, Blur)
    assert (blur.probability, blur.sigma, blur.reference_size) == (1, (0.1, 3.0), 224)


def test_the_encoders_are_a_resnet_50_and_a_bert_of_which_seven_parts_stay(method):
    assert sum(p.numel() for p in method.encoder.parameters()) == 23_501_760  # one grey channel
    assert method.encoder.dim == 2048
    network = method.partner_encoder.network
    moved = {name for name, p in network.named_parameters() if p.requires_grad}
    everything = {name for name, _ in network.named_parameters()}
    frozen = {name for name in everything if name.startswith("embeddings.")} | {
        name for name in everything for layer in range(6) if f"layer.{layer}." in name
    }
    assert moved == everything - frozen
    assert {name.split(".")[2] for name in moved} == {str(layer) for layer in range(6, 12)}
    owned = {
        id(p) for group in method.configure_optimizers()["optimizer"].param_groups
        for p in group["params"]
    }  # fmt: skip
    assert not owned & {id(p) for name, p in network.named_parameters() if name in frozen}
    assert all(id(p) in owned for name, p in network.named_parameters() if name in moved)


def test_the_maximum_is_over_tokens_that_are_no_padding(method):
    encoder = method.partner_encoder.eval()
    ids, mask = method.partner_inputs.tokens(["no effusion.", "heart size normal."])
    wide = Tokens(
        torch.nn.functional.pad(ids, (0, 9), value=4), torch.nn.functional.pad(mask, (0, 9))
    )
    with torch.no_grad():
        found = encoder(wide)
        for row in range(2):
            alone = Tokens(
                ids[row : row + 1, : mask[row].sum()], mask[row : row + 1, : mask[row].sum()]
            )
            expected = encoder.hidden(alone)[0].amax(dim=0)
            torch.testing.assert_close(found[row], expected)


def test_a_sentence_is_drawn_anew_each_time(method):
    drawn = [tuple(method.sentences(batch(position))) for position in range(12)]
    assert len(set(drawn)) > 8
    assert {sentence for four in drawn for sentence in four} == set(SENTENCES)
    assert method.sentences(batch(3)) == list(drawn[3])


def test_the_loss_is_the_published_one_on_these_views(method):
    method.eval()
    given = batch()
    terms = method.loss(given)
    with torch.no_grad():
        images = method.head(method.encoder(method.view(given, "first")))
        texts = method.project(method.sentences(given))
    apart = torch.eye(4, dtype=torch.bool)
    expected = convirt_loss(
        images, texts, Matches(apart, torch.ones_like(apart)), temperature=0.1, image_weight=0.75
    )
    torch.testing.assert_close(terms["loss"], expected)
    # λ on image → text, and not the reverse.
    rows = torch.nn.functional.normalize(images) @ torch.nn.functional.normalize(texts).T / 0.1
    both = [torch.nn.functional.cross_entropy(each, torch.arange(4)) for each in (rows, rows.T)]
    torch.testing.assert_close(terms["loss"], 0.75 * both[0] + 0.25 * both[1])


def test_the_small_preset_differs_in_size_alone(pytestconfig, preset):
    small = read(pytestconfig, "convirt_small")
    assert small.method.loss == preset.method.loss
    assert (small.method.same_report, small.method.same_participant) == ("mask", "mask")
    assert small.pairs == preset.pairs
    assert small.views.build().names == preset.views.build().names
    assert small.partner.views.draw == "sentence"
    for name in ("flip", "affine", "jitter", "blur"):
        assert getattr(small.views, name) == getattr(preset.views, name)
    encoder = MethodConfig.model_validate(
        {name: getattr(small, name) for name in MethodConfig.model_fields}
    ).encoder.build()
    assert sum(p.numel() for p in encoder.parameters()) == 307_248


def test_absent_weights_are_told_by_the_name_of_their_variable(pytestconfig, monkeypatch):
    from medssl.errors import ConfigError

    monkeypatch.delenv("CLINICALBERT", raising=False)
    monkeypatch.delenv("RESNET50", raising=False)
    config = read(pytestconfig, "convirt")
    with pytest.raises(ConfigError, match=r"folder \$\{CLINICALBERT\} does not exist"):
        config.partner.encoder.build()
    with pytest.raises(ConfigError, match=r"\$\{RESNET50\}"):
        config.encoder.build()
