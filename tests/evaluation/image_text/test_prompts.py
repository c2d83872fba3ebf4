from __future__ import annotations

from pathlib import Path

import pytest

from medssl.errors import ConfigError
from medssl.evaluation.image_text.chexpert_lists import CLASSES, TEXT_QUERIES
from medssl.evaluation.image_text.prompts import (
    NO_FINDING,
    PromptPair,
    PromptSet,
    default_prompts,
)

NIH = [
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia",
]  # fmt: skip


def test_default_has_ensembles_for_every_class_of_the_label_tables() -> None:
    prompts = default_prompts()
    for name in [*NIH, *CLASSES["8x200"], *CLASSES["5x200"], "normal", "NORMAL", "No Finding"]:
        pair = prompts[name]
        assert len(pair.positive) >= TEXT_QUERIES
        assert len(pair.negative) >= 3
    assert prompts["Effusion"] is prompts["Pleural Effusion"]
    assert prompts["normal"] is prompts["No Finding"]


def test_no_finding_describes_a_normal_image_and_its_negatives_an_abnormal_one() -> None:
    pair = default_prompts()[NO_FINDING]
    assert not any("no" in sentence.split() for sentence in pair.negative)
    assert "the lungs are clear" in pair.positive


@pytest.mark.parametrize(
    ("name", "positive", "negative"),
    [
        ("No Finding", "no finding", "no no finding"),  # made from a template
        ("Normal", "there is disease", "there is no disease"),  # upside down
        ("pneumonia", "no pneumonia", "there is pneumonia"),
        ("anything", "x", "X"),
    ],
)
def test_prompts_whose_sign_is_wrong_are_refused(name: str, positive: str, negative: str) -> None:
    with pytest.raises(ValueError, match=r"wrong way|both|against"):
        PromptSet.model_validate(
            {"findings": {name: {"positive": [positive], "negative": [negative]}}}
        )


def test_templates_never_deny_the_absence_of_findings() -> None:
    made = PromptSet.from_templates(["Pleural_Effusion", "No Finding", "normal"])
    assert made["pleural effusion"].positive == (
        "there is pleural effusion", "pleural effusion is present",
    )  # fmt: skip
    assert made["No Finding"].positive == default_prompts()["No Finding"].positive
    assert not any("no no" in sentence for sentence in made.sentences())


def test_a_repeated_sentence_and_a_shared_name_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        PromptPair(positive=("a mass", "A mass"), negative=("no mass",))
    with pytest.raises(ValueError, match="both called 'mass'"):
        PromptSet(
            findings={
                "mass": PromptPair(positive=("mass",), negative=("no mass",)),
                "tumour": PromptPair(positive=("t",), negative=("no t",), also=("Mass",)),
            }
        )


def test_a_file_extends_another_and_names_its_problems(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "findings:\n  lung mass:\n    positive: [a mass]\n    negative: [no mass]\n"
    )
    assert PromptSet.read(tmp_path / "own.yaml")["Lung-Mass"].positive == ("a mass",)
    (tmp_path / "more.yaml").write_text(
        "extends: own.yaml\nfindings:\n  rib:\n    positive: [rib]\n    negative: [no rib]\n"
    )
    assert PromptSet.read(tmp_path / "more.yaml").sentences() == (
        "a mass", "no mass", "rib", "no rib",
    )  # fmt: skip
    (tmp_path / "bad.yaml").write_text("findings:\n  rib:\n    postive: [rib]\n")
    with pytest.raises(ConfigError, match="positive"):
        PromptSet.read(tmp_path / "bad.yaml")


def test_an_unknown_finding_gets_its_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean pneumothorax"):
        default_prompts()["Pneumothoraks"]
