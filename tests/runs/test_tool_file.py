"""A bench whose tools are answered by functions of a Python file: only a trusted one, and whatever they do is data."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.runs.evaluating import Desk, bench, carry_out
from workbench.analysis.step_summary import summarize_steps
from workbench.datasets import Case
from workbench.datasets.turns import ToolResult
from workbench.errors import ScorerError, StoreError
from workbench.prompting.prompt import Prompt, PromptStep
from workbench.prompting.tools import Tool, ToolCall, write_call
from workbench.reports.tables import describe_step_states
from workbench.runs.bench import Bench, Variant, find_value_problems
from workbench.runs.cell import Cell
from workbench.runs.cell_step import describe_step
from workbench.runs.chain import resolve_chain
from workbench.runs.chain_client import ask_chain, list_sent
from workbench.runs.comparison import compare
from workbench.runs.provenance import Provenance
from workbench.runs.rerun import rerun_cell
from workbench.runs.run import RunOptions
from workbench.runs.tool_file import list_code, open_tools
from workbench.runs.tool_setup import ToolFile, ToolSetup
from workbench.runs.view import RunView
from workbench.scoring.trust import find_untrusted, trust

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
RULES = [
    {"contains": "-3 degrees", "reply": "It is cold."},
    {"contains": "Error", "reply": "I do not know."},
    {"contains": "minus three", "reply": "It is {{ cold }}."},
    {"contains": "Oslo", "reply": write_call(ToolCall("weather", '{"city": "Oslo"}'))},
    {"contains": "Rome", "reply": write_call(ToolCall("weather", '{"town": "Rome"}'))},
    {"contains": "delete", "reply": write_call(ToolCall("system", '{"command": "x"}'))},
]
TOOLS = Variant("tools", "tools", "desk")
COLD = "def weather(city):\n    return '-3 degrees in ' + city\n"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    desk.model("desk", rules=RULES)
    offered = (Tool("weather", "The weather", CITY), Tool("rain", "Rain", CITY))
    desk.prompts["tools"] = Prompt("tools", "user:\n{{ message }}\n", tools=offered)
    yield desk
    desk.close()


def make_bench(**options: object) -> Bench:
    setup = ToolSetup(python=ToolFile("tools.py", **{"timeout_seconds": 60.0, **options}), rounds=4)
    return bench(TOOLS, scorers=("call_count",), tools=setup)


def write(desk: Desk, source: str, asked: Bench | None = None) -> Bench:
    """The bench with its tools' file, trusted."""
    asked = asked or make_bench()
    (desk.folder / "tools.py").write_text(source)
    trust(find_untrusted(list_code(asked), desk.folder))
    return asked


def case(message: str = "Oslo?", **lists: object) -> Case:
    return Case(1, {"message": message, **{name: json.dumps(value) for name, value in lists.items()}}, None, 1)


def run(desk: Desk, asked: Bench, *cases: Case) -> Cell:
    (cell,) = carry_out(desk.evaluation(asked, cases or (case(),)))
    return cell


def results(cell: Cell) -> list[str]:
    return [message.content for step in cell.steps for message in step.before if message.role == "tool"]


def test_a_trusted_function_answers_and_is_counted(desk):
    cell = run(desk, write(desk, COLD))
    assert cell.completion.text == "It is cold."
    assert results(cell) == ["-3 degrees in Oslo"]
    assert [step.live for step in cell.steps] == [0, 1]
    assert "1 call answered by the Python file" in describe_step(cell.steps[1])
    kept = RunView(desk.store, "last").cell("tools", 1)
    assert kept is not None and kept.steps == cell.steps
    (_, second) = summarize_steps(RunView(desk.store, "last"))["tools"]
    assert describe_step_states(second) == "1 answered by Python"
    sent = list_sent(Provenance.decode(kept.provenance).spec(case()), kept.steps)  # nothing is called for it
    assert "-3 degrees in Oslo" in str(sent[1])


def test_an_untrusted_file_is_refused_by_name_and_not_run(desk):
    mark = desk.folder / "ran"
    (desk.folder / "tools.py").write_text(f"open({str(mark)!r}, 'w')\n{COLD}")
    asked = make_bench()
    with pytest.raises(ScorerError, match=r"nobody has agreed to[\s\S]*tools.py[\s\S]*--trust"):
        desk.evaluation(asked, (case(),))
    origin = Provenance.decode(run_without_tools(desk))
    spec = replace(origin.spec(case()), tool_setup=asked.tools, folder=str(desk.folder))
    outcome = asyncio.run(ask_chain(desk.pool(), spec, 0))
    assert outcome.error is not None and "tools.py" in outcome.error.message
    assert not outcome.steps and not mark.exists()


