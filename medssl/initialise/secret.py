"""The key behind a user's pseudonyms: made once, kept where only the user reads it."""

from __future__ import annotations

import os
import secrets

from medssl.errors import ConfigError
from medssl.tracking import home

NAME = "pseudonym.key"


def pseudonym_key() -> str:
    """The user's key in `$MEDSSL_HOME`, made on first use; equal for all pipelines of one user.

    Raises:
        ConfigError: The file is there and empty.
    """
    path = home() / NAME
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(16) + "\n")
    key = path.read_text(encoding="utf-8").strip()
    if not key:
        msg = f"{path} is empty: write the key into it that your pipeline files hold, or delete it"
        raise ConfigError(msg)
    return key
