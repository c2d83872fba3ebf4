from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medssl.audit.config import AuditConfig
from medssl.audit.findings import Severity
from medssl.audit.run import run_audit
from medssl.errors import StageError
from medssl.evaluation.probe import run_probes
from medssl.evaluation.probes import ProbeConfig, Target
from medssl.store import Store

AUDITS = {
    "overlap", "exact_duplicates", "near_duplicates", "collapse", "split_balance", "missingness",
    "quality",
}  # fmt: skip


def test_a_clean_store_passes_every_audit(clean: Store, make: SimpleNamespace) -> None:
    splits = make.splits(list(clean.participants.index))
    report = run_audit(clean, make.embeddings(clean), rows=clean.rows(), splits=splits)
    assert {f.audit for f in report.findings} == AUDITS
    assert report.worst() is Severity.OK, [f.title for f in report.sorted()]
    assert report.meta["participants"] == 40
    assert report.meta["store digest"] == clean.digest
    assert {f.name for f in report.figures} == {
        "projection-age", "projection-sex", "spectrum", "splits",
    }  # fmt: skip


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
    (found,) = [f for f in report.findings if f.severity is not Severity.OK]
    assert (found.audit, found.severity) == ("exact_duplicates", Severity.WARNING)


def test_probes_bring_baselines_subgroups_and_forests(clean: Store, make: SimpleNamespace) -> None:
    splits = make.splits(list(clean.participants.index))
    embeddings = make.embeddings(clean)
    untrained = replace(embeddings, values=embeddings.values[:, ::-1].copy())
    config = ProbeConfig(
        targets=(Target(name="age", column="age", kind="regression"),),
        fit_on=(), score_on=("train", "test"), folds=3, repeats=1, bootstrap=100,
        alphas=(1.0, 100.0),
    )  # fmt: skip
    table = run_probes(embeddings, clean.participants, config, splits, untrained=[untrained])
    report = run_audit(
        clean, embeddings, rows=clean.rows(), splits=splits, untrained=untrained,
        probe_table=table.to_dict()["rows"], differences=table.to_dict()["differences"],
        predictions=table.predictions, config=AuditConfig(min_subgroup=10),
    )  # fmt: skip
    titles = {f.audit: f.title for f in report.findings}
    assert {"baselines", "subgroups"} <= set(titles)
    assert "sex" in titles["subgroups"]
    assert "forest-age-mae" in {f.name for f in report.figures}
    assert len(report.probes) == len(table.rows)


def test_nothing_to_audit_is_one_line(clean: Store, make: SimpleNamespace) -> None:
    with pytest.raises(StageError, match="no record to audit"):
        run_audit(clean, make.embeddings(clean), rows=clean.rows()[:0], splits={})


def test_reports_repeat(clean: Store, make: SimpleNamespace) -> None:
    splits = make.splits(list(clean.participants.index))
    first, second = (
        run_audit(clean, make.embeddings(clean), rows=clean.rows(), splits=splits) for _ in range(2)
    )
    assert first == second
