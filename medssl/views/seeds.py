"""Seeds derived from names and numbers, so that every random draw has its own stream."""

from __future__ import annotations

import hashlib
import operator


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from any sequence of numbers and words.

    The digest is BLAKE2b over the parts with their types and lengths, so that `("a", "bc")` and
    `("ab", "c")`, or `1` and `"1"`, give different seeds. It does not depend on the process, the
    platform or `PYTHONHASHSEED`.

    Args:
        parts: What the draw belongs to, such as the run's seed, the epoch, the step, the view.

    Returns:
        An integer in [0, 2⁶³), usable for `torch.Generator.manual_seed` and NumPy alike.

    >>> derive_seed(0, "cutout")
    3588174862504217979
    >>> derive_seed("a", "bc") == derive_seed("ab", "c")
    False
    """
    state = hashlib.blake2b(digest_size=8)
    for part in parts:
        kind, text = ("s", part) if isinstance(part, str) else ("i", str(operator.index(part)))
        encoded = text.encode()
        state.update(f"{kind}{len(encoded)}:".encode() + encoded)
    return int.from_bytes(state.digest(), "little") >> 1