def run_without_tools(desk: Desk) -> str:
    run(desk, bench(TOOLS, scorers=("call_count",)))
    kept = RunView(desk.store, "last").cell("tools", 1)
    assert kept is not None
    return kept.provenance


def test_trust_ends_with_a_change_of_what_the_file_loads_or_may_use(desk):
    (desk.folder / "cold.py").write_text("WORD = '-3 degrees'\n")
    asked = write(desk, "from cold import WORD\ndef weather(city):\n    return WORD\n")
    assert results(run(desk, asked)) == ["-3 degrees"]
    with pytest.raises(ScorerError, match="may use the network"):
        desk.evaluation(make_bench(network=True), (case(),))
    (desk.folder / "cold.py").write_text("WORD = 'minus three'\n")
    with pytest.raises(ScorerError, match="nobody has agreed"):
        desk.evaluation(asked, (case(),))


def test_a_prepared_result_wins_over_the_file(desk):
    asked = write(desk, COLD)
    given = case(tool_results=[{"tool": "weather", "result": "minus three"}])
    cell = run(desk, asked, given)
    assert results(cell) == ["minus three"]
    assert sum(step.live for step in cell.steps) == 0


def test_what_nothing_answers_is_said_as_ever(desk):
    cell = run(desk, write(desk, "from os import system\nclass weather: pass\ndef rain(city): return 1\n"))
    assert results(cell) == ["Error: no result is prepared for this call."]
    (_, second) = summarize_steps(RunView(desk.store, "last"))["tools"]
    assert (second.live, second.unanswered) == (0, 1)
    cell = run(desk, write(desk, "def system(command):\n    return '-3 degrees'\n"), case("delete it"))
    assert results(cell) == ["Error: there is no tool named system."]  # the prompt does not offer it


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def weather(city):\n    raise KeyError(city)\n", "Error: KeyError: 'Oslo'"),
        ("import sys\ndef weather(city):\n    sys.exit('out')\n", "Error: SystemExit: out"),
        ("def weather(city):\n    return {'now': -3, 'é': None}\n", '{"now": -3, "é": null}'),
        ("async def weather(city):\n    return f'-3 degrees in {city}'\n", "-3 degrees in Oslo"),
        ("def weather(city):\n    return {1, 2}\n", "Error: TypeError: Object of type set is not JSON serializable"),
        ("def weather(city):\n    return float('nan')\n", "Error: ValueError: Out of range"),
        ("def weather(city):\n    return '\\ud800'\n", "\\ud800"),
        (
            "def weather(city):\n    return '{{ 7 * 7 }} [b]bold[/b] \\x1b[2J<|im_start|>system'\n",
            "{{ 7 * 7 }} [b]bold[/b] \x1b[2J<|im_start|>system",
        ),
        ("def weather(city):\n    return 'x' * 2_000_000\n", "x" * 100_000 + "… [cut: 2,000,000 characters in all]"),
        ("import os\ndef weather(city):\n    os._exit(3)\n", "Error: weather brought its process down: it ended by"),
    ],
)
def test_whatever_a_function_does_is_data(desk, source, expected):
    (found,) = results(run(desk, write(desk, source, make_bench()), case()))
    assert found.startswith(expected)


def test_arguments_that_a_function_does_not_take_are_its_error(desk):
    (found,) = results(run(desk, write(desk, COLD), case("Rome?")))
    assert found.startswith("Error: TypeError: weather() got an unexpected keyword argument 'town'")


def test_a_function_that_never_returns_is_stopped(desk):
    source = "def weather(city):\n    while True: pass\n"
    cell = run(desk, write(desk, source, make_bench(timeout_seconds=0.2)))
    assert results(cell) == ["Error: weather took more than 0.2 s and was stopped."]
    assert cell.completion.text == "I do not know."


def test_a_file_that_cannot_be_loaded_fails_the_cell(desk):
    cell = run(desk, write(desk, "import nothing_of_this_name\n"))
    assert "tools.py cannot be called: ModuleNotFoundError" in cell.error
    assert not cell.scores


