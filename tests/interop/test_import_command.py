# ruff: noqa: E501  texts of other tools
"""`workbench import`: what is made of files of other tools, what is listed as lost, and what is refused."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from workbench.cli import app
from workbench.datasets import load_cases
from workbench.errors import BenchError, FileError, WorkbenchError
from workbench.interop.import_plan import ImportPlan, ImportRequest, write_import
from workbench.interop.importing import plan_import
from workbench.library.library import Library
from workbench.prompting.render import render
from workbench.runs.bench import load_bench
from workbench.settings import Settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def write(folder: Path, **texts: str) -> Path:
    """Files by name, `_` for the dot; the first."""
    folder.mkdir(exist_ok=True)
    paths = [folder / name.replace("__", "/").replace("_", ".") for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return paths[0]


def plan(*files: Path, **more) -> ImportPlan:
    return plan_import(
        ImportRequest(files, more.pop("folder", None), model=more.pop("model", "desk-q8_0"), **more), Settings()
    )


def run(*words: str) -> int:
    return app.run(["import", *words], lambda *_: 0)


def messages(plan: ImportPlan, prompt=0, case=0) -> list[tuple[str, str]]:
    values = plan.cases[case].values if plan.cases else {}
    return [(one.role, one.content) for one in render(plan.prompts[prompt], values)]


CONFIG = """
prompts: ["Say {{word}}", "exec:./prompt.sh", file://prompt.py, file://../outside.txt]
providers: [echo]
tests:
  - vars: {word: hello}
    assert:
      - {type: contains, value: hello}
      - {type: javascript, value: output.length}
      - {type: llm-rubric, value: is polite}
"""


CHAT = {
    "messages": [{"role": "user", "content": " a\u2028b\x85c \U0001f600\n"}, {"role": "assistant", "content": "ok"}]
}
NFD = "Gru\u0308\u00dfe"
READ = {
    "a.prompty": f"---\n# noted\nname:   x   # kept\ninputs: {{q: x}}\n---\nsystem:\nSay {NFD} \t \n\nuser:\n{{{{ q }}}}  ",
    "a.prompt": f'---\nconfig: {{temperature: 0.5}}\n---\n{{{{role "system"}}}}Say {NFD} \t x{{{{role "user"}}}}{{{{q}}}} end',
    "a.yaml": f'system: Say {NFD}\nprompt: "$q end  "\ndefaults: {{q: x}}\n',
    "a.json": json.dumps(CHAT, ensure_ascii=False, indent=1),
    "escaped.json": json.dumps(CHAT, indent="\t"),
    "b.jsonl": "\n".join(json.dumps(CHAT, ensure_ascii=ascii) for ascii in (True, False)) + "\n",
    "Modelfile": f'FROM ./m.gguf\nPARAMETER temperature 0.5\nSYSTEM """Say {NFD}  """\nMESSAGE user "hi"\n',
    "promptfooconfig.yaml": f'prompts: ["Say {{{{q}}}} {NFD}  "]\nproviders: [echo]\ntests: [{{vars: {{q: x}}}}]\n',
    "tests.json": json.dumps([{"vars": {"q": "\U0001f600 a\u2028b"}}]),
    "tests.csv": f'q,__expected\n"a, b",x\n{NFD},y\n',
}


@pytest.mark.parametrize("name", READ)
def test_marks_line_ends_and_missing_ones_change_nothing(tmp_path: Path, name: str):
    def read(change) -> list[object]:
        path = tmp_path / name
        path.write_bytes(change(READ[name]).encode())
        found = plan(path, folder=tmp_path / "out")
        sent = [[(one.role, one.content) for one in render(prompt, {"q": "v", "input": "v", **prompt.defaults})]
                for prompt in found.prompts]  # fmt: skip
        models = [variant.model for variant in found.bench.variants]
        return [sent, [dict(case.variables) for case in found.cases], models, found.bench.models, found.losses.lines()]

    whole = read(lambda text: text)
    assert "\ud83d" not in repr(whole)
    for change in (
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
    ):
        assert read(change) == whole


def test_an_empty_file_is_no_prompt_and_says_so(tmp_path: Path):
    for name in ("a.prompty", "a.prompt"):
        (tmp_path / name).write_text("")
        assert plan(tmp_path / name).losses.lines() == ("1 of 1 prompts cannot run here: it has no text to send (a/a)",)
    for name, problem in (("Modelfile", "names no model"), ("a.json", "of no kind"), ("a.yaml", "of no kind")):
        (tmp_path / name).write_text("")
        with pytest.raises(FileError, match=problem):
            plan(tmp_path / name)


def test_a_modelfile_is_read_by_the_rules_of_ollama(tmp_path: Path):
    path = tmp_path / "Modelfile"
    path.write_text(
        'from "./a b.gguf"\n# a comment\nPARAMETER stop """\n\n"""\nPARAMETER stop "a\\n"\nSYSTEM "two\nlines"\n'
        'MESSAGE user """say\n"it"""""\nRENDERER qwen\nLICENSE """\nSYSTEM not this one\n"""\nADAPTER ./x.gguf\n'
    )
    found = plan(path, model="")
    sent = [(one.role, one.content) for one in render(found.prompts[0], {"input": "x"})]
    assert sent[:2] == [("system", "two\nlines"), ("user", 'say\n"it""')]
    (variant,) = found.bench.variants
    assert variant.sampling.stop == ("\n\n", "a\\n")  # it knows no escapes
    assert found.bench.models[variant.model].path == str(tmp_path / "a b.gguf")
    assert [one.reason for one in found.losses.losses] == ["RENDERER"]
    path.write_text('FROM x\nSYSTEM """never closed\n')
    with pytest.raises(FileError, match="SYSTEM opens with quotes that are never closed"):
        plan(path)


def test_files_are_copied_byte_for_byte_and_come_back_so(tmp_path: Path, capfdbinary):
    head = f"---\n# noted\nname:   x   # kept  \ninputs:\n    q:   'a'\n\n---\nsystem:\n{NFD}  \t\n\n\nuser:\n\t{{{{ q }}}}  \n"
    texts = {
        "plain": head,
        "crlf": head.replace("\n", "\r\n"),
        "mixed": head.replace("\n", "\r\n", 4),
        "marked": f"\ufeff{head}",
        "open": head.rstrip("\n"),
        "long": f"{head}{'x' * 300_000}",
        "plus": head.replace("---", "+++"),
        "bare": f"just {NFD}",
        "fences": "---\n---\n---\nhi\n---\n",
        "signs": "user:\na\rb\x00c\x1b[31m\u2028d\x85e\x0bf",
        "blank": "",
    }
    (tmp_path / "in").mkdir()
    for name, text in texts.items():
        (tmp_path / f"in/{name}.prompty").write_bytes(text.encode())
    (tmp_path / "in/link.prompty").symlink_to("plain.prompty")
    for name, text in (*texts.items(), ("link", head)):
        write_import(plan(tmp_path / f"in/{name}.prompty", folder=tmp_path, name=name))
        assert (tmp_path / name / f"{name}.prompty").read_bytes() == text.encode(), name
        capfdbinary.readouterr()
        assert app.run(["export", f"{name}/{name}", "--as", "prompty"], lambda *_: 0) == 0
        assert capfdbinary.readouterr().out == text.encode(), name


def test_a_folder_that_cannot_be_made_is_an_error_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    (tmp_path / "a.prompty").write_text("user:\nhi\n")
    with pytest.raises(FileError, match="Cannot write"):
        write_import(plan(tmp_path / "a.prompty", folder=tmp_path / "taken/x"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["a.prompty", "taken"]


def test_losses_are_counted_and_named_and_nothing_is_executed(tmp_path: Path, capsys):
    for name in ("prompt.sh", "prompt.py"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path / 'executed'}\n")
        (tmp_path / name).chmod(0o700)
    (tmp_path.parent / "outside.txt").write_text("secret")
    write(tmp_path, promptfooconfig_yaml=CONFIG)
    assert run("promptfooconfig.yaml", "--out", "made", "--model", "desk-q8_0", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "! 1 of 3 assertions cannot run here: javascript (tests[1], assertion 2)" in shown
    assert "! 1 of 3 assertions cannot run here: llm-rubric, which needs a model as the judge (--judge)" in shown
    assert "a prompt that is a program" in shown and "a prompt that is a script" in shown
    assert "is outside the folder" in shown
    assert not (tmp_path / "made").exists() and not (tmp_path / "executed").exists()


def test_strict_writes_nothing_and_exits_with_1_when_anything_is_lost(tmp_path: Path, capsys):
    write(tmp_path, promptfooconfig_yaml=CONFIG)
    assert run("promptfooconfig.yaml", "--out", "made", "--model", "desk-q8_0", "--strict") == 1
    assert not (tmp_path / "made").exists()
    assert "2 of 3 assertions cannot run here" in capsys.readouterr().err
    plain = CONFIG.split("tests:")[0].replace(', "exec:./prompt.sh", file://prompt.py, file://../outside.txt', "")
    write(
        tmp_path,
        promptfooconfig_yaml=plain.replace("providers: [echo]", "providers: [ollama:llama3]")
        + "tests: [{vars: {word: x}}]",
    )
    assert run("promptfooconfig.yaml", "--out", "made", "--strict") == 0
    assert (tmp_path / "made" / f"{tmp_path.name}.bench.yaml").exists()


def test_what_is_written_is_a_bench_that_opens_and_never_overwrites(tmp_path: Path):
    path = write(tmp_path, promptfooconfig_yaml=CONFIG)
    planned = plan(path, folder=tmp_path / "made", name="mine", judge="desk-f16")
    made = write_import(planned)
    assert made[-1] == tmp_path / "made/mine.bench.yaml"
    bench = load_bench(made[-1])
    cases = load_cases(bench.dataset, made[-1].parent)
    assert cases[0].variables == {"word": "hello"}
    checks = json.loads(cases[0].checks)
    assert [next(iter(check)) for check in checks] == ["contains", "judge"]
    prompt = Library(made[-1].parent).open(bench.variants[0].prompt).prompt
    assert [one.content for one in render(prompt, cases[0].values)] == ["Say hello"]
    with pytest.raises(BenchError, match="exist"):
        write_import(planned)


def test_links_and_patterns_do_not_lead_out_of_the_folder(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    folder = tmp_path / "project"
    path = write(
        folder,
        promptfooconfig_yaml="prompts: ['file://*.txt', file://own.txt, 'file://../outside/*.txt']\nproviders: [echo]\n",
        own_txt="own",
    )
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    planned = plan(path)
    assert [prompt.body for prompt in planned.prompts] == ["user:\nown\n", "user:\nown\n"]
    assert any("outside the folder" in one.reason for one in planned.losses.losses)


def test_lists_multiply_out_and_too_many_are_refused(tmp_path: Path):
    config = "prompts: ['{{a}}{{b}}']\nproviders: [echo]\ntests: [{vars: {a: [x, y], b: [1, 2, 3]}}, {vars: {a: [p, q], b: ['1', '2']}}]\n"
    planned = plan(write(tmp_path, promptfooconfig_yaml=config))
    assert len(planned.cases) == 6  # a list whose first item is no text stays a list
    assert "2 tests made 6 cases" in planned.notes[0]
    many = json.dumps([f"v{number}" for number in range(400)])
    write(
        tmp_path,
        promptfooconfig_yaml=f"prompts: ['x']\nproviders: [echo]\ntests: [{{vars: {{a: {many}, b: {many}}}}}]\n",
    )
    with pytest.raises(FileError, match="160,000 cases"):
        plan(tmp_path / "promptfooconfig.yaml")


def test_providers_become_models_with_their_sampling_and_prompts(tmp_path: Path):
    config = """
prompts: [{raw: one, label: first}, {raw: two, label: second}]
providers:
  - {id: ollama:chat:llama3, config: {temperature: 0.5, num_predict: 9, apiKey: sk-123}, prompts: [first]}
  - {id: openai:gpt-4o-mini, label: small, config: {max_tokens: 5, stop: END}}
"""
    planned = plan(write(tmp_path, promptfooconfig_yaml=config), model="")
    variants = {one.name: one for one in planned.bench.variants}
    assert set(variants) == {"first llama3", "first small", "second small"}
    assert variants["first llama3"].sampling.temperature == 0.5 and variants["first llama3"].sampling.max_tokens == 9
    assert variants["second small"].sampling.stop == ("END",)
    assert planned.bench.models["small"].key_env == "OPENAI_API_KEY"
    assert "sk-123" not in repr(planned)


def test_a_csv_of_tests_goes_with_a_prompt_of_another_tool(tmp_path: Path):
    prompt = write(
        tmp_path,
        support_prompt='---\nconfig: {temperature: 0.2}\ninput: {default: {tone: kind}}\n---\n{{role "system"}}Be {{tone}}.\n{{role "user"}}{{question}}',
    )
    tests = write(tmp_path, tests_csv="question,__expected\nWhy?,contains:because\n")
    planned = plan(prompt, tests)
    assert messages(planned) == [("system", "Be kind.\n"), ("user", "Why?")]
    assert planned.bench.variants[0].sampling.temperature == 0.2
    assert json.loads(planned.cases[0].checks) == [{"contains": {"text": "because", "strict": True}}]


def test_llm_templates(tmp_path: Path):
    text = "system: You are $who, for $$5 {{x}}\nprompt: |\n  Say: $input\ndefaults: {who: Ann}\noptions: {temperature: 0.3}\nfunctions: |\n  def f(): pass\n"
    planned = plan(write(tmp_path, steampunk_yaml=text))
    values = {"input": "hi"}
    found = [(one.role, one.content) for one in render(planned.prompts[0], values)]
    assert found == [("system", "You are Ann, for $5 {{x}}"), ("user", "Say: hi\n")]
    assert "functions in Python, which are never run" in planned.losses.summary()


def test_openai_conversations(tmp_path: Path):
    request = {
        "model": "gpt-4o",
        "temperature": 0.7,
        "messages": [{"role": "system", "content": "{{ as it is }}\n"}, {"role": "user", "content": "user:\nhi"}],
    }
    planned = plan(write(tmp_path, chat_json=json.dumps(request)))
    assert messages(planned) == [("system", "{{ as it is }}\n"), ("user", "user:\nhi")]
    assert planned.bench.variants[0].sampling.temperature == 0.7
    lines = [
        {
            "messages": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": "q1"},
                {"role": "assistant", "content": "a1"},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "q2"},
                {"role": "assistant", "content": "x"},
                {"role": "user", "content": "q3"},
            ]
        },
    ]
    planned = plan(write(tmp_path, data_jsonl="\n".join(map(json.dumps, lines))))
    assert [case.expected for case in planned.cases] == ["a1", None]
    assert messages(planned) == [("system", "S"), ("user", "q1")]
    assert messages(planned, case=1) == [("user", "user: q2\nassistant: x\nuser: q3")]


def test_modelfiles(tmp_path: Path):
    text = 'FROM ./tiny.gguf\nPARAMETER temperature 0.3\nPARAMETER stop "END"\nPARAMETER num_ctx 512\nPARAMETER tfs_z 1\nSYSTEM """\nBe {{ brief }}.\n"""\nMESSAGE user Hi\nMESSAGE assistant "Hello"\nADAPTER ./lora.gguf\n'
    planned = plan(write(tmp_path, Modelfile=text), model="")
    variant = planned.bench.variants[0]
    assert variant.sampling.temperature == 0.3 and variant.sampling.stop == ("END",)
    assert planned.bench.models["tiny"].context_tokens == 512
    assert variant.adapters[0].adapter == str(tmp_path / "lora.gguf")
    sent = render(planned.prompts[0], {"input": "Q"})
    assert [one.content for one in sent] == ["\nBe {{ brief }}.\n", "Hi", "Hello", "Q"]
    assert any("tfs_z" in one.reason for one in planned.losses.losses)


def test_lm_eval_tasks(tmp_path: Path):
    text = 'task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\ndoc_to_text: "Q: {{question}}\\nA:"\ndoc_to_target: answer\noutput_type: generate_until\ngeneration_kwargs: {until: ["\\n"], max_gen_toks: 8}\nmetric_list: [{metric: exact_match, ignore_case: true}, {metric: !function m.f}]\n'
    write(tmp_path, rows_jsonl='{"question": "1+1", "answer": "2"}\n')
    planned = plan(write(tmp_path, task_yaml=text))
    bench = planned.bench
    case = load_cases(bench.dataset, tmp_path)[0]
    assert case.expected == "2" and bench.scorers == ({"exact_match": {"ignore_case": True}},)
    assert [one.content for one in render(planned.prompts[0], case.values)] == ["Q: 1+1\nA:"]
    assert bench.variants[0].sampling.stop == ("\n",) and bench.variants[0].sampling.max_tokens == 8


def test_prompty_files_are_copied_to_the_byte_with_what_they_refer_to(tmp_path: Path):
    text = "---\nname: v1  # kept\nmodel: {api: chat, parameters: {temperature: 0.1}}\nsample: {question: Why?, data: '${file:d.json}'}\n---\nsystem:\nAnswer {{question}} {{data}}\n"
    path = write(tmp_path / "theirs", old_prompty=text)
    (tmp_path / "theirs/d.json").write_text('{"a": 1}')
    made = write_import(plan(path, folder=tmp_path / "made"))
    assert (tmp_path / "made/old/old.prompty").read_text() == text
    assert (tmp_path / "made/old/d.json").read_text() == '{"a": 1}'
    assert load_bench(made[-1]).dataset is not None


def test_mustache_prompts_are_rewritten(tmp_path: Path):
    text = "---\ntemplate: {format: {kind: mustache}}\ninputs: {name: Ann, items: [a, b], show: true}\n---\nsystem:\nHi {{name}}{{^none}}!{{/none}}\n{{#items}}\n- {{.}}\n{{/items}}\n"
    planned = plan(write(tmp_path, m_prompty=text))
    values = {"name": "Ann", "items": ["a", "b"], "none": ""}
    assert render(planned.prompts[0], values)[0].content == "Hi Ann!\n- a\n- b"
    assert "written in Jinja" in planned.losses.lines()[-1] or any("Jinja" in line for line in planned.losses.lines())


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("x.yaml", "a: 1", "of no kind that can be imported"),
        ("x.yaml", "a: [", "not YAML"),
        ("x.json", '{"a": 1}', "of no kind that can be imported"),
        ("x.json", '[{"role": "robot", "content": "x"}]', "Nothing can be imported"),
        ("promptfooconfig.yaml", "prompts: [x]\ntests: [{$ref: '#/nowhere'}]", "is not in the file"),
        ("promptfooconfig.yaml", "prompts: [exec:x]\nproviders: [echo]", "Nothing can be imported"),
        ("x.prompt", "{{#if a}}", "Nothing can be imported"),
    ],
)
def test_what_cannot_be_read_gets_one_message(tmp_path: Path, name, text, problem):
    (tmp_path / name).write_text(text)
    with pytest.raises(WorkbenchError, match=problem):
        plan(tmp_path / name)


def test_the_command_prints_json(tmp_path: Path, capsys):
    write(tmp_path, promptfooconfig_yaml=CONFIG)
    assert run("promptfooconfig.yaml", "--json", "--dry-run", "--model", "desk-q8_0") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["totals"]["assertions"] == 3 and not found["written"]
    assert {one["reason"] for one in found["losses"] if one["noun"] == "assertions"} >= {"javascript"}
    assert importlib.import_module("workbench.cli.import").main
