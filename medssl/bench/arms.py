"""An arm of a benchmark: one way to pretrain, as what differs from a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medssl.config import nearest
from medssl.errors import StageError


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to pretrain.

    Args:
        name: As shown.
        group: Under which heading.
        pretrain: What differs from the leg's pipeline, in its `pretrain` section.
    """

    name: str
    group: str
    pretrain: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name as part of a file's name.

        >>> Arm(name="no KoLeo", group="").slug
        'no_koleo'
        """
        return slug(self.name.lower())


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return "".join(c if c.isalnum() else "_" for c in name)


def pick_arms(
    arms: Sequence[Arm], names: Sequence[str] | None, *, always: Sequence[str] = ()
) -> list[Arm]:
    """The named arms and those that are always there, in their order; all without names.

    Raises:
        StageError: There is no such arm.
    """
    known = {arm.name: arm for arm in arms}
    for name in names or ():
        if name not in known:
            msg = f"there is no arm {name!r}{nearest(name, list(known))}"
            raise StageError(msg)
    return [arm for arm in known.values() if names is None or arm.name in (*always, *names)]
