"""Embedding the records of a store with a bundle's encoder, batch by batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.batches import Raw
from medssl.contracts import Contract
from medssl.errors import ContractError, StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.representation import dead_dimensions
from medssl.store.schema import MODALITY, PARTICIPANT, RECORD, SESSION
from medssl.types import Kind, Rows

if TYPE_CHECKING:
    from medssl.bundle import Encoder
    from medssl.store import Store

logger = logging.getLogger(__name__)

COLLAPSE: Final = "collapse"
"""Metadata key under which a collapse found at embed time is kept."""


def embed_store(
    encoder: Encoder,
    store: Store,
    rows: Rows,
    *,
    batch_size: int = 256,
    metadata: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Embeddings:
    """Embed records of a store, in the order of `rows`; one batch is held at a time.

    Args:
        encoder: A loaded bundle; it normalises its input itself.
        store: Where the records are.
        rows: Row numbers of the records.
        batch_size: Records read and embedded at once.
        metadata: More to keep with the embeddings, such as the bundle's digest.
        progress: Called with (records done, records in all) after each batch.

    Raises:
        ContractError: The records break the encoder's contract.
        StageError: There is nothing to embed, or the encoder gave values that are not finite.
    """
    if len(rows) == 0:
        msg = "embed: no record is left to embed; widen the selection, or ingest more recordings"
        raise StageError(msg)
    check_contract(encoder.contract, store, rows)
    names = store.column(RECORD, rows)
    values = np.empty((len(rows), encoder.dim), dtype=np.float32)
    for start in range(0, len(rows), batch_size):
        stop = min(start + batch_size, len(rows))
        raw = encoder.inputs.read(store, rows[start:stop])
        values[start:stop] = _embed_batch(encoder, raw, names[start:stop], batch_size)
        if progress is not None:
            progress(stop, len(rows))
    described = {
        "store": store.digest,
        "store_version": str(store.version),
        "modality": encoder.contract.modality.value,
        **_collapse(values),
        **(metadata or {}),
    }
    return Embeddings(
        names, store.column(PARTICIPANT, rows), store.column(SESSION, rows), values, described
    )


def _embed_batch(encoder: Encoder, raw: Raw, names: np.ndarray, batch_size: int) -> np.ndarray:
    # Checked first, because some layers turn NaN into a number that looks like an embedding.
    unreadable = encoder.inputs.broken(raw)
    if unreadable.any():
        msg = (
            f"embed: {int(unreadable.sum())} record(s) hold NaN or infinite samples, first "
            f"{names[unreadable][0]}: drop them with a selection, or ingest them again"
        )
        raise StageError(msg)
    try:
        outputs = encoder.embed_raw(raw, batch_size=batch_size)
    except ContractError as error:
        msg = f"embed: records {names[0]} … {names[-1]}: {error}"
        raise ContractError(msg) from error
    broken = ~np.isfinite(outputs).all(axis=1)
    if broken.any():
        msg = (
            f"embed: the encoder gave values that are not finite for {int(broken.sum())} "
            f"record(s), first {names[broken][0]}: look at the losses of the pretrain stage"
        )
        raise StageError(msg)
    return outputs


def check_contract(contract: Contract, store: Store, rows: Rows) -> None:
    """Refuse records that an encoder does not expect, naming every difference.

    Raises:
        ContractError: The modality differs, or what its kind of contract fixes.
    """
    modalities = sorted(set(store.column(MODALITY, rows).tolist()))
    if modalities != [contract.modality.value]:
        msg = (
            f"the rows hold {', '.join(modalities)} and this encoder expects "
            f"{contract.modality.value}: choose rows of that modality"
        )
        raise ContractError(msg)
    if contract.modality.kind not in (Kind.WAVEFORM, Kind.IMAGE):
        return  # texts are read by the encoder's own policy
    differences = contract.differences(store.contract(contract.modality.value, rows))
    if differences:
        msg = (
            f"the store's {contract.modality.value} records do not fit the encoder: "
            f"{'; '.join(differences)}. Ingest them again with the encoder's values"
        )
        raise ContractError(msg)


def _collapse(values: np.ndarray) -> dict[str, str]:
    dead = int(dead_dimensions(values).sum())
    if len(values) < 2 or dead == 0:
        return {}
    sentence = f"{dead} of {values.shape[1]} embedding dimensions are constant"
    if dead == values.shape[1]:
        sentence = "all records have the same embedding: the encoder has collapsed"
    logger.warning("embed: %s", sentence)
    return {COLLAPSE: sentence}
