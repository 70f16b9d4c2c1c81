"""A scorer in the user's own Python file.

The file is read for what it defines when the bench is opened, and run only in the scoring process.
"""

from __future__ import annotations

import ast
import errno
import importlib.util
import inspect
import math
import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import msgspec

from workbench import files, paths
from workbench.datasets import Case
from workbench.errors import FileError, ScorerError
from workbench.scoring.permissions import Permissions, unite
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Scale, Score, Scorer, ScorerSpec

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_CAUSES = 20
_KEYS = {"score", "value", "explanation", "reason", "extracted"}


@register(
    "python",
    group="code",
    help="Whatever a function in your own Python file returns",
    notes=(
        "The function takes (answer), (answer, expected) or (answer, expected, variables), and returns a number, a"
        ' bool, a number with an explanation, or {"score": ..., "explanation": ..., "extracted": ...}. It runs'
        " in its own process, only after you trust the file and what it imports from your folders: in an empty folder,"
        " without your keys, and without network where the system allows that. Changing `network` or `environment`"
        " asks for trust again."
    ),
    example="python: {file: judge.py, function: score, timeout_seconds: 5}",
)
class PythonFunction(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(heavy=True)
    file: Annotated[str, option("The Python file, found like the dataset")]
    function: Annotated[str, option("Name of the function in it")] = "score"
    name: str = "python"
    scale: Annotated[Scale, option("`unit` is 0 to 1, `percent` 0 to 100, `free` any number")] = "unit"
    lower_is_better: Annotated[bool, option("A smaller value is better")] = False
    timeout_seconds: Annotated[
        float,
        option(
            "Time limit per answer; a function that exceeds it is stopped and the run continues",
            gt=0,
        ),
    ] = 10.0
    network: Annotated[bool, option("Allow network access, for example for a judge behind an API")] = False
    environment: Annotated[tuple[str, ...], option("Environment variables it may see, such as [MY_API_KEY]")] = ()

    def __post_init__(self) -> None:
        if unfit := [name for name in self.environment if not _VARIABLE.fullmatch(name)]:
            raise ScorerError(f"environment: expected names of variables, such as [MY_API_KEY]; found {unfit[0]!r}")

    @property
    def time_limit_seconds(self) -> float:
        return self.timeout_seconds

    @property
    def permissions(self) -> Permissions:
        return unite([Permissions(self.network, self.environment)])

    def build(self, folder: Path) -> Self:
        try:
            path = paths.find_input(self.file, folder).absolute()
            _check_source(path, files.read_text(path), self.function)
        except FileError as error:
            raise ScorerError(error.message, error.hint) from error
        return msgspec.structs.replace(self, file=str(path))

    def score(self, text: str, case: Case) -> Score:
        path = Path(self.file)
        try:
            function = _load_function(path, self.function)
            given = (text, case.expected, dict(case.variables))
            found = function(*given[: _count_arguments(function)])
            return self._read(found)
        except (Exception, SystemExit) as error:  # noqa: BLE001  a person's code may raise anything
            where = _find_line(error, path)
            explanation = f"{self.function} raised {type(error).__name__}: {error}{where}{self._hint(error)}"
            return Score(
                self.name, 0.0, "", explanation, applies=False, details=traceback.format_exc(), unscored="error"
            )

    def _hint(self, error: BaseException) -> str:
        """What to do where it failed for want of a network, whatever a library made of that."""
        if self.network or not any(_lacks_network(cause) for cause in _list_causes(error)):
            return ""
        return "\nIt has no network; `network: true` in its options allows that."

    def _read(self, found: Any) -> Score:
        """The score that a function's result means; one that does not apply, with the reason, where it means none."""
        value, explanation, extracted = _parse_result(found)
        if isinstance(value, bool):
            explanation = explanation or ("Passed." if value else "Failed.")
        elif not isinstance(value, (int, float)) or not math.isfinite(value):
            return self._refuse(f"{found!r}; expected a number")
        elif self.scale != "free" and not 0 <= value <= (1 if self.scale == "unit" else 100):
            return self._refuse(f"{value!r}; expected 0 to {1 if self.scale == 'unit' else 100}, or `scale: free`")
        return Score(self.name, float(value), extracted, explanation or f"{self.function} returned {value:g}.")

    def _refuse(self, found: str) -> Score:
        return Score(self.name, 0.0, "", f"{self.function} returned {found}.", applies=False, unscored="error")


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    """It, and what it was raised from."""
    for _ in range(_MOST_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _lacks_network(error: BaseException) -> bool:
    """Whether no other machine could be reached, or none be found by its name."""
    if isinstance(error, socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


def _parse_result(found: Any) -> tuple[Any, str, str]:
    """Value, explanation and what was extracted."""
    if hasattr(found, "item") and not isinstance(found, (dict, tuple, list)):
        found = found.item()  # a number of numpy's
    if isinstance(found, dict) and not set(found) - _KEYS:
        value = found.get("score", found.get("value"))
        return value, str(found.get("explanation", found.get("reason", ""))), str(found.get("extracted", ""))
    if isinstance(found, (tuple, list)) and len(found) == 2:
        return found[0], str(found[1]), ""
    return found, "", ""


@cache
def _load_function(path: Path, function: str) -> Callable[..., Any]:
    """The function, from the file run once. Raises whatever the file raises.

    Its neighbours are found by the scoring process alone (scoring/confinement.py).
    """
    spec = importlib.util.spec_from_file_location(f"scorer_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: Callable[..., Any] = getattr(module, function)
    return found


def _count_arguments(function: Callable[..., Any]) -> int:
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 3
    taken = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(kind in taken for kind in kinds)


def _find_line(error: BaseException, path: Path) -> str:
    """Where in the person's file it happened."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" ({path.name}, line {lines[-1]})" if lines else ""


def _check_source(path: Path, text: str, function: str) -> None:
    """Read the file without running it. Raises ScorerError when it is no Python or does not define the function."""
    try:
        tree = ast.parse(text, str(path))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ScorerError(f"{path}{line}: {getattr(error, 'msg', error)}") from error
    names, certain = _find_names(tree)
    if certain and function not in names:
        defined = ", ".join(names) or "nothing"
        raise ScorerError(f"{path} defines no `{function}`; it defines {defined}. Name it in the option `function`")


def _find_names(tree: ast.Module) -> tuple[list[str], bool]:
    """The names a file defines at its top, and whether there can be no others."""
    names: list[str] = []
    certain = True
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.Assign(targets=targets):
                names.extend(target.id for target in targets if isinstance(target, ast.Name))
            case ast.ImportFrom(names=aliases) | ast.Import(names=aliases):
                names.extend(alias.asname or alias.name for alias in aliases)
                certain = certain and all(alias.name != "*" for alias in aliases)
            case ast.Expr():
                pass
            case _:
                certain = False
    return names, certain
