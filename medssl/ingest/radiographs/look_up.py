"""Tables of a DICOM header (PS3.3 C.11.1.1 and C.11.2.1.1), in all the ways they are written."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.dicom_file import numbers_of
from medssl.ingest.radiographs.display import LookUp


def read_look_up(item: Any, *, lowest: float) -> LookUp:
    """One item of a Modality or VOI LUT sequence.

    Args:
        item: The item.
        lowest: Smallest input; where it is negative, a first input that was written without its
            sign is read with it.

    Raises:
        Unreadable: UNREADABLE_HEADER: the descriptor or the data are damaged.
    """
    described = numbers_of(item, "LUTDescriptor")
    if len(described) != 3 or not all(number == int(number) for number in described):
        raise Unreadable(Reason.UNREADABLE_HEADER, "a LUT descriptor of other than 3 integers")
    entries, first, bits = (int(number) for number in described)
    entries = entries % 65536 or 65536  # 0 stands for 65536, which takes 17 bits
    if lowest < 0 and 32768 <= first < 65536:
        first -= 65536
    if not 8 <= bits <= 16:
        raise Unreadable(Reason.UNREADABLE_HEADER, f"a LUT of {bits} bits")
    data = _data(item, entries)
    if len(data) < entries:
        said = f"a LUT of {entries} entries with {len(data)}"
        raise Unreadable(Reason.UNREADABLE_HEADER, said)
    return LookUp(data=data[:entries], first=first, bits=bits)


def _data(item: Any, entries: int) -> Float64[np.ndarray, " entries"]:
    """The entries: words, bytes of words, or two bytes a word in tables of 8 bits."""
    try:
        value = item.get("LUTData")
        if not isinstance(value, bytes):
            words = np.atleast_1d(np.asarray(0 if value is None else value, dtype=np.int64))
            value = (words & 0xFFFF).astype("<u2").tobytes()
        elif item.is_little_endian is False:
            value = np.frombuffer(value, dtype=">u2").astype("<u2").tobytes()
    except Exception as error:
        said = f"LUTData: {type(error).__name__}"
        raise Unreadable(Reason.UNREADABLE_HEADER, said) from error
    packed = len(value) < 2 * entries
    usable = value if packed else value[: 2 * entries]
    return np.frombuffer(usable, dtype=np.uint8 if packed else "<u2").astype(np.float64)
