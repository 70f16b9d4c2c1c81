"""promptfoo's tests as cases, by the rules of its code (0.120: src/util/testCaseReader.ts, src/evaluator.ts)."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from workbench.errors import FileError, WorkbenchError
from workbench.interop.bounded_files import BoundedFiles, is_pattern
from workbench.interop.loss import LossList
from workbench.interop.nunjucks import UntranslatableError, plain_number, render_nunjucks, resolve_variables
from workbench.interop.parts import ImportedCase
from workbench.interop.promptfoo_checks import make_case_checks
from workbench.interop.promptfoo_csv_assertion import read_csv_assertion
from workbench.interop.promptfoo_makers import AssertionContext
from workbench.interop.promptfoo_prompts import PREFIX, SUFFIX
from workbench.interop.yaml_text import parse_text

NOUN = "tests"
MOST_CASES = 100_000
_SCRIPT = re.compile(r"\.([cm]?[jt]s|py)(:|$)")
_MEDIA = re.compile(
    r"\.(png|jpe?g|gif|webp|bmp|svg|tiff?|ico|avif|heic|mp4|webm|mov|avi|mkv|mp3|wav|ogg|m4a|flac|pdf)$", re.I
)
Test = dict[str, Any]


def list_tests(written: Any, files: BoundedFiles, losses: LossList) -> list[Test]:
    """The tests that the key `tests` names, in promptfoo's order."""
    listed = written if isinstance(written, list) else [] if written is None else [written]
    found: list[Test] = []
    for at, one in enumerate(listed, 1):
        where = f"tests[{at}]"
        try:
            found += _read_one(one, files, losses, where, isinstance(written, list))
        except WorkbenchError as error:
            losses.lose("test files", error.message, where)
    return found


def _read_one(one: Any, files: BoundedFiles, losses: LossList, where: str, in_list: bool) -> list[Test]:
    if isinstance(one, Mapping) and isinstance(one.get("path"), str):
        one = one["path"]
    if isinstance(one, Mapping):
        return [{**one, "vars": _read_vars(one.get("vars"), files), "where": where}]
    if not isinstance(one, str):
        raise FileError(f"{where}: expected a test or the name of a file, found {type(one).__name__}.")
    name = one.removeprefix("file://")
    if "://" in name:
        raise FileError(f"{where}: tests from {name.split(':')[0]} are not fetched.", "Save them as a file.")
    if _SCRIPT.search(name):
        raise FileError(f"{where}: the tests are made by a script, which is not run.", "Save them as a file.")
    names = files.glob(name) if is_pattern(name) else [name]
    if not names:
        raise FileError(f"{where}: no file fits `{name}` in {files.folder}.")
    return [test for each in names for test in _read_file(each, files, in_list)]


def _read_file(name: str, files: BoundedFiles, in_list: bool) -> list[Test]:
    if name.endswith(".csv"):
        return [{**test, "where": f"{name}, row {at}"} for at, test in enumerate(read_csv_tests(files.read(name)), 1)]
    if name.endswith(".jsonl"):
        lines = [line for line in files.read(name).split("\n") if line.strip()]
        listed: Any = [parse_text(line, f"{name}:{at}") for at, line in enumerate(lines, 1)]
    elif name.endswith((".json", ".yaml", ".yml")):
        listed = parse_text(files.read(name), name)
        listed = listed if isinstance(listed, list) else [listed]
        if not in_list and not name.endswith(".json") and not any(_is_test(one) for one in listed):
            return [{**read_row(one), "where": f"{name}, row {at}"} for at, one in enumerate(listed, 1)]
    else:
        raise FileError(f"{name}: tests of this kind are not read; save them as CSV.")
    wrong = [at for at, one in enumerate(listed, 1) if not isinstance(one, Mapping)]
    if wrong:
        raise FileError(f"{name}: test {wrong[0]} is not a mapping.")
    return [
        {**one, "vars": _read_vars(one.get("vars"), files), "where": f"{name}, test {at}"}
        for at, one in enumerate(listed, 1)
    ]


def _is_test(one: Any) -> bool:
    return isinstance(one, Mapping) and isinstance(one.get("vars"), Mapping)


def _read_vars(written: Any, files: BoundedFiles) -> dict[str, Any]:
    """Variables in place, or of the YAML files that are named."""
    if isinstance(written, Mapping):
        return {str(key): value for key, value in written.items()}
    names = [written] if isinstance(written, str) else written if isinstance(written, list) else []
    found: dict[str, Any] = {}
    for name in names:
        for one in files.glob(str(name)) if is_pattern(str(name)) else [str(name)]:
            data = parse_text(files.read(one), one)
            if not isinstance(data, Mapping):
                raise FileError(f"{one}: expected variables, found {type(data).__name__}.")
            found |= {str(key): value for key, value in data.items()}
    return found


