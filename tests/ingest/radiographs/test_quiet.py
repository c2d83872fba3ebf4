"""Nothing on the terminal inside the blocks, everything after them."""

import logging
import os
import warnings

import pytest

from medssl.ingest.radiographs.quiet import quiet, without_stderr


def test_quiet_ends_with_its_block(caplog):
    logger = logging.getLogger("pydicom")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("inside", stacklevel=1)
            logger.warning("inside")
        warnings.warn("after", stacklevel=1)
        logger.warning("after")
    assert [str(one.message) for one in warned] == ["after"]
    assert caplog.messages == ["after"]


def test_compiled_code_is_quiet_until_the_end_or_an_error(capfd):
    def talk() -> None:
        with without_stderr():
            os.write(2, b"inside")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        talk()
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
