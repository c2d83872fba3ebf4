"""What an encoder of texts expects: which sections, which policies, which tokenizer."""

from __future__ import annotations

from pydantic import Field, PositiveInt, model_validator

from medssl.contracts.base import Contract
from medssl.text.policy import TextPolicy


class TextContract(Contract):
    """Reports, read by a policy and cut into tokens by the tokenizer in the bundle."""

    policy: TextPolicy = TextPolicy()
    tokenizer: str = Field(description="digest of the bundle's tokenizer.json")
    tokens: PositiveInt = Field(description="tokens that the encoder sees; later ones are cut off")

    @model_validator(mode="after")
    def _is_text(self) -> TextContract:
        if self.modality.kind != "text":
            msg = f"{self.modality} is no text"
            raise ValueError(msg)
        return self

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
