"""Everything that audits look at, and the ways in which they ask for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from medssl.audit.config import AuditConfig
from medssl.audit.findings import ProbeRow
from medssl.audit.groups import grouped
from medssl.config import nearest
from medssl.errors import ConfigError, MedsslError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.probe import rows_of
from medssl.evaluation.scoring import ENCODER
from medssl.evaluation.study_labels import study_labels
from medssl.evaluation.targets import Target
from medssl.evaluation.units import Units, gather_units, unit_labels
from medssl.sampling.splits import TRAIN
from medssl.store.schema import (
    ADDED,
    MODALITY,
    PARTICIPANT,
    RECORDS_SCHEMA,
    presence,
)

if TYPE_CHECKING:
    from medssl.bundle import Encoder
    from medssl.evaluation.predictions import Predictions
    from medssl.store import Store
    from medssl.types import Rows


class NotApplicableError(MedsslError):
    """An audit says nothing about such records; the message says why, and names nobody."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """The units that have a label, with their mean embeddings.

    Args:
        units: Those with a label.
        x: Mean embeddings, shape (n, d).
        truth: As in `Truth.values`.
        classes: Names of the classes.
        n_records: Records behind the units.
    """

    target: Target
    units: Units
    x: np.ndarray
    truth: np.ndarray
    classes: tuple[str, ...]
    n_records: int


@dataclass(frozen=True, eq=False, kw_only=True)
class AuditInputs:
    """Everything that audits look at.

    Args:
        store: The store.
        embeddings: Of the trained encoder.
        rows: Records in use: those that the reduction kept.
        splits: Participant → split.
        config: Which audits, thresholds, seed.
        pretraining: Whose records the encoder was trained on; None: those of the split `train`.
        scored: Splits that pretraining must not have seen; None: every split but `train`.
        untrained: Embeddings of the same records by the untrained encoder.
        probes: The probe table.
        differences: Encoder minus baselines.
        predictions: Out-of-sample predictions by (target, features).
        targets: What probes predict, to probe again in an audit.
        encoder: The loaded encoder, to encode changed records with.
        others: Embeddings of further modalities in the same space, by name.
        projected: Projections of several modalities into a space of their own, by name.
        image_uses: Whether scores of an image–text model need the image, by what is scored.
    """

    store: Store
    embeddings: Embeddings
    rows: Rows
    splits: Mapping[str, str]
    config: AuditConfig = field(default_factory=AuditConfig)
    pretraining: Collection[str] | None = None
    scored: Collection[str] | None = None
    untrained: Embeddings | None = None
    probes: tuple[ProbeRow, ...] = ()
    differences: Sequence[Mapping[str, Any]] = ()
    predictions: Mapping[tuple[str, str], Predictions] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    encoder: Encoder | None = None
    others: Mapping[str, Embeddings] = field(default_factory=dict)
    projected: Mapping[str, Embeddings] = field(default_factory=dict)
    image_uses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def people(self) -> np.ndarray:
        """Participant of each of `rows`."""
        return np.asarray(self.store.column(PARTICIPANT, self.rows).astype(str))

    @cached_property
    def participants(self) -> pd.DataFrame:
        """Labels of the participants with records in use."""
        return self.store.participants.loc[sorted(set(self.people.tolist()))]

    @cached_property
    def audited(self) -> Rows:
        """All records of the modalities in use, also those that the reduction left out."""
        modalities = sorted(set(self.store.column(MODALITY, self.rows).tolist()))
        return np.flatnonzero(np.isin(self.store.column(MODALITY).astype(str), modalities))

    @cached_property
    def embedded(self) -> Rows:
        """Row in the store of each embedding.

        Raises:
            StageError: An embedded record is not in the store.
        """
        return rows_of(self.embeddings, self.store)

    @cached_property
    def record_labels(self) -> pd.DataFrame:
        """Labels of the embedded records, or of other records of their studies, as probes see."""
        return study_labels(self.store, self.embedded)[0]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of all labels, those of participants first."""
        given = [
            str(name)
            for name in self.store.participants.columns
            if name != ADDED and not str(name).startswith(presence(""))
        ]
        more = [str(name) for name in self.record_labels.columns]
        return tuple(dict.fromkeys([*given, *more]))

    @property
    def boundaries(self) -> list[str]:
        """Splits that pretraining must not have seen."""
        against = set(self.splits.values()) - {TRAIN} if self.scored is None else set(self.scored)
        return sorted(against)

    @property
    def trained_on(self) -> list[str]:
        """Participants of pretraining."""
        if self.pretraining is not None:
            return list(self.pretraining)
        return [name for name, split in self.splits.items() if split == TRAIN]

    def encoder_predictions(self) -> dict[str, Predictions]:
        """Predictions from the encoder's embeddings, by target."""
        return {
            target: found
            for (target, features), found in self.predictions.items()
            if features == ENCODER
        }

    def column(self, name: str) -> pd.Series[Any]:
        """A label or a column of the store for each embedding, in their order; None if missing.

        What is known of records goes before what is known of participants.

        Raises:
            ConfigError: There is no such label or column.
        """
        index = pd.Index(self.embeddings.records)
        if name in self.record_labels.columns:
            return self.record_labels[name]
        if name in RECORDS_SCHEMA.names:
            values = pd.Series(self.store.column(name, self.embedded), index=index)
            if name not in self.store.participants or values.notna().any():
                return values
        if name in self.labels:
            found = self.store.participants[name].reindex(self.embeddings.participants)
            return found.set_axis(index)
        known = [*self.labels, *RECORDS_SCHEMA.names]
        msg = f"audit: no label or column {name!r}{nearest(name, known)}"
        raise ConfigError(msg)

    def texts(self, name: str) -> np.ndarray:
        """A column as text, shape (n,), empty where missing; numbers are cut at their thirds."""
        values = self.column(name)
        if pd.api.types.is_numeric_dtype(values) and values.nunique() > 1:
            found = grouped(values)
            return np.array([found.get(str(record), "") for record in values.index])
        return np.array(["" if missing else str(v) for v, missing in _with_gaps(values)])

    def groups(self, name: str) -> dict[str, str]:
        """Group of each record, session and participant whose records agree; {} if none vary.

        Raises:
            ConfigError: There is no such label or column.
        """
        if name in self.participants and name not in self.record_labels.columns:
            return grouped(self.participants[name])
        of_records = grouped(self.column(name))
        frame = pd.DataFrame(
            {
                "participant": self.embeddings.participants,
                "session": gather_sessions(self.embeddings),
                "group": pd.Series(of_records).reindex(self.embeddings.records).to_numpy(),
            }
        ).dropna()
        found = dict(of_records)
        for level in ("session", "participant"):
            distinct = frame[[level, "group"]].drop_duplicates()
            agreed = distinct[~distinct[level].duplicated(keep=False)]
            found |= dict(zip(agreed[level].tolist(), agreed["group"].tolist(), strict=True))
        return found

    def labelled(self, target: Target) -> Labelled:
        """The units of a target that have a label, of all splits.

        Raises:
            ConfigError: The target does not fit the labels.
        """
        units = gather_units(self.embeddings, target.level)
        frame, _ = unit_labels(target, units, self.store.participants, self.record_labels)
        truth = target.truth(frame)
        kept = pd.Index(units.names).get_indexer(pd.Index(truth.units))
        new = np.full(len(units), -1)
        new[kept] = np.arange(len(kept))
        owner = new[units.owner]
        used = owner >= 0
        few = Units(
            units.level, units.names[kept], units.participants[kept], units.records[used],
            owner[used],
        )  # fmt: skip
        x = few.means(self.embeddings.values[used]) if len(few) else np.empty((0, 1))
        return Labelled(target, few, x, truth.values, truth.classes, int(used.sum()))


def gather_sessions(embeddings: Embeddings) -> np.ndarray:
    """Name of each record's session, as units of the level `session` are named."""
    units = gather_units(embeddings, "session")
    return np.asarray(units.names[units.owner])


def _with_gaps(values: pd.Series[Any]) -> list[tuple[Any, bool]]:
    return list(zip(values.tolist(), values.isna().tolist(), strict=True))
