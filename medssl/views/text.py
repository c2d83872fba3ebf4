"""The views of reports: sentences drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import torch

from medssl.errors import StageError
from medssl.text.policy import TextPolicy
from medssl.views.seeds import derive_seed

if TYPE_CHECKING:
    from medssl.views.text_config import TextViewsConfig

TextDraw = Literal["sentence", "sentences", "report"]

REMEMBERED: Final = 2**14
"""Reports whose sentences are kept in memory, some 30 MB; more are cut anew each time."""


class TextViews:
    """What is shown of each report: a sentence, several, or all of it.

    Each sentence is equally likely, and short negatives ("No pneumothorax.") are sentences too.

    Args:
        config: What is drawn.
        policy: How a report is read: which sections, which words.

    >>> from medssl.views.text_config import TextViewsConfig
    >>> views = TextViewsConfig().build(TextPolicy())
    >>> report = "FINDINGS: Heart size is normal. No pneumothorax. Lungs are clear."
    >>> views.draw([report], seed=0), views.draw([report], seed=3)
    (['no pneumothorax.'], ['heart size is normal.'])
    """

    def __init__(self, config: TextViewsConfig, policy: TextPolicy) -> None:
        self.config = config
        self.policy = policy

    def draw(self, texts: Sequence[str], *, seed: int) -> list[str]:
        """Draw from each report; the same for the same seed, position and report.

        Args:
            texts: Reports as stored, one section a line.
            seed: See `derive_seed`.

        Raises:
            StageError: A report has nothing to draw, which the choice of rows should have seen.
        """
        whole = self.config.draw == "report"
        found = [_sentences(text, self.policy, whole) for text in texts]
        empty = sum(not sentences for sentences in found)
        if empty:
            msg = (
                f"{empty} of {len(texts)} reports say nothing in the sections "
                f"{', '.join(self.policy.sections)}: leave such reports out, or read other sections"
            )
            raise StageError(msg)
        wanted = self.config.sentences if self.config.draw == "sentences" else 1
        generator = torch.Generator()
        drawn = []
        for place, sentences in enumerate(found):
            generator.manual_seed(derive_seed(seed, "text", place))
            order = torch.rand(len(sentences), generator=generator).argsort(stable=True)
            drawn.append(" ".join(sentences[i] for i in sorted(order[:wanted].tolist())))
        return drawn


@lru_cache(maxsize=REMEMBERED)
def _sentences(text: str, policy: TextPolicy, whole: bool) -> tuple[str, ...]:
    # The key is all of the text and the policy: no report can be taken for another one.
    from medssl.text.reading import chosen_sentences, chosen_text

    if not whole:
        return chosen_sentences(text, policy)
    chosen = chosen_text(text, policy)
    return () if chosen is None else (chosen,)
