"""gdcm in a process apart: it ends the one it runs in on some damaged frames.

The process starts with the first file that needs it, decodes one file after another, and ends with
the process that started it. It is told a path, as a line of JSON, and answers with a line of JSON
and the stored values.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable

SECONDS: Final = 120.0
"""A frame that takes longer counts as damaged."""


def decode_apart(path: Path) -> np.ndarray[Any, np.dtype[Any]]:
    """Stored values of one file, decoded by gdcm.

    Args:
        path: A file whose header has passed the checks.

    Raises:
        Unreadable: UNREADABLE_PIXELS or UNSUPPORTED_COMPRESSION.
    """
    global _running
    with _lock:
        if _running is None or not _running.usable:
            _running = _Decoder()
        return _running.decode(path)


class _Decoder:
    """The process, seen from the one that started it."""

    def __init__(self) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "medssl.ingest.radiographs.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths},
        )
        atexit.register(self.close)

    @property
    def usable(self) -> bool:
        """Whether it runs, and this process started it rather than the one it forked from."""
        return self._owner == os.getpid() and self._process.poll() is None

    def decode(self, path: Path) -> np.ndarray[Any, np.dtype[Any]]:
        """Ask for one file.

        Raises:
            Unreadable: The frame is damaged, or nothing decodes it.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(SECONDS, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps(str(path.resolve())).encode() + b"\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or b"{}")
            count = answer.get("bytes", 0)
            content = self._process.stdout.read(count)
        except (OSError, ValueError):
            answer, content, count = {}, b"", 0
        finally:
            timer.cancel()
        if "reason" in answer:
            raise Unreadable(Reason[answer["reason"]], answer["detail"])
        if not answer or len(content) != count:
            self.close()
            raise Unreadable(Reason.UNREADABLE_PIXELS, "the decoder crashed or took too long")
        return np.frombuffer(content, dtype=answer["dtype"]).reshape(answer["shape"])

    def close(self) -> None:
        """End the process; does nothing in a fork of the one that started it."""
        if self._owner != os.getpid():
            return
        atexit.unregister(self.close)
        self._process.kill()
        self._process.communicate()


_lock = threading.Lock()
_running: _Decoder | None = None


def _serve() -> None:
    """Answer until nobody asks any more."""
    from medssl.ingest.radiographs.gdcm_frames import stored_by_gdcm

    # What gdcm prints must not stand between the answers.
    with os.fdopen(os.dup(1), "wb") as out:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        for line in sys.stdin.buffer:
            content = b""
            try:
                stored = np.ascontiguousarray(stored_by_gdcm(Path(json.loads(line))))
                content = stored.tobytes()
                answer = {
                    "shape": stored.shape, "dtype": stored.dtype.str, "bytes": len(content),
                }  # fmt: skip
            except Unreadable as verdict:
                answer = {"reason": verdict.reason.name, "detail": verdict.detail}
            except Exception as error:
                # Decoders raise many kinds of exception on damaged frames.
                reason = Reason.UNREADABLE_PIXELS.name
                answer = {"reason": reason, "detail": type(error).__name__}
            out.write(json.dumps(answer).encode() + b"\n" + content)
            out.flush()


if __name__ == "__main__":
    _serve()
