from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medssl.audit import calls
from medssl.audit.config import AuditConfig
from medssl.audit.findings import Finding, Severity
from medssl.audit.inputs import AuditInputs
from medssl.audit.registry import AUDITS, Audit
from medssl.audit.run import run_audit, run_one
from medssl.errors import LeakageError, StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.probe import run_probes
from medssl.evaluation.probes import ProbeConfig
from medssl.evaluation.tables import ProbeTable
from medssl.evaluation.targets import Target
from medssl.store import Store

ALWAYS = {
    "overlap", "exact_duplicates", "near_duplicates", "quality", "missingness", "split_balance",
    "outliers", "collapse", "spectrum_decay", "redundant_dimensions", "lidar",
    "alignment_uniformity", "dispersion", "re_identification", "demographic_inference",
}  # fmt: skip
"""Audits that need no probe, no encoder and no further columns."""


def test_a_clean_store_passes_every_audit(clean: Store, make: SimpleNamespace) -> None:
    splits = make.splits(list(clean.participants.index))
    # Records of one participant so alike that they identify it would be a finding.
    embeddings = make.embeddings(clean, own=0.5)
    report = run_audit(clean, embeddings, rows=clean.rows(), splits=splits)
    assert {f.audit for f in report.findings} == ALWAYS
    assert report.worst() is Severity.OK, [f.title for f in report.sorted()]
    assert report.meta["participants"] == 40
    assert report.meta["store digest"] == clean.digest
    idle = report.meta["audits with nothing to look at"]
    assert isinstance(idle, list)
    assert {*idle, *ALWAYS} == {audit.name for audit in AUDITS}
    assert {*report.seconds} == {*(audit.name for audit in AUDITS), "figures", "map"}
    assert {f.name for f in report.figures} == {
        "projection-age", "projection-sex", "spectrum", "splits",
    }  # fmt: skip
    assert report.map is not None
    assert len(report.map.records) == 80


