"""The exceptions of medssl: what is wrong, where, and what to do about it, in one line."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from types import ModuleType


class MedsslError(Exception):
    """Something the user can put right.

    The command line prints the message alone and exits with code 2. Every other exception is a
    bug in medssl and keeps its traceback.
    """


class ConfigError(MedsslError):
    """A configuration file or override cannot be used."""


class IngestError(MedsslError):
    """Raw files cannot be turned into records as configured."""


class StoreError(MedsslError):
    """A store is damaged, busy, from a newer version, or not a store."""


class ContractError(MedsslError):
    """An array breaks what an encoder expects of its input."""


class StageError(MedsslError):
    """A stage cannot run, or its outputs cannot be used."""


class ObjectiveError(MedsslError):
    """An objective got a batch that it is not defined for, or gave a value that is not finite."""


class MissingExtraError(MedsslError):
    """An optional package is needed and not installed."""


class LeakageError(MedsslError):
    """The same participant stands on both sides of a boundary that must separate participants."""

    def __init__(self, participants: Collection[str], boundary: str) -> None:
        """Name the participants (pseudonyms) that stand on both sides.

        Args:
            participants: Pseudonyms of the participants found on both sides.
            boundary: What should have kept them apart, such as `"train and test"`.
        """
        self.participants = sorted(participants)
        self.boundary = boundary
        shown = ", ".join(self.participants[:5])
        more = len(self.participants) - 5
        if more > 0:
            shown += f" and {more} more"
        msg = (
            f"{len(self.participants)} participant(s) on both sides of {boundary}: {shown}. "
            "Give each participant to one side only."
        )
        super().__init__(msg)


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package, or say which extra installs it.

    Args:
        module: Name of the module to import.
        extra: The medssl extra that installs it.
        purpose: What it is needed for, such as `"reading .xlsx label tables"`.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        msg = f"{purpose} needs {module}: pip install 'medssl[{extra}]'"
        raise MissingExtraError(msg) from error
