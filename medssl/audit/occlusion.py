"""Label scores straight from records: the encoder, and a linear probe on what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.inputs import AuditInputs, Labelled
from medssl.audit.out_of_fold import CONFIG, subsample
from medssl.batches import Pictures, Raw
from medssl.errors import StageError
from medssl.evaluation.embed import check_contract
from medssl.evaluation.models import fit_predict
from medssl.files import digest_bytes
from medssl.sampling.splits import TEST, check_disjoint
from medssl.types import Kind

if TYPE_CHECKING:
    from medssl.bundle import Encoder

MAX_FITTED: Final = 2000
MIN_PARTICIPANTS: Final = 10
"""Participants that a probe is fitted on, at least."""
_CHANGEABLE: Final = (Kind.WAVEFORM, Kind.IMAGE)
"""Kinds of records that parts can be taken away from."""


@dataclass(frozen=True, eq=False)
class RecordedScores:
    """One target's scores as a function of segments, and segments to try it on.

    Args:
        target: What is scored.
        predict: From segments (n, channels, time), or images in their squares (n, 1, edge, edge),
            to scores (n,) or (n, k).
        segments: Of participants that the probe was not fitted on; float32.
        participants: Participant of each segment, shape (n,).
    """

    target: str
    predict: Callable[[np.ndarray], np.ndarray]
    segments: np.ndarray
    participants: np.ndarray


def recorded_scores(inputs: AuditInputs) -> Iterator[RecordedScores]:
    """Refit the probe of each target so that it can be asked about changed records.

    The probe is fitted on participants outside the split `test`, on the mean embeddings of their
    units, and scores single records of `test`: at most `max_occluded`, of whole participants.

    Raises:
        StageError: The encoder is not the one of these embeddings, or there is nobody to fit on.
        ContractError: The records break the encoder's contract.
    """
    encoder = inputs.encoder
    if encoder is None or not inputs.targets or encoder.contract.modality.kind not in _CHANGEABLE:
        return
    if inputs.embeddings.metadata.get("bundle", encoder.digest) != encoder.digest:
        msg = "the bundle at hand did not make these embeddings: embed again with this bundle"
        raise StageError(msg)
    names = inputs.embeddings.participants
    held = np.array([inputs.splits.get(name) == TEST for name in names.tolist()], dtype=bool)
    scored = np.flatnonzero(held)
    if len(scored) == 0:
        return
    limit = inputs.config.max_occluded
    scored = scored[subsample(names[scored], limit, seed=inputs.config.seed)][:limit]
    rows = inputs.embedded[scored]
    check_contract(encoder.contract, inputs.store, rows)
    raw = encoder.inputs.read(inputs.store, rows)
    segments = np.asarray(raw.pixels if isinstance(raw, Pictures) else raw, dtype=np.float32)
    encode = _remembering(encoder)
    for target in inputs.targets:
        found = inputs.labelled(target)
        predict = _probe(found, np.unique(names[held]), encode, inputs)
        yield RecordedScores(target.name, predict, segments, names[scored])


def _remembering(encoder: Encoder) -> Callable[[np.ndarray], np.ndarray]:
    """Encode, and remember: every target is asked about the same changes of the same records."""
    seen: dict[str, np.ndarray] = {}

    def encode(segments: np.ndarray) -> np.ndarray:
        segments = np.ascontiguousarray(segments)
        key = digest_bytes(segments.data)
        if key not in seen:
            seen[key] = encoder.embed_raw(_raw(encoder, segments))
        return seen[key]

    return encode


def _raw(encoder: Encoder, segments: np.ndarray) -> Raw:
    """Changed records as a store would hold them: of images, whole numbers."""
    import torch

    if encoder.contract.modality.kind is not Kind.IMAGE:
        return torch.from_numpy(segments)
    whole = torch.from_numpy(np.rint(segments))
    bits = getattr(encoder.contract, "bits", 8)
    pixels = whole.to(torch.uint8 if bits == 8 else torch.int32)
    sizes = torch.tensor(pixels.shape[-2:]).expand(len(pixels), 2)
    return Pictures(pixels, sizes)


def _probe(
    found: Labelled,
    held: np.ndarray,
    encode: Callable[[np.ndarray], np.ndarray],
    inputs: AuditInputs,
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
    config = CONFIG

    def predict(segments: np.ndarray) -> np.ndarray:
        nonlocal config
        output = fit_predict(
            x, truth, people, encode(segments),
            kind=found.target.kind, config=config, classes=len(found.classes), seed=seed,
        )  # fmt: skip
        # The penalty was chosen in the first call: the others only fit with it.
        config = CONFIG.model_copy(update={"alphas": (output.penalty,)})
        return output.scores

    return predict
