"""Texts: reports of a store, read by a policy and cut into tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from medssl.batches import Raw, Tokens
from medssl.contracts import TextContract
from medssl.errors import ContractError, StageError
from medssl.inputs.base import Inputs
from medssl.store import Store
from medssl.text.reading import chosen_sentences, chosen_text
from medssl.text.report import Report, Section
from medssl.text.tokenizer import Tokenizer
from medssl.types import Rows
from medssl.views.text import TextViews


class TextInputs(Inputs):
    """Stored reports, one section a line, as `Tokens`.

    Args:
        contract: What the encoder expects.
        tokenizer: The one whose digest the contract names.

    Raises:
        ContractError: The tokenizer is another one.
    """

    def __init__(self, contract: TextContract, tokenizer: Tokenizer) -> None:
        if tokenizer.digest != contract.tokenizer:
            msg = "the tokenizer is not the one of the contract: copy the bundle again"
            raise ContractError(msg)
        self.contract: TextContract = contract
        self.tokenizer = tokenizer

    def read(self, store: Store, rows: Rows) -> list[str]:
        """Reports as stored."""
        return [str(store.read_record(int(row))) for row in rows]

    def plain(self, raw: Raw, device: torch.device | str = "cpu") -> Tokens:
        """Whole reports: the policy's sections, one after the other."""
        assert isinstance(raw, list)
        texts = [chosen_text(stored, self.contract.policy) for stored in raw]
        absent = sum(text is None for text in texts)
        if absent:
            sections = ", ".join(self.contract.policy.sections)
            msg = (
                f"{absent} report(s) have none of the sections {sections}: leave them out, or "
                "choose another policy with missing: other"
            )
            raise StageError(msg)
        return self.tokens([text for text in texts if text is not None], device)

    def viewed(self, raw: Raw, views: TextViews, *, seed: int) -> Tokens:
        """What the views draw of each report."""
        assert isinstance(raw, list)
        return self.tokens(views.draw(raw, seed=seed))

    def tokens(self, texts: Sequence[str], device: torch.device | str = "cpu") -> Tokens:
        """Texts that a policy has been applied to, as tokens."""
        ids, mask = self.tokenizer.encode(texts, tokens=self.contract.tokens)
        return Tokens(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))

    def prepare(self, data: Any, **told: Any) -> list[str]:
        """One text or several, as they are.

        Raises:
            ContractError: They are no texts, or one is empty.
        """
        texts = [data] if isinstance(data, str) else list(data)
        if told:
            msg = f"a text needs no {', '.join(sorted(told))}: give it alone"
            raise ContractError(msg)
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            msg = "give a text or a list of texts, none of them empty"
            raise ContractError(msg)
        return texts

    def accept(self, data: Any, **told: Any) -> list[str]:
        """Texts, each as if it were the first section that the policy reads.

        Raises:
            ContractError: They are no texts, or the policy reads no word of one.
        """
        policy = self.contract.policy
        stored = [
            Report((Section(policy.sections[0], " ".join(text.split()), 0),), "given").to_text()
            for text in self.prepare(data, **told)
        ]
        empty = sum(chosen_text(text, policy) is None for text in stored)
        if empty:
            msg = (
                f"{empty} of {len(stored)} texts have no word in them, or none that the policy of "
                "this encoder reads: leave them out"
            )
            raise ContractError(msg)
        return stored

    def usable(self, store: Store, rows: Rows) -> Rows:
        """Reports in which the policy reads a text, and a sentence to draw."""
        policy = self.contract.policy
        reports = (str(store.read_record(int(row))) for row in rows)
        kept = [
            chosen_text(report, policy) is not None and len(chosen_sentences(report, policy)) > 0
            for report in reports
        ]
        chosen: Rows = np.asarray(rows)[np.array(kept, dtype=bool)]
        return chosen
