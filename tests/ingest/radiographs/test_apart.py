"""gdcm in a process apart: what it finds, and what is left when it dies or hangs."""

import os
import signal

import numpy as np
import pytest
from pydicom import dcmread

from medssl.ingest.ledger import Unreadable
from medssl.ingest.radiographs import apart


@pytest.fixture
def lossless(from_pydicom):
    return from_pydicom("MR_small_jpeg_ls_lossless.dcm")


def test_stored_values(lossless, from_pydicom):
    expected = dcmread(from_pydicom("MR_small.dcm")).pixel_array
    np.testing.assert_array_equal(apart.decode_apart(lossless), expected)


def test_one_process_serves_many_files_and_is_replaced_when_it_dies(lossless):
    first = apart.decode_apart(lossless)
    process = apart._running._process
    apart.decode_apart(lossless)
    assert apart._running._process is process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    np.testing.assert_array_equal(apart.decode_apart(lossless), first)
    assert apart._running._process is not process


def test_a_frame_that_gdcm_dies_of_is_unreadable(from_pydicom, tmp_path, read, verdict, capfd):
    original = from_pydicom("JPGExtended.dcm")
    content = original.read_bytes()
    # One byte more before a table: gdcm's own exception then ends the process.
    place = content.index(b"\xff\xc4", content.index(b"\xff\xd8"))
    damaged = tmp_path / "a.dcm"
    said = set()
    for extra in (b"\0", b"\xff\xc4\0", b"\x37\xff\xc4"):
        damaged.write_bytes(content[:place] + extra + content[place:])
        try:
            read(damaged)
        except Unreadable as refused:
            said.add((refused.reason.value, refused.detail))
    assert said
    assert {reason for reason, _ in said} == {"unreadable_pixels"}
    assert read(original).pixels.shape == (1024, 256)
    assert capfd.readouterr() == ("", "")


def test_a_decoder_that_hangs_is_ended(lossless, monkeypatch):
    apart.decode_apart(lossless)
    os.kill(apart._running._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(apart, "SECONDS", 0.2)
    with pytest.raises(Unreadable, match="crashed or took too long"):
        apart.decode_apart(lossless)
    monkeypatch.setattr(apart, "SECONDS", 60)
    assert apart.decode_apart(lossless).shape == (64, 64)


def test_a_fork_has_a_process_of_its_own(lossless):
    apart.decode_apart(lossless)
    decoder = apart._running
    assert decoder.usable
    decoder._owner += 1  # as seen from a process that was forked from this one
    assert not decoder.usable
    decoder.close()
    assert decoder._process.poll() is None
    decoder._owner -= 1
    decoder.close()
    assert decoder._process.poll() is not None
