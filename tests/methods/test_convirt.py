"""The parts of ConVIRT that are not in the paper, each against what it should do."""

import pytest
import torch

from medssl.config import find_problems
from medssl.methods.config import MethodConfig
from medssl.methods.facts import RunFacts
from medssl.objectives.contrastive import masked_infonce
from medssl.objectives.contrastive_gap import contrastive_gap_terms
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import Matches, find_matches
from medssl.objectives.within_modality import matched_infonce
from medssl.stages.pretrain import PretrainConfig
from tests.methods import method_cases as cases


@pytest.fixture
def made(monkeypatch):
    """Builds ConVIRT with other settings, in evaluation mode so that calls do not differ."""

    def build(train=False, **settings):
        monkeypatch.setitem(cases.CASES, "changed", cases.convirt(**settings))
        method = cases.build("changed")
        return method.train(train)

    return build


@pytest.fixture
def batch():
    return cases.batch("convirt", 0)


def projections(method, batch):
    images = method.head(method.encoder(method.view(batch, "first")))
    return images, method.project(method.sentences(batch))


def codes(method, batch):
    return method._codes(method.sentences(batch))


def test_same_texts_and_participants_are_masked_and_counted(made, batch):
    method = made()
    terms = method.loss(batch)
    matches = find_matches(batch["participants"], batch["studies"], codes(method, batch))
    # Rows 2 and 3, 6 and 7 are of one participant; 4 and 5 say the same.
    off = ~matches.compared
    assert off.nonzero().tolist() == [[2, 3], [3, 2], [4, 5], [5, 4], [6, 7], [7, 6]]
    torch.testing.assert_close(terms["loss"], convirt_loss(*projections(method, batch), matches))
    assert terms["false_negatives"].item() == pytest.approx(6 / 56)


@pytest.mark.parametrize("rule", ["mask", "positive", "ignore"])
def test_the_rules_are_those_of_the_configuration(made, batch, rule):
    method = made(same_report=rule, same_participant="ignore")
    matches = find_matches(
        batch["participants"], batch["studies"], codes(method, batch),
        same_report=rule, same_participant="ignore",
    )  # fmt: skip
    expected = convirt_loss(*projections(method, batch), matches)
    torch.testing.assert_close(method.loss(batch)["convirt"], expected)


def test_the_total_is_the_weighted_sum_of_its_terms(made, batch):
    weights = {"gap": 0.5, "image_image": 2.0, "text_text": 0.25}
    extras = {"cross_correlation": 0.1, "regression": 3.0, "swapped_assignment": 0.2}
    terms = made(train=True, extras=extras, **weights).loss(batch)
    expected = terms["convirt"] + sum(
        weight * terms[name] for name, weight in {**weights, **extras}.items()
    )
    torch.testing.assert_close(terms["loss"], expected)
    assert terms.keys() == {"loss", "convirt", "false_negatives", *weights, *extras}


def test_the_gap_terms_are_added_as_they_are(made, batch):
    method = made(gap=1.0)
    matches = find_matches(batch["participants"], batch["studies"], codes(method, batch))
    expected = sum(contrastive_gap_terms(*projections(method, batch), matches).values())
    torch.testing.assert_close(method.loss(batch)["gap"], expected)


@pytest.mark.parametrize("same_report", ["mask", "positive", "ignore"])
@pytest.mark.parametrize("same_participant", ["mask", "positive", "ignore"])
def test_inside_a_modality_the_same_rules_hold(made, batch, same_report, same_participant):
    rules = {"same_report": same_report, "same_participant": same_participant}
    method = made(image_image=1.0, text_text=1.0, **rules)
    terms = method.loss(batch)
    images, texts = projections(method, batch)
    companions = method.head(method.encoder(method.view(batch, "companion", 1)))
    matches = find_matches(
        batch["participants"], batch["studies"], codes(method, batch), **rules
    )  # one sentence a report: the second draw is the first
    torch.testing.assert_close(terms["image_image"], matched_infonce(images, companions, matches))
    torch.testing.assert_close(terms["text_text"], matched_infonce(texts, texts, matches))


TWICE = {
    2: "Heart size intact. No nodule.", 3: "Bones bones. No bones.",
    4: "No nodule. Bones bones.", 5: "Lungs small small. No bones.",
}  # fmt: skip


