"""Masked language: a text encoder guesses words of reports, without images."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from medssl.batches import Tokens
from medssl.encoders.language_head import LanguageHead
from medssl.encoders.text_transformer import TextTransformer
from medssl.inputs.texts import TextInputs
from medssl.methods.base import LOSS, PretrainingMethod
from medssl.objectives.masked_language import NOT_MASKED, masked_batch, masked_language_loss
from medssl.sampling.loader import Batch
from medssl.views.seeds import derive_seed


class MaskedLanguage(PretrainingMethod):
    """Devlin et al., NAACL 2019 (BERT, arXiv 1810.04805), without next-sentence prediction.

    With `pairs.level: segment` every text of a batch is of another participant. What is read of a
    report is drawn by `views`: a sentence, some, or all.
    """

    title = "masked language (arXiv 1810.04805)"

    def build(self) -> None:
        """The head that guesses; there is no projection head."""
        self.head = nn.Identity()
        self.language_head = LanguageHead.for_encoder(self._encoder)

    @property
    def _encoder(self) -> TextTransformer:
        assert isinstance(self.encoder, TextTransformer)  # the configuration refuses others
        return self.encoder

    def exported(self, which: Literal["student", "teacher"]) -> tuple[nn.Module, nn.Module | None]:
        """The encoder alone."""
        return super().exported(which)[0], None

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The cross-entropy of masked tokens; the mean over ranks is that of their means."""
        inputs = self.inputs
        assert isinstance(inputs, TextInputs)
        tokens = self.view(batch, "first")
        assert isinstance(tokens, Tokens)
        seed = derive_seed(self.seed, "masked tokens", batch["position"], self.global_rank)
        shown, targets = masked_batch(
            tokens, inputs.tokenizer, share=self.settings.share, seed=seed
        )
        shown = Tokens(*(part.to(self.device) for part in shown))
        loss = language_loss(self._encoder, self.language_head, shown, targets.to(self.device))
        return {LOSS: loss, "masked_language": loss}


def language_loss(
    encoder: TextTransformer, head: LanguageHead, shown: Tokens, targets: Tensor
) -> Float[Tensor, ""]:
    """The masked-language loss of a batch; the head looks at masked places alone.

    Args:
        encoder: Reads the texts.
        head: Guesses.
        shown: Texts with masked tokens.
        targets: The tokens that were masked, `NOT_MASKED` elsewhere.
    """
    masked = targets != NOT_MASKED
    return masked_language_loss(head.guess(encoder, shown, masked), targets[masked])
