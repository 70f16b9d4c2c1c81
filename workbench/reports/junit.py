"""JUnit XML, which CI systems show as a list of tests: https://github.com/testmoapp/junitxml describes the format."""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.etree import ElementTree

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""characters that XML 1.0 cannot hold, not even escaped"""


class JunitCase(NamedTuple):
    """One test. failure: it ran and missed; error: it could not be run; skipped: it was not; each empty unless so."""

    name: str
    classname: str
    seconds: float = 0.0
    failure: str = ""
    error: str = ""
    skipped: str = ""


class Suite(NamedTuple):
    name: str
    cases: tuple[JunitCase, ...]


def render_suites(suites: tuple[Suite, ...]) -> str:
    """The whole document. Texts are data: what XML cannot hold is written as U+FFFD."""
    root = ElementTree.Element("testsuites")
    for suite in suites:
        counts = {
            kind: sum(bool(getattr(one, kind)) for one in suite.cases) for kind in ("failure", "error", "skipped")
        }
        element = ElementTree.SubElement(
            root,
            "testsuite",
            name=_clean(suite.name),
            tests=str(len(suite.cases)),
            failures=str(counts["failure"]),
            errors=str(counts["error"]),
            skipped=str(counts["skipped"]),
            time=f"{sum(one.seconds for one in suite.cases):.3f}",
        )
        for one in suite.cases:
            _add(element, one)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add(suite: ElementTree.Element, one: JunitCase) -> None:
    name, classname = _clean(one.name), _clean(one.classname)
    case = ElementTree.SubElement(suite, "testcase", name=name, classname=classname, time=f"{one.seconds:.3f}")
    for kind in ("failure", "error", "skipped"):
        if text := getattr(one, kind):
            ElementTree.SubElement(case, kind, message=_clean(text.splitlines()[0][:200])).text = _clean(text)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
