"""Code that a bench names: found however deep, run only once a person agreed to it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import ScorerError
from workbench.scoring.local_code import MOST_FILES
from workbench.scoring.trust import find_untrusted, trust, without_code

SPECS = (
    "exact_match",
    {"python": {"file": "judge.py"}},
    {"combined": {"parts": [{"contains": {"text": "a"}}, {"python": {"file": "other.py", "weight": 2}}]}},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "judge.py").write_text("def score(answer): return 1")
    (tmp_path / "other.py").write_text("def score(answer): return 0")
    return tmp_path


def test_every_file_is_found_and_asked_about_once(folder):
    assert [Path(code.file).name for code in find_untrusted(SPECS, folder)] == ["judge.py", "other.py"]
    trust(find_untrusted(SPECS, folder))
    assert find_untrusted(SPECS, folder) == ()


def test_a_changed_file_asks_again(folder):
    trust(find_untrusted(SPECS, folder))
    (folder / "judge.py").write_text("import os")
    assert [Path(code.file).name for code in find_untrusted(SPECS, folder)] == ["judge.py"]


def test_a_broken_list_trusts_nothing(folder):
    trust(find_untrusted(SPECS, folder))
    (folder / "home/data/trusted.json").write_text("{")
    assert len(find_untrusted(SPECS, folder)) == 2


def test_scorers_that_run_code_can_be_left_out(folder):
    assert without_code(SPECS) == ("exact_match",)


LOADERS = {
    "import": "import helper",
    "from": "from helper import rule",
    "inside a function": "def score(answer):\n    import helper\n    return helper.rule",
    "through another": "import middle",
    "of a package": "from rules import helper",
    "of a deep package": "import rules.deep.leaf",
    "relative in a package": "import rules.siblings",
    "of a package without init": "import bare.helper",
    "by name": "import importlib; helper = importlib.import_module('helper')",
    "by dunder": "helper = __import__('helper')",
    "by file name": "import runpy; runpy.run_path(str(__import__('pathlib').Path(__file__).with_name('helper.py')))",
    "from a folder on the path": "import sys; sys.path.append(__file__[:-8] + 'lib'); import far",
    "where it may fail": "try:\n    import helper\nexcept ImportError:\n    helper = None",
    "standing in for an installed one": "import yaml_double",
}
NEIGHBOURS = {
    "import": "helper.py",
    "from": "helper.py",
    "inside a function": "helper.py",
    "through another": "helper.py",
    "of a package": "rules/helper.py",
    "of a deep package": "rules/deep/leaf.py",
    "relative in a package": "rules/helper.py",
    "of a package without init": "bare/helper.py",
    "by name": "helper.py",
    "by dunder": "helper.py",
    "by file name": "helper.py",
    "from a folder on the path": "lib/far.py",
    "where it may fail": "helper.py",
    "standing in for an installed one": "yaml_double.py",
}


def write_neighbours(folder: Path) -> None:
    sources = {
        "helper.py": "rule = 1",
        "middle.py": "import helper",
        "rules/__init__.py": "",
        "rules/helper.py": "rule = 1",
        "rules/siblings.py": "from . import helper",
        "rules/deep/__init__.py": "",
        "rules/deep/leaf.py": "rule = 1",
        "bare/helper.py": "rule = 1",
        "lib/far.py": "rule = 1",
        "yaml_double.py": "rule = 1",
        "unrelated.py": "rule = 1",
    }
    for name, source in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)


@pytest.mark.parametrize("way", LOADERS)
def test_a_changed_neighbour_that_is_loaded_asks_again(folder, way):
    write_neighbours(folder)
    (folder / "judge.py").write_text(LOADERS[way])
    trust(find_untrusted(SPECS, folder))
    assert find_untrusted(SPECS, folder) == ()
    (folder / "unrelated.py").write_text("rule = 2")
    assert find_untrusted(SPECS, folder) == ()  # it is not loaded
    (folder / NEIGHBOURS[way]).write_text("rule = 2")
    (changed,) = find_untrusted(SPECS, folder)
    assert changed.file == str(folder / "judge.py")
    assert str(folder / NEIGHBOURS[way]) in changed.others


def test_the_same_file_in_another_folder_asks_again(folder):
    trust(find_untrusted(SPECS, folder))
    other = folder / "elsewhere"
    other.mkdir()
    for name in ("judge.py", "other.py"):
        (other / name).write_bytes((folder / name).read_bytes())
    assert len(find_untrusted(SPECS, other)) == 2


def test_a_neighbour_that_comes_later_asks_again(folder):
    (folder / "judge.py").write_text("import helper")
    trust(find_untrusted(SPECS, folder))
    (folder / "helper.py").write_text("rule = 1")
    assert [Path(code.file).name for code in find_untrusted(SPECS, folder)] == ["judge.py"]


def test_going_back_to_what_was_agreed_to_asks_nothing(folder):
    trust(find_untrusted(SPECS, folder))
    before = (folder / "judge.py").read_text()
    (folder / "judge.py").write_text("import os")
    trust(find_untrusted(SPECS, folder))
    (folder / "judge.py").write_text(before)
    assert find_untrusted(SPECS, folder) == ()


def test_trust_is_in_what_was_read_and_not_in_what_stands_there_by_then(folder):
    shown = find_untrusted(SPECS, folder)
    (folder / "judge.py").write_text("import os; os.remove('x')")
    trust(shown)
    assert [Path(code.file).name for code in find_untrusted(SPECS, folder)] == ["judge.py"]


def test_nothing_is_scored_by_code_that_nobody_agreed_to(folder):
    from workbench.scoring.scorer_set import ScorerSet

    with pytest.raises(ScorerError, match=r"nobody has agreed to[\s\S]*judge.py[\s\S]*--trust"):
        ScorerSet(SPECS[:2], folder)


def test_a_list_of_an_older_kind_trusts_nothing(folder):
    (folder / "home/data").mkdir(parents=True)
    (folder / "home/data/trusted.json").write_text('{"0123": "/some/judge.py"}')
    assert len(find_untrusted(SPECS, folder)) == 2


def test_code_without_end_is_refused(folder):
    (folder / "rules").mkdir()
    for number in range(MOST_FILES):
        (folder / f"rules/m{number}.py").write_text("")
    (folder / "judge.py").write_text("import rules")
    with pytest.raises(ScorerError, match="too many"):
        find_untrusted(SPECS, folder)
