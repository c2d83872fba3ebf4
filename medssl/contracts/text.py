"""What an encoder of texts expects: which sections, which policies, which tokenizer."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from medssl.contracts.base import Contract
from medssl.text.policy import TextPolicy
from medssl.types import Kind


class TextContract(Contract):
    """Reports, read by a policy and cut into tokens by the tokenizer in the bundle."""

    kind: ClassVar[Kind] = Kind.TEXT

    policy: TextPolicy = TextPolicy()
    tokenizer: str = Field(description="digest of the bundle's tokenizer.json")
    tokens: int = Field(ge=2, description="tokens that the encoder sees; later ones are cut off")

    @property
    def noun(self) -> str:
        """What one input is."""
        return f"texts of up to {self.tokens} tokens"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """All that it says, as names and values for people."""
        return (
            ("modality", self.modality.value),
            *self.policy.facts,
            ("tokenizer", self.tokenizer[:12]),
            ("tokens", f"at most {self.tokens}"),
        )

    def usage(self, call: str = "embeddings = encoder.embed") -> str:
        """Lines of Python that give one raw input to a model."""
        return f'{call}(["No pleural effusion."])'

    @property
    def preparation(self) -> str:
        """What `encoder.prepare` does to a raw input, in a sentence."""
        return "Texts are taken as they are; the policies above are applied by the model itself."
