"""Files of a bundle, and what marks a folder as one."""

from __future__ import annotations

from typing import Final

FORMAT: Final = "medssl-bundle"
TASK_FORMAT: Final = "medssl-task"
"""A fine-tuned encoder with its head; see `medssl.finetuning.task`."""
TASK: Final = "task.json"
"""What a task bundle predicts."""
BUNDLE_VERSION: Final = 2
"""1: weights, configuration, contract, card. 2: also `card.json`, and `files.json` with digests."""

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
CONTRACT: Final = "contract.json"
TOKENIZER: Final = "tokenizer.json"
"""Of a text encoder."""
CARD: Final = "card.md"
FACTS: Final = "card.json"
FILES: Final = "files.json"

# What pretraining leaves beside each other.
BUNDLE: Final = "bundle"
HEAD: Final = "head.safetensors"
"""The projection head, which is not in the bundle; kept to be probed beside the encoder."""
PARTNER_BUNDLE: Final = "partner_bundle"
"""The encoder of the second modality, where there is one."""
PARTNER_HEAD: Final = "partner_head.safetensors"
