"""Prompt sets: what is said of an image with a finding, and of one without it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, StringConstraints, model_validator

from medssl.config import StrictModel, nearest, read_yaml, validate
from medssl.errors import ConfigError

NO_FINDING: Final = "no finding"
ABSENCE: Final = frozenset({NO_FINDING, "no findings", "normal", "healthy", "unremarkable"})
"""Labels that say that nothing is there: "no {finding}" of them says the opposite of what it is."""

_DENIAL: Final = re.compile(r"\bno\b", re.IGNORECASE)
_DEFAULT: Final = Path(__file__).with_name("prompts.yaml")

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class PromptPair(StrictModel):
    """Sentences for and against one finding; each side is an ensemble of phrasings."""

    positive: tuple[Sentence, ...] = Field(min_length=1, description="the finding is present")
    negative: tuple[Sentence, ...] = Field(min_length=1, description="the finding is absent")
    also: tuple[Sentence, ...] = Field((), description="other names of the finding")

    @model_validator(mode="after")
    def _sides_differ(self) -> PromptPair:
        sides = [[sentence.lower() for sentence in side] for side in (self.positive, self.negative)]
        both = sorted(set(sides[0]) & set(sides[1]))
        if both:
            msg = f"{both[0]!r} stands for the finding and against it: keep it on one side"
            raise ValueError(msg)
        if any(len(set(side)) < len(side) for side in sides):
            msg = "a sentence stands twice in an ensemble: it would count twice"
            raise ValueError(msg)
        return self


class PromptSet(StrictModel):
    """Prompt pairs by finding.

    The sign of "No Finding" is checked. Made from templates, its pair is "no finding" against "no
    no finding", or stands upside down: a published tool scored an AUROC of 0.07 that way
    (rajpurkarlab/CheXzero#19). Of a label that says that nothing is there, no negative prompt may
    hold the word "no"; of every other finding, no positive prompt may.

    >>> prompts = default_prompts()
    >>> prompts["Pleural_Effusion"].negative[0]
    'no pleural effusion'
    """

    findings: dict[Sentence, PromptPair] = Field(min_length=1)

    @model_validator(mode="after")
    def _signs_and_names(self) -> PromptSet:
        known: dict[str, str] = {}
        for name, pair in self.findings.items():
            for other in {plain_name(text) for text in (name, *pair.also)}:
                if other in known:
                    msg = f"{known[other]} and {name} are both called {other!r}: rename one"
                    raise ValueError(msg)
                known[other] = name
            absence = any(plain_name(text) in ABSENCE for text in (name, *pair.also))
            suspects = pair.negative if absence else pair.positive
            wrong = [sentence for sentence in suspects if _DENIAL.search(sentence)]
            if wrong:
                side = "negative" if absence else "positive"
                msg = (
                    f"{name}: the {side} prompt {wrong[0]!r} denies a finding, so that the score "
                    "would point the wrong way: positive prompts describe images that have the "
                    "label"
                )
                raise ValueError(msg)
        return self

    def __getitem__(self, finding: str) -> PromptPair:
        """The pair of a finding by any of its names.

        Raises:
            ConfigError: The set has no such finding.
        """
        wanted = plain_name(finding)
        names = {
            plain_name(text): pair
            for name, pair in self.findings.items()
            for text in (name, *pair.also)
        }
        if wanted not in names:
            hint = nearest(wanted, sorted(names))
            msg = f"no prompts for {finding!r}{hint}; or write them into a file, for `prompts`"
            raise ConfigError(msg)
        return names[wanted]

    def sentences(self, findings: Iterable[str] | None = None) -> tuple[str, ...]:
        """Every sentence once, in order: what has to be embedded."""
        chosen = self.findings if findings is None else findings
        pairs = [self[finding] for finding in chosen]
        return tuple(dict.fromkeys(s for pair in pairs for s in (*pair.positive, *pair.negative)))

    @classmethod
    def read(cls, path: str | Path) -> PromptSet:
        """A set from a YAML file with the key `findings`; `extends` works as in pipelines.

        Raises:
            ConfigError: The file is absent or holds something else.
        """
        return validate(cls, read_yaml(Path(path)), where=Path(path).name)

    @classmethod
    def from_templates(
        cls,
        findings: Sequence[str],
        *,
        positive: Sequence[str] = ("there is {}", "{} is present"),
        negative: Sequence[str] = ("there is no {}", "no evidence of {}"),
    ) -> PromptSet:
        """A set for any findings; `{}` is the name.

        Labels that say that nothing is there get the pair of `default_prompts`, not the templates.

        >>> made = PromptSet.from_templates(["Hernia", "No Finding"], positive=["{}"])
        >>> made["hernia"].positive, made["No Finding"].positive[0]
        (('hernia',), 'the lungs are clear')
        """
        pairs = {}
        for name in findings:
            said = plain_name(name)
            if said in ABSENCE:
                pairs[said] = default_prompts()[NO_FINDING].model_copy(update={"also": ()})
            else:
                pairs[said] = PromptPair(
                    positive=tuple(template.format(said) for template in positive),
                    negative=tuple(template.format(said) for template in negative),
                )
        return cls(findings=pairs)


@cache
def default_prompts() -> PromptSet:
    """Prompts for chest radiographs: the 14 NIH findings, CheXpert 8×200 and 5×200, normal."""
    return PromptSet.read(_DEFAULT)


def plain_name(finding: str) -> str:
    """A finding's name without capitals, "_" and "-".

    >>> plain_name(" Pleural_Thickening ")
    'pleural thickening'
    """
    return " ".join(re.split(r"[\s_\-]+", finding.strip().lower()))