@pytest.mark.parametrize("rule", ["mask", "positive", "ignore"])
def test_equal_sentences_of_different_people_are_treated_alike_in_either_draw(made, batch, rule):
    """Value and gradient of the text–text term against pairs of sentences, one at a time."""
    said = [f"FINDINGS: {TWICE[row]}" if row in TWICE else one for row, one in
            enumerate(batch["second"])]  # fmt: skip
    batch = {**batch, "second": said, "participants": torch.arange(8)}
    method = made(text_text=1.0, same_report=rule)
    draws = [method.sentences(batch), method.sentences(batch, 1)]
    shared = {
        (i, j) for i in range(8) for j in range(8)
        if {draw[i] for draw in draws} & {draw[j] for draw in draws}
    }  # fmt: skip
    crossed = [(i, j) for i, j in shared if draws[0][i] == draws[1][j] != draws[0][j]]
    assert crossed  # two reports whose first and second draw are equal
    a, b = (torch.nn.functional.normalize(method.project(draw)) / 0.1**0.5 for draw in draws)

    def anchor(one, two, i):
        kept, own = [], []
        for j in range(8):
            met = [one[i] @ two[j]] + ([one[i] @ one[j]] if j != i else [])
            paired = i == j or (rule == "positive" and (i, j) in shared)
            if paired or rule != "mask" or (i, j) not in shared:
                kept += met
            own += met if paired else []
        return torch.stack(kept).logsumexp(0) - torch.stack(own).mean()

    expected = torch.stack([anchor(a, b, i) + anchor(b, a, i) for i in range(8)]).mean() / 2
    value = method.loss(batch)["text_text"]
    torch.testing.assert_close(value, expected)
    weights = [p for p in method.partner_head.parameters() if p.requires_grad]
    found, wanted = (torch.autograd.grad(each, weights) for each in (value, expected))
    torch.testing.assert_close(found, wanted)
    assert any((each.abs() > 1e-6).any() for each in found)


def test_published_rules_give_the_published_terms(made, batch):
    method = made(image_image=1.0, text_text=1.0, same_report="ignore", same_participant="ignore")
    terms = method.loss(batch)
    images, texts = projections(method, batch)
    companions = method.head(method.encoder(method.view(batch, "companion", 1)))
    for name, views in (("image_image", (images, companions)), ("text_text", (texts, texts))):
        expected = masked_infonce(*views, batch["studies"], temperature=0.1)
        torch.testing.assert_close(terms[name], expected)


def test_without_companions_an_image_meets_another_view_of_itself(made, batch):
    alone = {name: value for name, value in batch.items() if name != "companion"}
    method = made(image_image=1.0)
    images, _ = projections(method, alone)  # views are off: the other view is the same
    matches = find_matches(alone["participants"], alone["studies"], codes(method, alone))
    expected = matched_infonce(images, images, matches)
    torch.testing.assert_close(method.loss(alone)["image_image"], expected)


def test_opposites_are_negatives_of_their_own_image_alone(made, batch):
    plain, turned = made(), made(opposites=True)
    turned.load_state_dict(plain.state_dict())
    images, texts = projections(plain, batch)
    said = plain.sentences(batch)
    assert said[0] == "no pleural effusion."
    opposites = plain.project(["pleural effusion."])
    unit = torch.nn.functional.normalize
    pair = unit(images[:1]) @ unit(torch.cat([texts[:1], opposites])).T / 0.1
    alternatives = turned._opposites(batch, said)
    assert alternatives.present.tolist()[0]
    assert not alternatives.present.tolist()[4]
    # A report without an opposite has the loss that it had.
    lone = {name: cases.take(value, slice(4, 5)) for name, value in batch.items()}
    torch.testing.assert_close(turned.loss(lone)["loss"], plain.loss(lone)["loss"])
    first = {name: cases.take(value, slice(0, 1)) for name, value in batch.items()}
    expected = 0.75 * (pair[0].logsumexp(0) - pair[0, 0])  # text → image has no negative here
    torch.testing.assert_close(turned.loss(first)["loss"], expected)


def test_isogclr_remembers_in_training_alone(made, batch):
    method = made(train=True, loss="isogclr")
    before = {name: value.clone() for name, value in method.contrast.named_buffers()}
    method.eval()
    value = method.loss(batch)["loss"]
    assert all(torch.equal(before[n], b) for n, b in method.contrast.named_buffers())
    matches = find_matches(batch["participants"], batch["studies"], codes(method, batch))
    expected = convirt_loss(
        *projections(method, batch), matches, temperature=0.07, image_weight=0.5
    )
    torch.testing.assert_close(value, expected)
    terms = method.train().loss(batch)
    assert {"dro", "image_temperature", "text_temperature"} <= terms.keys()
    changed = dict(method.contrast.named_buffers())
    met = batch["places"]
    assert (changed["loss.image_anchors.log_u"][met] > -torch.inf).all()
    assert (changed["loss.image_anchors.log_u"][8:] == -torch.inf).all()


