"""How every child process is started: this package, nothing importable from where the user stands, a folder of its own.

A child runs with `-P` in an empty private folder, so that neither a file of the user's working folder nor one beside a
script can stand in for a module.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from workbench import paths

_START = (
    "import sys; root, module = sys.argv[1:3]; sys.argv[:3] = [module]; sys.path.append(root);"
    " from importlib import import_module; sys.exit(import_module(module).main())"
)

_PATHS = frozenset(
    {"HF_DATASETS_CACHE", "HF_HOME", "HF_HUB_CACHE", "HOME", "HUGGINGFACE_HUB_CACHE", "OLLAMA_MODELS", "TMPDIR"}
    | {"TORCH_HOME", "TRANSFORMERS_CACHE", "VIRTUAL_ENV", "WORKBENCH_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"}
    | {"XDG_DATA_HOME", "XDG_RUNTIME_DIR"}
)
"""Variables that hold one path; a relative one means another place in a child, which stands elsewhere."""

_PATH_LISTS = frozenset({"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH"})

LOW_PRIORITY = "--low-priority"
"""argument of a child that is to call `lower_priority`"""

_ALLOWED = _PATHS | _PATH_LISTS | {"PATH", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "NLTK_DATA", "SSL_CERT_FILE"}
_ALLOWED |= {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOMP_SPINCOUNT", "PYTHONHASHSEED"}
_ALLOWED |= {"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "APPDATA"}
_ALLOWED |= {"LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE"}


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs `main()` of a module of this package. arguments: what it finds in sys.argv[1:].

    -P: sys.path gets neither the working folder nor a script's. The package's own folder goes last, because beside an
    installed package lie others that may carry the names of standard modules.
    """
    options = ["-P", "-X", "utf8", "-X", "faulthandler"]
    return [sys.executable, *options, "-c", _START, str(Path(__file__).parents[3]), module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """This process's environment for a child in another folder: relative paths are made absolute, and the folder in
    which the user stands is passed on (`paths.working_folder`)."""
    return _adapt(dict(os.environ), more)


def minimal_environment(allowed: Collection[str] = (), **more: str) -> dict[str, str]:
    """The variables that a foreign function may see: where things are, and the language; no key and no token.

    allowed: names of further ones that a user lets it see.
    """
    own = {name: value for name, value in os.environ.items() if _is_harmless(name) or name in allowed}
    return _adapt(own, more)


def _is_harmless(name: str) -> bool:
    return name.upper() in _ALLOWED or name.startswith("LC_")


def _adapt(own: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    here = paths.working_folder().resolve()
    for name in _PATHS & own.keys():
        own[name] = _make_absolute(own[name])
    for name in _PATH_LISTS & own.keys():
        # an empty part means the working folder, which is in many a PYTHONPATH by mistake: it stays outside
        parts = (_make_absolute(part) for part in own[name].split(os.pathsep) if part)
        own[name] = os.pathsep.join(part for part in parts if Path(part).resolve() != here)
    own[paths.WORKING_FOLDER] = str(paths.working_folder())
    # for what a child starts by itself, such as the workers of a data loader
    return {**own, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "TERM": "dumb", **more}


def _make_absolute(path: str) -> str:
    return path if not path or path.startswith("~") else str(Path(path).absolute())


def make_scratch() -> Path:
    """A new empty folder that only this user can enter, for a child to stand in; `remove_scratch` ends it.

    Folders of processes that were killed are removed on the way. Raises OSError where there can be none.
    """
    base = paths.cache_folder() / "scratch"
    sweep_scratch(base)
    folder = base / f"{os.getpid()}-{secrets.token_hex(6)}"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError:  # a home that cannot be written
        return Path(tempfile.mkdtemp(prefix=f"workbench-{os.getpid()}-"))
    return folder


def remove_scratch(folder: Path) -> None:
    """Remove a folder of `make_scratch` with all that is in it, as far as that can be removed."""
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder of `make_scratch` for a while."""
    folder = make_scratch()
    try:
        yield folder
    finally:
        remove_scratch(folder)


def sweep_scratch(base: Path | None = None) -> None:
    """Remove the folders whose process is gone."""
    base = base or paths.cache_folder() / "scratch"
    with contextlib.suppress(OSError):
        for entry in base.iterdir():
            pid = entry.name.partition("-")[0]
            if pid.isdecimal() and int(pid) != os.getpid() and not _is_alive(int(pid)):
                remove_scratch(entry)


def _is_alive(pid: int) -> bool:
    import psutil  # only where something was left behind, and slow to import

    alive: bool = psutil.pid_exists(pid)
    return alive


def lower_priority(steps: int) -> bool:
    """Have the system prefer other programs to this process and what it starts; whether it can. steps: 1 to 19."""
    try:
        if sys.platform == "win32":
            import psutil

            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            os.nice(steps)
    except OSError:
        return False
    return True


def limit_resources(**limits: int) -> tuple[str, ...]:
    """Lower limits of this process by their names in `resource`, such as RLIMIT_CORE=0; those that could not be set."""
    try:
        import resource
    except ImportError:  # Windows
        return tuple(limits)
    return tuple(name for name, value in limits.items() if not _limit(resource, name, value))


def _limit(resource: object, name: str, value: int) -> bool:
    number = getattr(resource, name, None)
    get: Callable[[int], tuple[int, int]] = resource.getrlimit  # type: ignore[attr-defined]
    put: Callable[[int, tuple[int, int]], None] = resource.setrlimit  # type: ignore[attr-defined]
    if number is None:
        return False
    try:
        hard = get(number)[1]
        wanted = value if hard < 0 else min(value, hard)  # below 0: no limit
        put(number, (wanted, wanted))
    except (OSError, ValueError):
        return False
    return True