# --- CSV ------------------------------------------------------------------------------------------------------------


def read_csv_tests(text: str) -> list[Test]:
    """The tests of a CSV file."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    return [read_row({key: value or "" for key, value in row.items() if key is not None}) for row in reader]


def read_row(row: Mapping[str, Any]) -> Test:
    """The test that a row describes: columns that begin with two underscores mean something, the others are variables.

    Raises FileError for a `__config:` column that promptfoo refuses.
    """
    variables: dict[str, Any] = {}
    asserts: list[dict[str, Any]] = []
    options: dict[str, Any] = {}
    configs: dict[int, dict[str, Any]] = {}
    found: Test = {}
    for key, value in ((str(key).strip(), value) for key, value in row.items()):
        text = value if isinstance(value, str) else json.dumps(value)
        if key.startswith("__expected"):
            if text.strip():
                asserts.append(read_csv_assertion(text.strip()))
        elif key in ("__prefix", "__suffix"):
            options[key[2:]] = text
        elif key in ("__description", "__providerOutput", "__metric"):
            found[key[2:]] = text
        elif key == "__threshold":
            found["threshold"] = _read_float(text)
        elif key.startswith("__config:"):
            at, limit = _read_config(key, text)
            configs.setdefault(at, {})["threshold"] = limit
        elif not key.startswith("__metadata"):
            variables[key] = value
    for at, one in enumerate(asserts):
        one |= configs.get(at, {})
        if found.get("metric"):
            one["metric"] = found["metric"]
    found.pop("metric", None)
    return {
        **{key: value for key, value in found.items() if value},
        "vars": variables,
        "assert": asserts,
        "options": options,
    }


def _read_config(key: str, text: str) -> tuple[int, float]:
    match = re.fullmatch(r"__config:__expected(\d*):threshold", key)
    limit = _read_float(text)
    if match is None or limit is None:
        raise FileError(
            f"The column {key} is wrong: expected `__config:__expected<N>:threshold` with numbers, found {text!r}."
        )
    return (int(match[1]) - 1 if match[1] else 0), limit


def _read_float(text: str) -> float | None:
    match = re.match(r"\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", text)
    value = float(match[0]) if match else None
    return value if value is not None and math.isfinite(value) else None


# --- scenarios, defaults, products ----------------------------------------------------------------------------------


def expand_scenarios(scenarios: Any, files: BoundedFiles, losses: LossList) -> list[Test]:
    """Each set of variables of a scenario with each of its tests."""
    found: list[Test] = []
    for at, scenario in enumerate(scenarios if isinstance(scenarios, list) else [], 1):
        if not isinstance(scenario, Mapping):
            losses.lose("scenarios", "a scenario from a file", f"scenarios[{at}]")
            continue
        config = scenario.get("config")
        datas = [one for one in (config if isinstance(config, list) else [config]) if isinstance(one, Mapping)]
        tests = list_tests(scenario.get("tests"), files, losses) if scenario.get("tests") else [{"vars": {}}]
        for data, test in product(datas, tests):
            own = _read_vars(data.get("vars"), files)
            asserts = [*(data.get("assert") or []), *(test.get("assert") or [])]
            merged = {**data, **test, "vars": {**own, **test["vars"]}, "assert": asserts}
            found.append({**merged, "where": f"scenarios[{at}]"})
    return found


def with_defaults(test: Test, default: Mapping[str, Any]) -> Test:
    """The test with what `defaultTest` says for all."""
    return {
        **test,
        "vars": {**(default.get("vars") or {}), **test["vars"]},
        "assert": [*(default.get("assert") or []), *(test.get("assert") or [])],
        "options": _join_options(default.get("options") or {}, test.get("options") or {}),
        "threshold": test.get("threshold", default.get("threshold")),
        "provider": test.get("provider") or default.get("provider"),
        "assertScoringFunction": test.get("assertScoringFunction") or default.get("assertScoringFunction"),
    }


def _join_options(default: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """An empty text around the prompt does not replace the default's."""
    kept = {key: default[key] for key in ("prefix", "suffix") if default.get(key) and not own.get(key)}
    return {**default, **own, **kept}


def count_cases(tests: Sequence[Test], files: BoundedFiles) -> int:
    """How many cases the tests make, with each list of variables multiplied out."""
    return sum(math.prod(len(values) for values in _list_values(test, files).values()) for test in tests)


def _list_values(test: Test, files: BoundedFiles) -> dict[str, list[Any]]:
    variables = test["vars"]
    if (test.get("options") or {}).get("disableVarExpansion"):
        return {name: [value] for name, value in variables.items()}
    return {name: _list_one(value, files) for name, value in variables.items()}


