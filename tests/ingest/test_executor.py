from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from medssl.ingest.executor import map_batches


def total(batch):
    return sum(batch)


def total_or_die(batch):
    if any(item < 0 for item in batch):
        os.kill(os.getpid(), signal.SIGKILL)
    return sum(batch)


def die_together(batch):
    if len(batch) > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return sum(batch)


def fail(batch):
    msg = "a bug"
    raise ZeroDivisionError(msg)


@pytest.mark.parametrize("workers", [1, 2])
def test_outcomes_come_in_the_order_of_the_batches(workers):
    batches = [[number, number] for number in range(20)]
    outcomes = list(map_batches(total, batches, workers=workers))
    assert [outcome.result for outcome in outcomes] == [2 * number for number in range(20)]
    assert all(outcome.killed == () for outcome in outcomes)


def test_no_more_batches_are_taken_than_are_under_way():
    taken = []

    def batches():
        for number in range(50):
            taken.append(number)
            yield [number]

    outcomes = map_batches(total, batches(), workers=2)
    next(outcomes)
    assert len(taken) <= 5
    outcomes.close()


def test_only_the_killing_items_are_lost():
    batches = [[1, 2], [3, -1, 4, -2], [5], [6, 7]]
    outcomes = list(map_batches(total_or_die, batches, workers=2))
    assert [outcome.result for outcome in outcomes] == [3, 7, 5, 13]
    assert [outcome.killed for outcome in outcomes] == [(), (-1, -2), (), ()]


def test_a_batch_of_nothing_but_killers_has_no_result():
    outcomes = list(map_batches(total_or_die, [[-1], [2]], workers=2))
    assert [(outcome.result, outcome.killed) for outcome in outcomes] == [(None, (-1,)), (2, ())]


def test_items_that_only_kill_together_are_all_reported():
    outcomes = list(map_batches(die_together, [[1, 2]], workers=2))
    assert [(outcome.result, outcome.killed) for outcome in outcomes] == [(None, (1, 2))]


@pytest.mark.parametrize("workers", [1, 2])
def test_exceptions_pass_through(workers):
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(map_batches(fail, [[1]], workers=workers))


UNGUARDED = """
from medssl.ingest.executor import map_batches
list(map_batches(len, [[1], [2], [3]], workers=2))
"""


def test_a_script_without_a_guard_is_told_so_and_does_not_hang(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("medssl.errors.IngestError: worker processes cannot start")
    assert 'if __name__ == "__main__":' in last


def test_a_guarded_script_works(tmp_path):
    script = tmp_path / "script.py"
    call = "list(map_batches(len, [[1], [2, 2], [3]], workers=2))"
    found = f"[outcome.result for outcome in {call}]"
    script.write_text(
        "from medssl.ingest.executor import map_batches\n"
        f'if __name__ == "__main__":\n    print({found})\n'
    )
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stdout.strip() == "[1, 2, 1]"
