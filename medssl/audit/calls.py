"""What each audit is asked: from the inputs of the run to arguments of its function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

import numpy as np

from medssl.audit.inputs import AuditInputs
from medssl.audit.occlusion import recorded_scores
from medssl.evaluation.baselines import demographic_features

PRETRAINING = "pretraining"
_LARGEST_GAP: Final = 2.0
"""Two points at opposite ends of the sphere are 2 apart, which no gap exceeds."""


@dataclass(frozen=True, eq=False)
class Call:
    """Arguments of one call; `about` says to readers which one it is."""

    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """Target and attribute that the call is about, if any."""
        names = (self.keywords.get(key) for key in ("target", "attribute"))
        return " by ".join(str(name) for name in names if name)


def call(*arguments: Any, **keywords: Any) -> Call:
    """A call with these arguments."""
    return Call(arguments, keywords)


def embeddings(inputs: AuditInputs) -> list[Call]:
    """The embeddings alone."""
    return [call(inputs.embeddings)]


def beside_untrained(inputs: AuditInputs) -> list[Call]:
    """The embeddings, and those of the untrained encoder."""
    return [call(inputs.embeddings, untrained=inputs.untrained)]


def boundaries(inputs: AuditInputs) -> list[Call]:
    """Splits of the embedded records, and whom the encoder was trained on."""
    names = inputs.embeddings.participants
    splits = np.array([inputs.splits.get(name, "") for name in names.tolist()], dtype=np.str_)
    return [
        call(
            names, splits,
            sides={PRETRAINING: inputs.trained_on},
            boundaries=[(PRETRAINING, split) for split in inputs.boundaries],
        )
    ]  # fmt: skip


def stored(inputs: AuditInputs) -> list[Call]:
    """All records of the modalities in use, judged by those that the reduction kept."""
    return [call(inputs.store, inputs.audited, splits=inputs.splits, kept=inputs.rows)]


def in_use(inputs: AuditInputs) -> list[Call]:
    """The records in use."""
    return [call(inputs.store, inputs.rows)]


def labels(inputs: AuditInputs) -> list[Call]:
    """Labels of the participants in use."""
    return [call(inputs.participants, n_records=len(inputs.rows))]


def targets(inputs: AuditInputs) -> list[Call]:
    """Records in use, and what probes predict."""
    return [call(inputs.store, inputs.rows, inputs.targets)] if inputs.targets else []


def splits(inputs: AuditInputs) -> list[Call]:
    """Labels, splits and numbers of records of participants."""
    return [call(inputs.participants, inputs.splits, Counter(inputs.people.tolist()))]


def predictions(inputs: AuditInputs) -> Iterator[Call]:
    """The encoder's predictions of each target."""
    for target, found in inputs.encoder_predictions().items():
        yield call(found, target=target)


def predictions_by_group(inputs: AuditInputs) -> Iterator[Call]:
    """The encoder's predictions of each target, by every grouping of `subgroups`."""
    for attribute, groups in _present(inputs, inputs.config.subgroups):
        for target, found in inputs.encoder_predictions().items():
            yield call(found, groups, target=target, attribute=attribute)


def other_modalities(inputs: AuditInputs) -> Iterator[Call]:
    """The embeddings and those of another modality, and modalities that share a space.

    A gap between projections is what contrastive training leaves: it is told, and warned of only
    where the configuration names a threshold.
    """
    own = inputs.embeddings.metadata.get("modality", "embeddings")
    for name, other in inputs.others.items():
        yield call(inputs.embeddings, other, names=(own, name))
    told = inputs.config.thresholds.get("modality_gap", {})
    for (first, one), (second, other) in combinations(inputs.projected.items(), 2):
        yield call(one, other, names=(first, second), max_gap=told.get("max_gap", _LARGEST_GAP))


def attributes(inputs: AuditInputs) -> Iterator[Call]:
    """How records were made, beside what demographics explain of it."""
    config = inputs.config
    beside = demographic_features(inputs.participants, config.demographics, without=())
    for name in config.attributes:
        yield call(inputs.embeddings, inputs.texts(name), attribute=name, baseline=beside)


def demographics(inputs: AuditInputs) -> Iterator[Call]:
    """The demographic labels that are there."""
    for name in inputs.config.demographics:
        if name in inputs.participants:
            yield call(inputs.embeddings, inputs.participants[name], attribute=name)


def labels_by_attribute(inputs: AuditInputs) -> Iterator[Call]:
    """Every target with every attribute and subgroup."""
    config = inputs.config
    names = tuple(dict.fromkeys((*config.attributes, *config.subgroups)))
    present = list(_present(inputs, names))
    for target in inputs.targets:
        found = inputs.labelled(target)
        for attribute, groups in present:
            yield call(
                found.x, found.truth, found.units.participants, groups,
                kind=target.kind, target=target.name, attribute=attribute,
                classes=len(found.classes), units=found.units.names, n_records=found.n_records,
            )  # fmt: skip


def labels_by_metadata(inputs: AuditInputs) -> Iterator[Call]:
    """Every target with the metadata of the same rows."""
    from medssl.evaluation.acquisition import acquisition_features

    if not inputs.targets:
        return
    metadata = acquisition_features(inputs.store, inputs.embedded)
    for target in inputs.targets:
        found = inputs.labelled(target)
        yield call(
            metadata.of(found.units), found.truth, found.units.participants,
            kind=target.kind, target=target.name, columns=metadata.columns, embeddings=found.x,
            classes=len(found.classes), n_records=found.n_records,
        )  # fmt: skip


def encoded_scores(inputs: AuditInputs) -> Iterator[Call]:
    """Scores of each target from the records themselves, through the encoder."""
    for scores in recorded_scores(inputs):
        yield call(
            scores.predict, scores.records, scores.participants,
            target=scores.target, encode=scores.encode, extents=scores.extents,
        )  # fmt: skip


def image_uses(inputs: AuditInputs) -> Iterator[Call]:
    """What the zero_shot stage found out about each score."""
    for target, found in inputs.image_uses.items():
        yield call(found, target=target)


def probe_table(inputs: AuditInputs) -> list[Call]:
    """How the encoder compares with its baselines."""
    return [call(inputs.differences, inputs.probes)]


def _present(inputs: AuditInputs, names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Groupings that are there and have two groups."""
    known = {*inputs.labels, *inputs.config.attributes}
    for name in names:
        groups = inputs.groups(name) if name in known else {}
        if groups:
            yield name, groups
