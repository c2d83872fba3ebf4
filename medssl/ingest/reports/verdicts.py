"""What is wrong with a text, as a verdict on its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.text.errors import TextError

_REASONS: Final = {reason.value: reason for reason in Reason}


@contextmanager
def reasoned() -> Iterator[None]:
    """Turn the errors of parsers into verdicts.

    Raises:
        Unreadable: With the text's own code.
    """
    try:
        yield
    except TextError as error:
        raise Unreadable(_REASONS[error.code], error.detail) from error
