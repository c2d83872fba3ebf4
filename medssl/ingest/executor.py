"""The whole executor interface: `map_batches`, serial or in processes, in order."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from medssl.errors import IngestError

logger = logging.getLogger(__name__)

_UNGUARDED: Final = (
    "worker processes cannot start: each of them reads the script that started them, and would "
    'start this work anew; put what the script does below if __name__ == "__main__":, or set '
    "workers: 1"
)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
    """What became of one batch.

    Args:
        items: The batch.
        result: What the function returned for the items that did not kill it; None if none is left.
        killed: Items that killed the process that worked on them.
    """

    items: Sequence[T]
    result: R | None
    killed: tuple[T, ...] = ()


def map_batches(
    function: Callable[[Sequence[T]], R], batches: Iterable[Sequence[T]], *, workers: int
) -> Iterator[Outcome[T, R]]:
    """Apply a function to batches, and give the outcomes in the order of the batches.

    At most `workers + 2` batches are under way, so memory does not grow with their number. When a
    worker process dies (killed for memory, crashed in native code), its batch is tried again in a
    fresh process; if that dies too, item by item, and the items that kill are reported. A batch
    may therefore be worked on more than once: the function must not mind. Exceptions pass through.

    Raises:
        IngestError: Worker processes cannot start, because the script that they read first would
            start this work anew: it lacks `if __name__ == "__main__":`.

    Args:
        function: Picklable when there are several workers, that is, defined in a module.
        batches: Lists of picklable items.
        workers: Processes; 1 works in this process, unprotected.

    >>> [outcome.result for outcome in map_batches(sum, [[1, 2], [3]], workers=1)]
    [3, 3]
    """
    if workers == 1:
        for batch in batches:
            yield Outcome(batch, function(batch))
        return
    refuse_inside_worker()
    pool = _pool(workers)
    waiting: deque[tuple[Sequence[T], Future[R]]] = deque()
    coming = iter(batches)
    try:
        while True:
            for batch in itertools.islice(coming, workers + 2 - len(waiting)):
                waiting.append((batch, _submit(pool, function, batch)))
            if not waiting:
                return
            batch, future = waiting.popleft()
            try:
                outcome: Outcome[T, R] = Outcome(batch, future.result())
            except BrokenProcessPool:
                pool.shutdown(wait=True, cancel_futures=True)
                _require_start()
                logger.warning("a worker process died; its batch is tried again")
                outcome = _rescue(function, batch)
                pool = _pool(workers)
                # A broken pool fails every batch under way, not only the one that broke it.
                waiting = deque(
                    (other, done if _succeeded(done) else _submit(pool, function, other))
                    for other, done in waiting
                )
            yield outcome
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def refuse_inside_worker() -> None:
    """Refuse to start workers in a process that is itself only reading its script.

    Raises:
        IngestError: The script lacks `if __name__ == "__main__":`.
    """
    # A worker reads the script under this name before it becomes its main module.
    if sys.modules.get("__mp_main__") is not sys.modules.get("__main__"):
        raise IngestError(_UNGUARDED)


def _require_start() -> None:
    """After a worker died: can any start at all?

    Raises:
        IngestError: A process dies before it was given any work.
    """
    alone = _Alone()
    try:
        alone(len, ())
    except BrokenProcessPool:
        raise IngestError(_UNGUARDED) from None
    finally:
        alone.close()


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not fork: numpy, pyarrow and torch hold threads and locks that a forked child cannot use.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    return ProcessPoolExecutor(workers, mp_context=context)


def _submit(
    pool: ProcessPoolExecutor, function: Callable[[Sequence[T]], R], batch: Sequence[T]
) -> Future[R]:
    try:
        return pool.submit(function, batch)
    except BrokenProcessPool as error:
        # The pool broke between two submissions; the caller learns it from the result.
        future: Future[R] = Future()
        future.set_exception(error)
        return future


def _succeeded(future: Future[R]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


class _Alone:
    """One process at a time, started again when it died."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, function: Callable[[Sequence[T]], R], batch: Sequence[T]) -> R:
        """Work on a batch; raises BrokenProcessPool when it kills the process."""
        if self._pool is None:
            self._pool = _pool(1)
        try:
            return self._pool.submit(function, batch).result()
        except BrokenProcessPool:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None


def _rescue(function: Callable[[Sequence[T]], R], batch: Sequence[T]) -> Outcome[T, R]:
    """Work on a batch whose process died, and find the items that kill."""
    alone = _Alone()
    try:
        # Only one batch under way killed its worker; most likely this one is innocent.
        with suppress(BrokenProcessPool):
            return Outcome(batch, alone(function, batch))
        killed, left = [], []
        for item in batch:
            try:
                alone(function, [item])
            except BrokenProcessPool:
                killed.append(item)
            else:
                left.append(item)
        if killed and left:
            with suppress(BrokenProcessPool):
                return Outcome(batch, alone(function, left), tuple(killed))
        # Either every item kills, or they only kill together: none of them can be worked on.
        return Outcome(batch, None, tuple(batch))
    finally:
        alone.close()