def _list_one(value: Any, files: BoundedFiles) -> list[Any]:
    if isinstance(value, str) and value.startswith("file://") and is_pattern(value[7:]):
        return [f"file://{name}" for name in files.glob(value)]
    if isinstance(value, list) and (not value or isinstance(value[0], str)):
        return value
    return [value]


class CaseMaker:
    """Turns tests into cases. rendered: whether some prompt is a text, whose variables promptfoo renders once more."""

    def __init__(
        self, files: BoundedFiles, environment: Mapping[str, Any], losses: LossList, judge: str, rendered: bool
    ) -> None:
        self._files, self._environment, self._losses = files, environment, losses
        self._judge, self._rendered = judge, rendered

    def make(self, test: Test, wrapped: bool) -> Iterator[ImportedCase]:
        """The cases of a test: one for each combination of its lists. What is lost is noted once a test."""
        where = str(test.get("where", ""))
        self._note_losses(test, where)
        assertions = self._keep_assertions(test, where)
        lists = _list_values(test, self._files)
        for values in product(*lists.values()):
            try:
                variables = self._fill(dict(zip(lists, values, strict=True)))
            except (UntranslatableError, WorkbenchError) as error:
                self._losses.lose(NOUN, error.message if isinstance(error, WorkbenchError) else str(error), where)
                continue
            context = AssertionContext(self._files, variables, self._environment, self._losses, self._judge, where)
            checks = make_case_checks(assertions, context)
            shown = self._render(variables, where)
            if wrapped:
                options = test.get("options") or {}
                for name, key in ((PREFIX, "prefix"), (SUFFIX, "suffix")):
                    shown[name] = render_nunjucks(str(options.get(key) or ""), shown, self._environment)
            threshold = test.get("threshold")
            yield ImportedCase(
                {name: plain_number(value) for name, value in shown.items()},
                _find_expected(checks),
                checks,
                float(threshold) if isinstance(threshold, (int, float)) and threshold else None,
                str(test.get("description") or ""),
            )

    def _note_losses(self, test: Test, where: str) -> None:
        options = test.get("options") or {}
        lost = {
            "a provider of its own": test.get("provider"),
            "a stored answer": test.get("providerOutput"),
            "transformVars in JavaScript or Python": options.get("transformVars"),
            "storeOutputAs": options.get("storeOutputAs"),
            "a rubricPrompt of its own": options.get("rubricPrompt"),
        }
        for reason, held in lost.items():
            if held:
                self._losses.lose("settings of tests", reason, where)

    def _keep_assertions(self, test: Test, where: str) -> list[Any]:
        """The assertions, none where the test changes what they see or how they count."""
        options = test.get("options") or {}
        written = test.get("assert")
        assertions = written if isinstance(written, list) else []
        reason = ""
        if options.get("transform") or options.get("postprocess"):
            reason = "a transform in JavaScript or Python"
        elif test.get("assertScoringFunction"):
            reason = "a scoring function in JavaScript or Python"
        if not reason:
            return assertions
        for _ in assertions:
            self._losses.count("assertions")
            self._losses.lose("assertions", reason, where)
        return []

    def _fill(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Files are read, one line break at the end is left out, and variables that name others are filled in."""
        loaded = {name: self._load(value) for name, value in variables.items()}
        bare = {name: re.sub(r"\n\Z", "", one) if isinstance(one, str) else one for name, one in loaded.items()}
        return resolve_variables(bare)

    def _load(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.startswith("package:"):
            raise UntranslatableError("a variable from a package")
        if not value.startswith("file://"):
            return value
        if _SCRIPT.search(value):
            raise UntranslatableError("a variable from a script")
        if _MEDIA.search(value):
            raise UntranslatableError("a variable that is a picture, a recording or a PDF")
        text = self._files.read(value)
        if value.endswith((".yaml", ".yml")):
            return json.dumps(parse_text(text, value), ensure_ascii=False, separators=(",", ":"))
        return text.strip()

    def _render(self, variables: Mapping[str, Any], where: str) -> dict[str, Any]:
        if not self._rendered:
            return dict(variables)
        found = {}
        for name, value in variables.items():
            try:
                found[name] = render_nunjucks(value, variables, self._environment) if isinstance(value, str) else value
            except UntranslatableError as error:
                self._losses.change("variables", f"{error}, so that the value stays as it is written", where)
                found[name] = value
        return found


def _find_expected(checks: Sequence[Any]) -> str | None:
    """The text that a case's first `equals` asks for."""
    for check in checks:
        options = check.get("exact_match") if isinstance(check, dict) else None
        if isinstance(options, dict) and isinstance(options.get("expected"), str) and not options.get("negate"):
            return str(options["expected"])
    return None