def test_cwcl_looks_its_reports_up_by_their_study(made, batch):
    method = made(train=True, loss="cwcl")
    rows = torch.nn.functional.normalize(torch.randn(16, 4))
    method.contrast.reference = rows
    shifted = {**batch, "studies": batch["studies"] + 3}
    first, second = method.loss(batch)["loss"], method.loss(shifted)["loss"]
    method.contrast.reference = rows.roll(3, dims=0)
    again = method.loss(shifted)["loss"]
    assert first != second
    torch.testing.assert_close(again, first)


def test_the_reference_of_cwcl_is_neither_saved_nor_sent(made):
    method = made(loss="cwcl")
    assert method.contrast.reference.shape[0] == 16
    assert not any("reference" in name for name, _ in method.named_buffers())
    assert not any("reference" in name for name in method.state_dict())


def test_a_reference_bundle_takes_the_place_of_topics(image_text_run, made):
    reports = [f"FINDINGS: {text}" for text in ("No pleural effusion.", "Heart size is normal.")]
    method = made(loss={"name": "cwcl", "reference": str(image_text_run / "partner_bundle")})
    method.meet(RunFacts(2, 2, lambda: reports))
    assert method.contrast.reference.shape == (2, 16)


def test_a_bundle_of_images_is_no_reference_of_reports(image_text_run, made):
    from medssl.errors import StageError

    with pytest.raises(StageError, match="is no text encoder: method.loss.reference needs one"):
        made(loss={"name": "cwcl", "reference": str(image_text_run / "bundle")})


def values(**changes):
    case = cases.CASES["convirt"]
    return {
        "method": case.method, "encoder": case.encoder, "partner": case.partner,
        "modality": "radiograph", "pairs": case.pairs, "views": {"size": 16}, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"partner": None}, "method convirt needs partner: {encoder: …}"),
        ({"partner": {"encoder": cases.RESNET}}, "method convirt reads reports: use partner"),
        ({"encoder": cases.TEXT, "views": {}}, "method convirt does not train text encoders"),
        ({"pairs": {"level": "segment"}}, "partner belongs to pairs"),
        (
            {"pairs": {"level": "record", "partner": "table"}},
            "method convirt needs pairs.level: study, not record",
        ),
        (
            {"pairs": {"level": "study", "partner": "report", "companion": "study"}},
            "pairs.companion is read by method.image_image, which is 0: give it a weight",
        ),
        ({"method": {"name": "convirt", "opposites": True, "loss": "dcl"}}, "opposites join the"),
        ({"method": {"name": "convirt", "loss": "clip"}}, "method.convirt.loss: unknown name 'cl"),
        ({"views": {"size": 16, "kind": "waveform"}}, "pretrain.views.waveform.size: unknown key"),
        ({"views": {"kind": "text"}}, "views are of texts and resnet2d takes images: drop views.k"),
        ({"optimiser": {"schedule": "plateau"}}, "schedule: plateau looks at validation losses"),
        ({"keep": "best"}, "keep: best looks at validation losses: set validate_every, to steps"),
        ({"keep": "best", "steps": 9, "validate_every": 10}, "set validate_every, to steps at mo"),
        ({"modality": "report"}, "pairs.partner is report, as modality: name another modality"),
        ({"method": "masked_language", "partner": None}, "method masked_language reads texts"),
        ({"method": "tip"}, "method tip needs pairs.level: record, not study"),
    ],
)
def test_what_does_not_fit_is_told_when_the_configuration_is_read(changes, says):
    problems = find_problems(PretrainConfig, values(**changes), where="pretrain")
    assert len(problems) == 1, problems
    assert says in problems[0]


def test_views_need_no_kind_and_keep_the_one_they_have():
    config = MethodConfig.model_validate(
        {name: value for name, value in values().items() if name not in ("modality", "pairs")}
    )
    assert (config.views.kind, config.partner.views.kind) == ("image", "text")
    again = MethodConfig.model_validate(config.model_dump())
    assert again == config
    assert again.model_copy(update={"encoder": config.encoder}) == config


def test_a_contrast_with_diagonal_matches_is_the_paper(made, batch):
    method = made(same_report="ignore", same_participant="ignore")
    apart = torch.eye(8, dtype=torch.bool)
    expected = convirt_loss(*projections(method, batch), Matches(apart, torch.ones_like(apart)))
    torch.testing.assert_close(method.loss(batch)["loss"], expected)
