"""Commands that install packages into this environment. Imports the standard library alone: others may be missing."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

_ROOT = Path(__file__).parents[1]
"""The checkout; the folder of the environment's packages where there is none."""


def pip_install(*words: str) -> str:
    """The command that installs packages here; `uv tool install` makes an environment without pip."""
    python = shlex.quote(sys.executable)
    if find_spec("pip"):
        start = f"{python} -m pip install"
    elif shutil.which("uv"):
        start = f"uv pip install --python {python}"
    else:
        start = f"{python} -m ensurepip && {python} -m pip install"
    return " ".join((start, *words))


def install_own() -> str:
    """The command that installs the workbench anew, with what it requires and is missing."""
    return pip_install(_name_source())


def install_extra(*extras: str) -> str:
    """The command that installs what an extra of the workbench brings, such as `ray`."""
    return pip_install(_name_source(f"[{','.join(extras)}]"))


def restore_own() -> str:
    """The command that brings back the workbench's own files, in an environment that is no checkout."""
    return pip_install("--force-reinstall", "--no-deps", _name_source())


def mend_import(package: str) -> str:
    """The command for a package that cannot be imported: one that is there is installed anew. package: as imported."""
    if package in sys.stdlib_module_names:  # this Python was built without it, and pip cannot bring it
        return f"make -C {shlex.quote(str(_ROOT))} clean run PYTHON=python3.12"
    found = packages_distributions().get(package)
    return pip_install("--force-reinstall", "--no-deps", found[0]) if found else install_own()


def _name_source(extras: str = "") -> str:
    """Where the workbench came from, as pip takes it: the checkout, or the wheel. Never its name alone, which is
    another project's on PyPI."""
    if (_ROOT / "pyproject.toml").exists():
        return f"--editable {shlex.quote(f'{_ROOT}{extras}')}"
    return shlex.quote(f"{_find_wheel()}{extras}")


def _find_wheel() -> str:
    """The wheel that was installed, as pip, uv and pipx note it (PEP 610); its usual name where that is not known."""
    try:
        own = distribution("workbench")
        address = json.loads(own.read_text("direct_url.json") or "{}").get("url", "")
    except (PackageNotFoundError, ValueError, AttributeError):
        return "workbench-*.whl"
    path = unquote(urlsplit(address).path) if address.startswith("file://") else ""
    return path or address or f"workbench-{own.version}-py3-none-any.whl"
