from __future__ import annotations

import sys
from types import ModuleType

import pytest

from workbench.errors import EngineError
from workbench.inference.remote.keys import find_key


class LockedKeyring(Exception):
    pass


@pytest.fixture
def keyring(monkeypatch):
    """A keyring library with one key, as far as it is used; what it is asked."""
    asked: list[tuple[str, str]] = []
    library, errors = ModuleType("keyring"), ModuleType("keyring.errors")

    def get_password(service: str, name: str) -> str | None:
        asked.append((service, name))
        if name == "LOCKED":
            raise LockedKeyring
        return "from-the-keyring" if name == "MY_KEY" else None

    library.get_password = get_password
    library.errors = errors
    errors.KeyringError = LockedKeyring
    monkeypatch.setitem(sys.modules, "keyring", library)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return asked


def test_the_environment_comes_first(keyring, monkeypatch):
    monkeypatch.setenv("MY_KEY", " from-the-environment\n")
    assert find_key("MY_KEY") == "from-the-environment"
    assert keyring == []


def test_the_keyring_has_what_the_environment_lacks(keyring):
    assert find_key("MY_KEY") == "from-the-keyring"
    assert keyring == [("workbench", "MY_KEY")]
    assert find_key("OTHER_KEY") == ""


def test_a_locked_keyring_and_one_that_is_not_installed_have_no_key(keyring, monkeypatch):
    assert find_key("LOCKED") == ""
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert find_key("MY_KEY") == ""


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(monkeypatch):
    monkeypatch.setenv("MY_KEY", "gehe\u00efm")
    with pytest.raises(EngineError, match="The key in MY_KEY has characters") as caught:
        find_key("MY_KEY")
    assert "gehe" not in str(caught.value)
