"""The card of a task bundle, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medssl.contracts import Contract
from medssl.finetuning.scale import Scale
from medssl.version import __version__

_MEANING = {
    "regression": "a number in the units of the label",
    "binary": "the probability of yes",
    "multiclass": "a probability for each class",
    "multilabel": "a probability for each label",
    "ordinal": "a probability for each grade",
    "survival": "the log relative hazard: larger means an earlier event",
}


def render_card(
    digest: str,
    encoder: str,
    contract: Contract,
    scale: Scale,
    task: Mapping[str, Any],
    provenance: Mapping[str, Any],
    scores: Sequence[Mapping[str, Any]],
) -> str:
    """Markdown: what it predicts, how well, what it expects, where it comes from."""
    target = task["target"]["name"]
    expects = "\n".join(f"| {name} | {value} |" for name, value in contract.facts)
    facts = "\n".join(f"| {name} | {value} |" for name, value in provenance.items())
    found = "\n".join(_score(score) for score in scores) or "| not measured | | |"
    classes = f" ({', '.join(scale.classes)})" if scale.classes else ""
    return f"""# Task `{target}` · `{digest[:12]}`

A fine-tuned {encoder} that predicts **{target}** from {contract.modality.value}
{contract.noun}. It gives {_MEANING[scale.kind]}{classes}. Written by medssl {__version__}.

## How well

| metric | value with interval | participants |
|---|---|---|
{found}

Mean over all seeds that were run at this label fraction, on test participants that were neither
fitted nor used to stop; this bundle is one of these seeds. The label curve stands beside it.

## What it expects of its input

| | |
|---|---|
{expects}

Input that breaks this is refused. {contract.preparation}

## Where it comes from

| | |
|---|---|
{facts}

## Intended use

Research. It was fitted and scored on the participants counted above; on others, of another site or
device, it has to be validated first. Its output is not a diagnosis.

```python
from medssl.finetuning import load_task

model = load_task("this folder")
{contract.usage("found = model.predict")}
```
"""


def _score(score: Mapping[str, Any]) -> str:
    value, low, high = (score.get(key) for key in ("value", "low", "high"))
    if value is None:
        return f"| {score['metric']} | – | {score['n_participants']} |"
    shown = (
        f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
    )
    return f"| {score['metric']} | {shown} | {score['n_participants']} |"
