import stat

import pytest

from medssl.errors import ConfigError
from medssl.initialise.secret import NAME, pseudonym_key


def test_the_key_is_made_once_and_is_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "a"))
    key = pseudonym_key()
    assert len(key) == 32
    assert pseudonym_key() == key
    assert stat.S_IMODE((tmp_path / "a" / NAME).stat().st_mode) == 0o600
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "b"))
    assert pseudonym_key() != key


def test_an_empty_key_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    (tmp_path / NAME).touch()
    with pytest.raises(ConfigError, match="is empty"):
        pseudonym_key()
