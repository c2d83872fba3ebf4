"""Which rows of a matrix without names the configured channels are."""

from __future__ import annotations

from collections.abc import Sequence

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources.waveform import ChannelConfig


def rows_of(channels: Sequence[ChannelConfig], *, count: int, length: int) -> list[int]:
    """Rows by number from 0, where all channels are numbers; else all rows in order.

    Args:
        channels: The configured channels.
        count: Channels in the file.
        length: Samples in each.

    Raises:
        Unreadable: `missing_channel`: the file has another number of channels than configured.

    >>> rows_of([ChannelConfig(source="2"), ChannelConfig(source="0")], count=3, length=9)
    [2, 0]
    """
    names = [channel.source for channel in channels]
    if all(name.isdecimal() for name in names):
        rows = [int(name) for name in names]
        if max(rows) >= count:
            detail = f"channel {max(rows)} configured, {count} in the file"
            raise Unreadable(Reason.MISSING_CHANNEL, detail)
        return rows
    if count != len(names):
        detail = (
            f"{count} channels of {length} samples in the file, {len(names)} configured: name "
            "all, number some from 0, or correct layout"
        )
        raise Unreadable(Reason.MISSING_CHANNEL, detail)
    return list(range(count))
