"""Which signal of a file a configured channel is: by its declared names, never by a guess."""

from __future__ import annotations

from collections.abc import Sequence

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources.waveform import ChannelConfig


def pick(names: Sequence[str], channel: ChannelConfig) -> int:
    """Where the first accepted name of a channel that a file has stands in the file.

    Args:
        names: Names of the file's signals, in order.
        channel: The channel; its accepted names are tried in the configured order.

    Raises:
        Unreadable: `missing_channel`: the file has none of the names, or has one of them twice.

    >>> pick(["V1", "II"], ChannelConfig(source=["MLII", "II"], name="lead"))
    1
    """
    for name in channel.names:
        count = names.count(name)
        if count > 1:
            detail = f"{count} of {len(names)} are called {name!r}"
            raise Unreadable(Reason.MISSING_CHANNEL, detail)
        if count == 1:
            return names.index(name)
    detail = f"none of {len(names)} is called {' or '.join(map(repr, channel.names))}"
    raise Unreadable(Reason.MISSING_CHANNEL, detail)
