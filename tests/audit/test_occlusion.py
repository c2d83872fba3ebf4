from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from medssl.audit.config import AuditConfig
from medssl.audit.findings import Severity
from medssl.audit.inputs import AuditInputs
from medssl.audit.occlusion import recorded_scores
from medssl.audit.registry import AUDITS
from medssl.audit.run import run_one
from medssl.bundle import Encoder
from medssl.errors import StageError
from medssl.evaluation.embed import embed_store
from medssl.evaluation.targets import Target
from medssl.store import Store

TARGETS = (
    Target(name="size", column="size", kind="regression"),
    Target(name="large", column="size", kind="binary", threshold=0.0),
)


class Powers(nn.Module):
    """The share of the signal's power in each of eight windows: an encoder without weights."""

    dim = 8

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x[:, 0].reshape(len(x), 8, -1).square().mean(dim=-1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, make: SimpleNamespace) -> Store:
    """60 participants whose label is the power of a burst in one window of their signal."""
    generator = np.random.default_rng(0)
    sizes = generator.normal(size=60)
    signals = {}
    for person, size in enumerate(sizes):
        noise = generator.normal(size=(3, 1, make.samples))
        noise[..., 150:200] *= np.exp(0.5 * size)
        signals[f"p{person:03d}"] = list(noise)
    made: Store = make.store(tmp_path_factory.mktemp("occlusion") / "store", signals)
    frame = made.participants.assign(size=sizes)
    object.__setattr__(made, "participants", frame)
    return made


def inputs_of(store: Store, module: Powers, **config: object) -> AuditInputs:
    encoder = Encoder(module, store.contract("ppg"), digest="d" * 32, device="cpu")
    embeddings = embed_store(encoder, store, store.rows(), metadata={"bundle": encoder.digest})
    names = list(store.participants.index)
    splits = {name: "test" if n % 3 == 0 else "train" for n, name in enumerate(names)}
    return AuditInputs(
        store=store, embeddings=embeddings, rows=store.rows(), splits=splits, targets=TARGETS,
        encoder=encoder, config=AuditConfig.model_validate(config),
    )  # fmt: skip


def test_scores_come_from_segments_of_participants_who_were_not_fitted(store: Store) -> None:
    inputs = inputs_of(store, Powers())
    size, large = list(recorded_scores(inputs))
    assert (size.target, large.target) == ("size", "large")
    assert {inputs.splits[name] for name in size.participants.tolist()} == {"test"}
    assert size.records.shape == (60, 1, 400)
    assert size.extents is None
    truth = store.participants["size"][size.participants.tolist()].to_numpy()
    encoded = size.encode(size.records)
    for scores in (size.predict(encoded), large.predict(encoded)):
        assert np.corrcoef(scores, truth)[0, 1] > 0.5
    # The same probe is fitted again in every call.
    np.testing.assert_allclose(size.predict(encoded), size.predict(encoded))


def test_records_are_encoded_once_for_all_targets(store: Store) -> None:
    module = Powers()
    first, second = list(recorded_scores(inputs_of(store, module)))
    embedded = module.calls
    first.encode(first.records)
    second.encode(second.records)
    assert module.calls == embedded + 1
    second.encode(-second.records)
    assert module.calls == embedded + 2


def test_the_window_that_holds_the_label_is_found(store: Store) -> None:
    (audit,) = [one for one in AUDITS if one.name == "shortcut_occlusion"]
    found = run_one(audit, inputs_of(store, Powers()))
    follows = [f for f in found if "follows" in f.title]
    assert len(follows) == 2
    assert {f.severity for f in follows} == {Severity.OK}
    windows = [f.table for f in found if f.table is not None and "window" in f.table.title]
    for table in windows:
        shares = {row[0]: row[2] for row in table.rows}
        assert max(shares, key=lambda name: float(shares[name] or 0)) == "4/8"


def test_at_most_so_many_records_are_encoded_anew(store: Store) -> None:
    (scores, _) = recorded_scores(inputs_of(store, Powers(), max_occluded=10))
    assert len(scores.records) <= 10
    # Whole participants.
    assert set(np.unique(scores.participants, return_counts=True)[1]) == {3}


def test_what_stands_in_the_way_is_told(store: Store) -> None:
    inputs = inputs_of(store, Powers())
    assert list(recorded_scores(replace(inputs, encoder=None))) == []
    assert list(recorded_scores(replace(inputs, targets=()))) == []
    assert list(recorded_scores(replace(inputs, splits={}))) == []
    nobody = dict.fromkeys(inputs.splits, "test")
    with pytest.raises(StageError, match="size: fewer than 10 labelled participants outside test"):
        next(recorded_scores(replace(inputs, splits=nobody)))
    metadata = {**inputs.embeddings.metadata, "bundle": "another"}
    other = replace(inputs, embeddings=replace(inputs.embeddings, metadata=metadata))
    with pytest.raises(StageError, match="did not make these embeddings"):
        next(recorded_scores(other))
