"""One modality of a pretraining run: its records, what its encoder expects, how it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from medssl.errors import StageError
from medssl.stages.base import Context
from medssl.types import Kind, Modality, Rows

if TYPE_CHECKING:
    from torch import nn

    from medssl.contracts import Contract
    from medssl.encoders import EncoderConfig, ProjectionHeadConfig
    from medssl.inputs import Inputs
    from medssl.stages.data import Corpus
    from medssl.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Side:
    """One modality of a run.

    Args:
        corpus: Its records; of a table, those that it has rows for.
        inputs: How they are read, by the contract of the encoder.
        encoder: The encoder's configuration as its bundle keeps it, with all that the data decide.
        start: The configuration to build it from at first: with weights of a folder, if any.
    """

    corpus: Corpus
    inputs: Inputs
    encoder: EncoderConfig
    start: EncoderConfig
    _read: dict[str, Rows] = field(default_factory=dict)
    """Records by split: to know which reports can be read takes reading them all."""

    @property
    def rows(self) -> Rows:
        """Records of training participants."""
        from medssl.sampling.splits import TRAIN

        return self.rows_of(TRAIN)

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Of a text encoder."""
        found: Tokenizer | None = getattr(self.inputs, "tokenizer", None)
        return found

    @property
    def trained(self) -> set[str]:
        """Training participants."""
        from medssl.store.schema import PARTICIPANT

        return set(self.corpus.store.column(PARTICIPANT, self.rows).tolist())

    def rows_of(self, split: str) -> Rows:
        """Records of a split that the encoder can read."""
        if split not in self._read:
            self._read[split] = self.inputs.usable(self.corpus.store, self.corpus.of(split))
        return self._read[split]


def open_side(
    context: Context, modality: Modality, settings: Any, where: str, *, rows_of: Modality
) -> Side:
    """Records of one modality, and the encoder that fits them.

    Args:
        context: Of the stage.
        modality: Which.
        settings: `encoder`, `views` and, for a table, `table`.
        where: Place of `settings` in the configuration, for messages.
        rows_of: The modality whose records have the rows of a table.

    Raises:
        StageError: There are no such records, or the encoder does not fit them.
    """
    from medssl.encoders import kind_of
    from medssl.inputs import make_inputs
    from medssl.sampling.splits import TRAIN
    from medssl.stages.data import open_corpus

    if kind_of(settings.encoder) is not modality.kind:
        msg = (
            f"{where}.encoder is {settings.encoder.name}, which takes no {modality} records: name "
            f"an encoder of {modality.kind}s"
        )
        raise StageError(msg)
    corpus = open_corpus(context, rows_of if modality.kind is Kind.TABLE else modality)
    rows = corpus.of(TRAIN)
    contract, encoder, tokenizer = _FITTED[modality.kind](corpus, rows, modality, settings, where)
    from_file = any(getattr(settings.encoder, name, None) for name in ("folder", "weights"))
    start = settings.encoder if from_file else encoder
    side = Side(corpus, make_inputs(contract, tokenizer), encoder, start)
    if len(side.rows) == 0:
        what = f"{where}.table" if modality.kind is Kind.TABLE else f"{where}.views.policy"
        msg = (
            f"no {modality} record of {len(rows)} of training participants can be used: see {what}"
        )
        raise StageError(msg)
    return side


Fitted = tuple["Contract", "EncoderConfig", "Tokenizer | None"]


def _waveforms(corpus: Corpus, rows: Rows, modality: Modality, settings: Any, where: str) -> Fitted:
    from medssl.contracts import WaveformContract

    contract = corpus.store.contract(modality, corpus.rows)
    assert isinstance(contract, WaveformContract)
    if settings.encoder.channels != len(contract.channels):
        msg = (
            f"{where}.encoder.channels is {settings.encoder.channels} and the {modality} records "
            f"have {len(contract.channels)}: set it to {len(contract.channels)}"
        )
        raise StageError(msg)
    return contract, settings.encoder, None


def _images(corpus: Corpus, rows: Rows, modality: Modality, settings: Any, where: str) -> Fitted:
    contract = corpus.store.contract(modality, corpus.rows)
    # A bundle holds all weights: it is loaded without the file that they started from.
    encoder = settings.encoder.resolved()
    return contract.model_copy(update={"size": settings.views.size}), encoder, None


def _texts(corpus: Corpus, rows: Rows, modality: Modality, settings: Any, where: str) -> Fitted:
    """The tokenizer is that of the encoder's folder, or trained on the training reports."""
    from medssl.contracts import TextContract
    from medssl.text.reading import chosen_text
    from medssl.text.tokenizer import Tokenizer, train_tokenizer

    encoder, policy = settings.encoder, settings.views.policy
    if encoder.folder is not None:
        tokenizer = Tokenizer.from_folder(encoder.folder)
    else:
        stored = (str(corpus.store.read_record(int(row))) for row in rows)
        texts = (text for report in stored if (text := chosen_text(report, policy)) is not None)
        first = next(texts, None)
        if first is None:
            msg = (
                f"no training report has one of the sections {', '.join(policy.sections)}: correct "
                f"{where}.views.policy"
            )
            raise StageError(msg)
        tokenizer = train_tokenizer(
            chain([first], texts), vocabulary=encoder.vocabulary, lowercase=policy.lowercase
        )
    contract = TextContract(
        modality=modality, policy=policy, tokenizer=tokenizer.digest, tokens=encoder.tokens
    )
    return contract, encoder.resolved(tokenizer.size), tokenizer


def _tables(corpus: Corpus, rows: Rows, modality: Modality, settings: Any, where: str) -> Fitted:
    from medssl.inputs.tables import fit_contract

    if settings.table is None:
        msg = f"{where}.table is missing: name its columns, table: {{columns: [...]}}"
        raise StageError(msg)
    contract = fit_contract(corpus.store, rows, settings.table)
    return contract, settings.encoder.fitted(contract), None


_FITTED = {
    Kind.WAVEFORM: _waveforms,
    Kind.IMAGE: _images,
    Kind.TEXT: _texts,
    Kind.TABLE: _tables,
}


def save_side(
    context: Context,
    side: Side,
    encoder: nn.Module,
    head: nn.Module | None,
    provenance: Mapping[str, Any],
    bundle_name: str,
    head_name: str,
    *,
    limit: int,
    head_config: ProjectionHeadConfig,
) -> str:
    """Calibrate an encoder on its own records and write its bundle and head; gives its digest."""
    from medssl.bundle import save_bundle
    from medssl.encoders.calibration import calibrate_batch_norm
    from medssl.evaluation.layers import save_head
    from medssl.evaluation.untrained import plain_batches

    encoder = encoder.cpu()
    calibrate_batch_norm(
        encoder,
        plain_batches(side.inputs, side.corpus.store, side.rows, limit=limit, seed=context.seed),
    )
    digest = save_bundle(
        context.out / bundle_name, encoder, encoder=side.encoder, contract=side.inputs.contract,
        provenance={**provenance, "training records": len(side.rows)}, tokenizer=side.tokenizer,
    )  # fmt: skip
    if head is not None:
        save_head(context.out / head_name, head.cpu(), head_config)
    context.run.artifacts(context.out / bundle_name, bundle_name)
    return digest