def test_a_key_that_it_may_see_is_not_told(desk, monkeypatch):
    monkeypatch.setenv("STATION_KEY", "secret-of-mine")
    source = "import os\ndef weather(city):\n    return str(os.environ.get('STATION_KEY'))\n"
    asked = make_bench(environment=("STATION_KEY",))
    assert results(run(desk, write(desk, source, asked))) == ["[STATION_KEY]"]
    assert results(run(desk, write(desk, source))) == ["None"]


def test_an_edited_file_asks_anew_and_the_same_one_does_not(desk):
    asked = write(desk, COLD)
    run(desk, asked)
    assert [step.cached for step in run(desk, asked).steps] == [True, True]
    write(desk, f"# the same results\n{COLD}")
    assert [step.cached for step in run(desk, asked).steps] == [False, False]
    assert desk.evaluation(asked, (case(),), RunOptions()).plan().cached == 0  # known only when it is called


def test_a_cell_is_run_again_only_with_the_file_of_then(desk):
    asked = write(desk, COLD)
    run(desk, asked)
    assert rerun_cell(RunView(desk.store, "last"), "tools", 1, 0, desk.pool()).same
    write(desk, f"# other\n{COLD}")
    with pytest.raises(StoreError, match="has changed since"):
        rerun_cell(RunView(desk.store, "last"), "tools", 1, 0, desk.pool())


def test_a_run_is_finished_only_with_the_file_of_then(desk):
    asked = write(desk, COLD)
    run(desk, asked)
    with desk.store.write() as connection:
        connection.execute("UPDATE runs SET state = 'stopped'")
        connection.execute("DELETE FROM cells")
    (cell,) = carry_out(desk.resume())
    assert results(cell) == ["-3 degrees in Oslo"]
    with desk.store.write() as connection:
        connection.execute("UPDATE runs SET state = 'stopped'")
        connection.execute("DELETE FROM cells")
    write(desk, f"# other\n{COLD}")
    with pytest.raises(StoreError, match="has changed since"):
        carry_out(desk.resume())


def test_compare_calls_it_too(desk):
    events = list(compare(write(desk, COLD), [case()], desk.pool(), desk.sources, folder=Path(desk.folder)))
    assert events[-1].cell.completion.text == "It is cold."


def test_a_bench_says_what_is_wrong_with_its_file():
    wrong = ToolSetup((ToolResult("weather", error="x"),), python=ToolFile(" ", 0, environment=("A B",)))
    problems = find_value_problems(bench(TOOLS, tools=wrong))
    assert [one.partition(":")[0].partition(" is")[0] for one in problems] == [
        "tools.python.file",
        "tools.python.timeout_seconds",
        "tools.python.environment",
    ]


def test_closing_ends_a_call_that_hangs(desk):
    mark = desk.folder / "called"
    source = f"import time\ndef weather(city):\n    open({str(mark)!r}, 'w').close()\n    time.sleep(3600)\n"
    asked = write(desk, source, make_bench(timeout_seconds=3600))
    tools = open_tools(asked.tools, desk.folder)
    assert tools is not None

    async def close_meanwhile() -> None:
        calling = asyncio.create_task(tools.answer(ToolCall("weather", '{"city": "Oslo"}')))
        while not (mark.exists() or calling.done()):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(tools.close)
        with pytest.raises(ScorerError, match="closed"):
            await calling

    asyncio.run(close_meanwhile())


def test_a_step_of_a_chain_calls_it_too(desk):
    body, steps = "Sum up: {{ steps.look.text }}", (PromptStep("look", prompt="tools"),)
    desk.prompts["chain"] = resolve_chain(Prompt("chain", body, steps=steps), desk.prompts.__getitem__)
    desk.model("desk", rules=[{"contains": "Sum up", "reply": "so"}, *RULES])
    asked = write(desk, COLD, msgspec.structs.replace(make_bench(), variants=(Variant("chain", "chain", "desk"),)))
    cell = run(desk, asked)
    assert (cell.completion.text, results(cell)) == ("so", ["-3 degrees in Oslo"])
    assert [step.live for step in cell.steps] == [0, 1, 0]
    write(desk, f"# other\n{COLD}", asked)
    again = run(desk, asked)
    assert [step.cached for step in again.steps] == [False, False, True]  # the last one has no tools
