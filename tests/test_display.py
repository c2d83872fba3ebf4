"""What the terminal shows."""

from __future__ import annotations

from types import SimpleNamespace

from medssl.display import Display
from medssl.ingest.ledger import LedgerRow, Reason, ledger_table


def test_files_that_ask_for_nothing_do_not_hide_those_that_do(capsys):
    rows = [
        LedgerRow(source="s", path=f"{reason}{number}", source_digest="", reason=reason)
        for reason in (Reason.NOT_A_RECORDING, Reason.EMPTY_REPORT)
        for number in range(8)
    ]
    store = SimpleNamespace(ledger=ledger_table(rows))
    Display().ledger(store, None)
    said = capsys.readouterr().out
    assert (said.count("s: not_a_recording"), said.count("s: empty_report")) == (5, 8)
    assert "and 3 more: --reason not_a_recording" in said
    Display().ledger(store, "not_a_recording")
    said = capsys.readouterr().out
    assert (said.count("s: not_a_recording"), said.count("s: empty_report")) == (8, 0)
