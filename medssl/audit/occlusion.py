"""Label scores straight from records: the encoder, and a linear probe on what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from medssl.audit.inputs import AuditInputs, Labelled, NotApplicableError
from medssl.audit.nouns import NOUNS
from medssl.audit.out_of_fold import CONFIG, subsample
from medssl.batches import Pictures
from medssl.errors import StageError
from medssl.evaluation.embed import check_contract
from medssl.evaluation.models import fit_predict
from medssl.files import digest_bytes
from medssl.sampling.splits import TEST, check_disjoint
from medssl.types import Kind

if TYPE_CHECKING:
    from medssl.bundle import Encoder
    from medssl.store import Store
    from medssl.types import Rows

Encode = Callable[[np.ndarray], np.ndarray]

MAX_FITTED: Final = 2000
MIN_PARTICIPANTS: Final = 10
"""Participants that a probe is fitted on, at least."""


@dataclass(frozen=True, eq=False)
class RecordedScores:
    """One target's scores as a function of records, and records to try it on.

    Args:
        target: What is scored.
        encode: From records of the form of `records` to embeddings (n, d).
        predict: From embeddings to scores (n,) or (n, k).
        records: Of participants that the probe was not fitted on: segments (n, channels, time), or
            images centred in squares (n, 1, edge, edge).
        participants: Participant of each record, shape (n,).
        extents: Rows and columns of each image in its square, shape (n, 2); None of waveforms.
    """

    target: str
    encode: Encode
    predict: Callable[[np.ndarray], np.ndarray]
    records: np.ndarray
    participants: np.ndarray
    extents: np.ndarray | None = None


def recorded_scores(inputs: AuditInputs) -> Iterator[RecordedScores]:
    """Refit the probe of each target so that it can be asked about changed records.

    The probe is fitted on participants outside the split `test`, on the mean embeddings of their
    units, and scores single records of `test`: at most `max_occluded`, of whole participants.

    Raises:
        NotApplicableError: The encoder is one of texts or tables.
        StageError: The encoder is not the one of these embeddings, or there is nobody to fit on.
        ContractError: The records break the encoder's contract.
    """
    encoder = inputs.encoder
    if encoder is None or not inputs.targets:
        return
    kind = encoder.contract.modality.kind
    if kind not in (Kind.WAVEFORM, Kind.IMAGE):
        msg = f"{NOUNS[kind]}s have no places that could be covered"
        raise NotApplicableError(msg)
    if inputs.embeddings.metadata.get("bundle", encoder.digest) != encoder.digest:
        msg = "the bundle at hand did not make these embeddings: embed again with this bundle"
        raise StageError(msg)
    scored = _occluded(inputs)
    if len(scored) == 0:
        return
    rows = inputs.embedded[scored]
    check_contract(encoder.contract, inputs.store, rows)
    records, extents = _read(encoder, inputs.store, rows)
    encode = _remembering(encoder)
    held = np.unique(inputs.embeddings.participants[_in_test(inputs)])
    for target in inputs.targets:
        predict = _probe(inputs.labelled(target), held, inputs)
        people = inputs.embeddings.participants[scored]
        yield RecordedScores(target.name, encode, predict, records, people, extents)


def occluded_rows(inputs: AuditInputs) -> Rows:
    """Row numbers in the store of the records that are covered part by part."""
    rows: Rows = inputs.embedded[_occluded(inputs)]
    return rows


def _in_test(inputs: AuditInputs) -> np.ndarray:
    names = inputs.embeddings.participants.tolist()
    return np.array([inputs.splits.get(name) == TEST for name in names], dtype=bool)


def _occluded(inputs: AuditInputs) -> np.ndarray:
    """Positions of those embeddings whose records are covered."""
    scored = np.flatnonzero(_in_test(inputs))
    limit = inputs.config.max_occluded
    names = inputs.embeddings.participants[scored]
    return np.asarray(scored[subsample(names, limit, seed=inputs.config.seed)][:limit])


def _read(encoder: Encoder, store: Store, rows: Rows) -> tuple[np.ndarray, np.ndarray | None]:
    """Records as arrays, and where the content of images stands in them."""
    raw = encoder.inputs.read(store, rows)
    if isinstance(raw, Pictures):
        return raw.pixels.numpy(), raw.extents.numpy()
    assert isinstance(raw, Tensor)
    return raw.numpy(), None


def _remembering(encoder: Encoder) -> Encode:
    """Encode, and remember: every target is asked about the same changes of the same records."""
    seen: dict[str, np.ndarray] = {}
    images = encoder.contract.modality.kind is Kind.IMAGE

    def encode(records: np.ndarray) -> np.ndarray:
        records = np.ascontiguousarray(records)
        key = digest_bytes(records.data)
        if key not in seen:
            given = torch.from_numpy(records)
            # What is covered is part of the square, whatever stood in it.
            whole = torch.tensor(given.shape[-2:]).expand(len(given), 2)
            seen[key] = encoder.embed_raw(Pictures(given, whole) if images else given)
        return seen[key]

    return encode


def _probe(
    found: Labelled, held: np.ndarray, inputs: AuditInputs
) -> Callable[[np.ndarray], np.ndarray]:
    rows = np.flatnonzero(~np.isin(found.units.participants, held))
    if len(np.unique(found.units.participants[rows])) < MIN_PARTICIPANTS:
        msg = (
            f"{found.target.name}: fewer than {MIN_PARTICIPANTS} labelled participants outside "
            f"{TEST} to fit a probe on: label more of them"
        )
        raise StageError(msg)
    seed = inputs.config.seed
    rows = rows[subsample(found.units.participants[rows], MAX_FITTED, seed=seed)]
    x, truth, people = found.x[rows], found.truth[rows], found.units.participants[rows]
    check_disjoint("participants that a probe is fitted on and those occluded", people, held)

    def predict(embeddings: np.ndarray) -> np.ndarray:
        return fit_predict(
            x, truth, people, embeddings,
            kind=found.target.kind, config=CONFIG, classes=len(found.classes), seed=seed,
        ).scores  # fmt: skip

    return predict