def test_a_shared_signal_and_a_leak_are_critical_and_drawn(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    signals = make.pulses()
    signals["p001"][0] = signals["p000"][0]
    signals["p005"][0] = 3 * signals["p004"][0] + 1
    store = make.store(tmp_path / "store", signals)
    report = run_audit(
        store, make.embeddings(store), rows=store.rows(), splits=make.splits(list(signals)),
        pretraining_participants=["p000", "p003"], config=AuditConfig(fail_on=Severity.CRITICAL),
    )  # fmt: skip
    critical = {f.audit: f for f in report.findings if f.severity is Severity.CRITICAL}
    assert set(critical) == {"overlap", "exact_duplicates", "near_duplicates"}
    assert report.grouped()[0][0] == "Leakage"
    assert critical["overlap"].participants == ("p000",)
    assert critical["exact_duplicates"].participants == ("p000", "p001")
    assert critical["near_duplicates"].participants == ("p004", "p005")
    names = {figure.name for figure in report.figures}
    assert {"overlay-exact", "overlay-near-ppg"} <= names
    assert {f.figure for f in critical.values() if f.figure} <= names
    assert report.fails(Severity.CRITICAL)


def test_what_the_reduction_left_out_is_still_reported(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    signals = make.pulses()
    signals["p001"][0] = signals["p000"][0]
    store = make.store(tmp_path / "store", signals)
    kept = np.delete(store.rows(), 0)
    embeddings = make.embeddings(store).take(kept)
    report = run_audit(store, embeddings, rows=kept, splits=make.splits(list(signals)))
    (found,) = [
        f for f in report.findings if f.group == "Leakage" and f.severity is not Severity.OK
    ]
    assert (found.audit, found.severity) == ("exact_duplicates", Severity.WARNING)


@pytest.fixture(scope="module")
def probed(clean: Store, make: SimpleNamespace) -> tuple[ProbeTable, Embeddings, Embeddings]:
    """A probe table of age and sex, the embeddings it is of, and untrained ones."""
    embeddings = make.embeddings(clean)
    untrained = replace(embeddings, values=embeddings.values[:, ::-1].copy())
    config = ProbeConfig(
        targets=TARGETS, fit_on=(), score_on=("train", "test"), folds=3, repeats=1, bootstrap=100,
        alphas=(1.0, 100.0),
    )  # fmt: skip
    splits = make.splits(list(clean.participants.index))
    table = run_probes(embeddings, clean.participants, config, splits, untrained=[untrained])
    return table, embeddings, untrained


TARGETS = (
    Target(name="age", column="age", kind="regression"),
    Target(name="sex", column="sex", kind="binary", positive="M"),
)


def test_probes_bring_audits_of_labels_and_forests(
    clean: Store, make: SimpleNamespace, probed: tuple[ProbeTable, Embeddings, Embeddings]
) -> None:
    table, embeddings, untrained = probed
    done: list[tuple[int, int]] = []
    report = run_audit(
        clean, embeddings, rows=clean.rows(), splits=make.splits(list(clean.participants.index)),
        untrained=untrained, probe_table=table.to_dict()["rows"],
        differences=table.to_dict()["differences"], predictions=table.predictions,
        targets=TARGETS, config=AuditConfig(min_subgroup=10),
        progress=lambda *at: done.append(at),
    )  # fmt: skip
    found = {f.audit for f in report.findings}
    assert found >= ALWAYS | {
        "baselines", "subgroups", "label_errors", "missing_predicts_label", "attribute_dependence",
    }  # fmt: skip
    titles = " ".join(f.title for f in report.findings if f.audit == "subgroups")
    assert "sex" in titles
    assert "age" in titles
    assert "forest-age-mae" in {f.name for f in report.figures}
    assert len(report.probes) == len(table.rows)
    assert done == [(n + 1, len(AUDITS)) for n in range(len(AUDITS))]
    assert all(f.group for f in report.findings)


def test_no_identifier_is_in_what_may_leave(
    tmp_path: Path, make: SimpleNamespace, probed: tuple[ProbeTable, Embeddings, Embeddings]
) -> None:
    """Findings of all kinds: copies with overlays, outliers, a leak, an audit that cannot run."""
    signals = make.pulses()
    signals["p001"][0] = signals["p000"][0]
    signals["p005"][0] = 3 * signals["p004"][0] + 1
    store = make.store(tmp_path / "store", signals)
    embeddings = make.embeddings(store)
    embeddings.values[:2] += 1000
    wrong = Target(name="wrong", column="weight", kind="regression")
    report = run_audit(
        store, embeddings, rows=store.rows(), splits=make.splits(list(signals)),
        pretraining_participants=["p000", "p003"], targets=(*TARGETS, wrong),
        predictions=probed[0].predictions, config=AuditConfig(min_subgroup=10),
    )  # fmt: skip
    names = {*embeddings.participants.tolist(), *embeddings.records.tolist()}
    everything, public = report.to_json(), report.to_json(identifiers=False)
    assert sum(f'"{name}"' in everything for name in names) > 5
    assert not [name for name in names if name in public]
    assert str(store.path) not in public
    value = json.loads(public)
    assert value["counts"] == report.counts()
    assert [figure["alt"] for figure in value["figures"] if figure["identifies"]] == ["", ""]


def test_what_cannot_be_run_is_a_finding_and_the_rest_goes_on(
    clean: Store, make: SimpleNamespace
) -> None:
    targets = (Target(name="weight", column="wieght", kind="regression"), TARGETS[0])
    report = run_audit(
        clean, make.embeddings(clean), rows=clean.rows(),
        splits=make.splits(list(clean.participants.index)), targets=targets,
        config=AuditConfig(attributes=("sight",), skip=("near_duplicates", "lidar")),
    )  # fmt: skip
    failed = {f.audit: f for f in report.findings if "could not be run" in f.title}
    assert set(failed) >= {"batch_effect", "missing_predicts_label", "shortcut_metadata"}
    assert {f.severity for f in failed.values()} == {Severity.NOTE}
    assert "no label or column 'sight'; did you mean site?" in failed["batch_effect"].local
    assert "wieght" in failed["shortcut_metadata"].local
    assert "skip: [batch_effect]" in failed["batch_effect"].advice
    found = {f.audit for f in report.findings}
    assert not {"near_duplicates", "lidar"} & found
    assert found >= ALWAYS - {"near_duplicates", "lidar"}
    assert report.meta["audits left out"] == ["near_duplicates", "lidar"]


def test_a_leak_that_an_audit_runs_into_is_critical_and_a_bug_is_a_bug(
    clean: Store, make: SimpleNamespace
) -> None:
    inputs = AuditInputs(
        store=clean, embeddings=make.embeddings(clean), rows=clean.rows(), splits={}
    )

    def leaks(embeddings: Embeddings) -> list[Finding]:
        raise LeakageError(["p000"], "fitted and scored")

    def breaks(embeddings: Embeddings) -> list[Finding]:
        raise ZeroDivisionError

    (found,) = run_one(Audit("leaks", "Data", leaks, calls.embeddings), inputs)
    assert found.severity is Severity.CRITICAL
    assert found.participants == ("p000",)
    assert "p000" not in found.title
    with pytest.raises(ZeroDivisionError):
        run_one(Audit("breaks", "Data", breaks, calls.embeddings), inputs)


def test_nothing_to_audit_is_one_line(clean: Store, make: SimpleNamespace) -> None:
    with pytest.raises(StageError, match="no record to audit"):
        run_audit(clean, make.embeddings(clean), rows=clean.rows()[:0], splits={})


def test_embeddings_of_another_store_are_refused(clean: Store, make: SimpleNamespace) -> None:
    embeddings = make.embeddings(clean)
    other = replace(embeddings, records=np.char.add(embeddings.records, "x"))
    with pytest.raises(StageError, match="80 embedded records are not in the store"):
        run_audit(clean, other, rows=clean.rows(), splits={})


def test_reports_repeat(clean: Store, make: SimpleNamespace) -> None:
    splits = make.splits(list(clean.participants.index))
    config = AuditConfig(skip=("near_duplicates",))
    first, second = (
        run_audit(clean, make.embeddings(clean), rows=clean.rows(), splits=splits, config=config)
        for _ in range(2)
    )
    assert first.model_copy(update={"seconds": {}}) == second.model_copy(update={"seconds": {}})
