"""The model card as a page of Markdown, written from its facts alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from medssl.bundle.card import Card, DataFacts, ExportFacts, FindingFacts, ProbeFacts
from medssl.bundle.names import FACTS
from medssl.contracts import Contract, ImageContract

NOT_STATED = "not stated"


def render_card(card: Card) -> str:
    """The card as Markdown; parts that were not measured say so."""
    sections = (
        ("", _head(card)),
        ("What it expects of its input", _contract(card.contract)),
        ("Where it comes from", _table(("", ""), card.training.items())),
        ("Data", _data(card.data, card.training.get("training participants"))),
        ("What was measured", _probes(card.probes)),
        ("What the audit found", _findings(card.audit)),
        ("Exports", _exports(card.exports, card.contract)),
        ("Intended use", card.intended_use),
        ("Limits", _list(card.limits)),
        ("How to load it", _usage(card.contract)),
    )
    parts = [f"## {title}\n\n{text}" if title else text for title, text in sections if text]
    return "\n\n".join(parts) + "\n"


def format_interval(
    value: float | None, low: float | None, high: float | None, form: str = "{:.3f}"
) -> str:
    """A number with its interval, where it has one.

    >>> format_interval(0.5, 0.4, 0.6), format_interval(0.5, 0.5, 0.5), format_interval(*[None] * 3)
    ('0.500 [0.400, 0.600]', '0.500', '–')
    """
    if value is None:
        return "–"
    text = form.format(value)
    if low is None or high is None or low == high:
        return text
    return f"{text} [{form.format(low)}, {form.format(high)}]"


def _head(card: Card) -> str:
    encoder, contract = card.encoder, card.contract
    size = f"{encoder.parameters:,} parameters"
    if encoder.dim is not None:
        size += f" and embeddings of length {encoder.dim}"
    return (
        f"# Encoder `{encoder.weights_digest[:12]}`\n\n"
        f"{encoder.name}, with {size}, for {contract.modality.value} {contract.noun}, "
        f"pretrained without labels by {encoder.created_with}."
    )


def _contract(contract: Contract) -> str:
    return (
        f"{_table(('', ''), contract.facts)}\n\n"
        f"Input that breaks this is refused. {contract.preparation}"
    )


def _data(data: DataFacts | None, in_pairs: object) -> str:
    if data is None:
        return ""
    text = (
        f"Store `{data.digest}`: {data.records:,} records of {data.participants:,} participants.\n"
        "Splits are drawn over participants"
    )
    if data.trained_on is not None:
        text += f"; the encoder saw {data.trained_on:,} of `train`, and nobody else"
        if isinstance(in_pairs, int) and in_pairs < data.trained_on:
            text += f" ({data.trained_on - in_pairs:,} of them for batch-norm statistics alone)"
    text += ".\n\n"
    counts = ((c.modality, c.split, c.participants, c.records) for c in data.counts)
    text += _table(("modality", "split", "participants", "records"), counts)
    sources = ((source.name, source.licence or NOT_STATED) for source in data.sources)
    text += "\n\n" + _table(("source", "licence of the recordings"), sources)
    if any(source.licence is None for source in data.sources):
        text += "\n\nAsk whoever gave the recordings before passing on what was trained on them."
    return text


def _probes(probes: ProbeFacts | None) -> str:
    if probes is None:
        return "Nothing yet: no probe of this encoder stands in this bundle."
    against = {(d.target, d.metric, d.baseline): d for d in probes.differences}
    rows, others = [], []
    for row in probes.rows:
        metric, value = row.label or row.metric, format_interval(row.value, row.low, row.high)
        counts = _count(row.n_participants), _count(row.n_records)
        if not probes.is_main(row):
            if probes.is_own(row):
                others.append((row.target, metric, value, *counts, row.note))
            continue
        found = against.get((row.target, row.metric, row.features))
        compared = ""
        if found is not None:
            difference = format_interval(found.value, found.low, found.high, "{:+.3f}")
            compared = f"{difference}: {found.verdict}"
        rows.append((
            row.target, metric, row.features, value, compared, *counts, row.note,
        ))  # fmt: skip
    heads = ("target", "metric", "features", "value [interval]",
             "encoder minus this: the encoder is", "participants", "records", "note")  # fmt: skip
    parts = [_table(heads, rows)]
    if others:
        parts.append(
            f"Other metrics, of the encoder alone; {FACTS} beside this page has every metric of "
            "every set of features."
        )
        parts.append(_table((*heads[:2], heads[3], *heads[5:]), others))
    return "\n\n".join([*parts, _list(probes.notes)]).rstrip()


def _findings(findings: Sequence[FindingFacts] | None) -> str:
    if findings is None:
        return "Nothing yet: no audit of this encoder stands in this bundle."
    return _table(("severity", "finding"), ((f.severity, f.title) for f in findings))


def _exports(exports: Sequence[ExportFacts], contract: Contract) -> str:
    if not exports:
        return ""
    rows = (
        (
            e.file, e.format if e.opset is None else f"{e.format}, opset {e.opset}",
            f"{e.max_difference:.2g} over {e.segments_checked} inputs", e.checked_with,
        )
        for e in exports
    )  # fmt: skip
    heads = ("file", "format", "largest difference from the encoder", "checked with")
    return f"{_table(heads, rows)}\n\nThey take {_taken(contract)}; normalisation is inside."


def _taken(contract: Contract) -> str:
    """What an export takes."""
    if isinstance(contract, ImageContract):
        return (
            f"grey images as displayed, in [0, 1], centred in a square of black and brought to "
            f"{contract.size} pixels: shape (batch, 1, {contract.size}, {contract.size})"
        )
    return "raw segments of shape (batch, channels, time) in the contract's units"


def _usage(contract: Contract) -> str:
    return f"""```python
import medssl

encoder = medssl.load_encoder("this folder")
{contract.usage()}
```"""


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(item)}" for item in items)


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(value: Any) -> str:
    """Text that cannot end its cell or line."""
    return " ".join(str(value).replace("|", "\\|").split())
