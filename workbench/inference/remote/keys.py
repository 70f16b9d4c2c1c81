"""Keys of servers: from the environment, else from the system's keyring where the optional library is installed."""

from __future__ import annotations

import os

from workbench.errors import EngineError

SERVICE = "workbench"
"""Under which the keyring has them: `keyring set workbench VARIABLE`."""


def find_key(variable: str) -> str:
    """The key that a variable names; empty where there is none. Raises EngineError for one that cannot be sent."""
    key = (os.environ.get(variable) or _read_keyring(variable)).strip()
    if not (key.isascii() and key.isprintable()):
        raise EngineError(
            f"The key in {variable} has characters that no HTTP header can carry.",
            "Set it again, without quotes or line ends.",
        )
    return key


def _read_keyring(variable: str) -> str:
    """What the system's keyring has; empty where there is no keyring, or it is locked."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return keyring.get_password(SERVICE, variable) or ""
    except (KeyringError, OSError, RuntimeError):
        return ""
