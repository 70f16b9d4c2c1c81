# ruff: noqa: E501  texts of other tools
"""`workbench export`: what other tools get, read back; and what is refused or listed as lost."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.interop.promptfoo_oracle import find_promptfoo, run_promptfoo
from workbench.cli import app
from workbench.datasets import load_cases
from workbench.errors import PromptError, WorkbenchError
from workbench.inference.types import Sampling
from workbench.interop.chat_json import convert_chat
from workbench.interop.decision import Decision
from workbench.interop.dotprompt import convert_dotprompt
from workbench.interop.exporting import export
from workbench.interop.import_plan import ImportRequest, write_import
from workbench.interop.importing import plan_import
from workbench.interop.llm_template import convert_llm
from workbench.interop.modelfile import read_modelfile
from workbench.interop.modelfile_export import export_modelfile
from workbench.interop.parts import ImportedParts
from workbench.interop.prompt_export import PROMPT_FORMS, PromptExport
from workbench.interop.prompty_text import write_prompty
from workbench.interop.yaml_text import parse_text
from workbench.library.formats import prompty
from workbench.library.formats.sections import Section, join_sections, quote_literal
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import render
from workbench.runs.bench import load_bench
from workbench.settings import Settings

DEMO = Path(__file__).parents[2] / "prompts/demo.bench.yaml"
TEXT = st.lists(
    st.sampled_from(["a", " ", "\n", "\r\n", "user:", "$", "$x", "$$", "{", "}", "%", "#", "é", "\\", '"', "'"]),
    max_size=8,
).map("".join)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> int:
    return app.run(["export", *words], lambda *_: 0)


def write(form: str, prompt: Prompt, values=None) -> str:
    found = PROMPT_FORMS[form](PromptExport(prompt, (), None, values or {}))
    return next(iter(found.files.values()))


def read_back(form: str, text: str) -> Prompt:
    parts = ImportedParts()
    if form == "dotprompt":
        found = convert_dotprompt(text, "x.prompt", {}, parts)
    elif form == "llm":
        found = convert_llm(parse_text(text, "x"), "x", parts)
    else:
        found = convert_chat(json.loads(text), "x", parts)
    assert found is not None and not parts.losses.losses
    return prompty.load(write_prompty(found), "x", Path("x.prompty")).prompt


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXT), min_size=1, max_size=3), TEXT)
def test_openai_json_comes_back_as_it_was(turns, value):
    body = join_sections(Section(role, quote_literal(text) + "{{ x }}") for role, text in turns)
    values = {"x": value}
    sent = render(Prompt("p", body), values)
    assert render(read_back("openai", write("openai", Prompt("p", body), values)), {}) == sent


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, TEXT, TEXT)
def test_templates_of_llm_come_back_as_they_were(system, user, value):
    sections = [Section("system", "S" + quote_literal(system)), Section("user", quote_literal(user) + "{{ x }}")]
    prompt = Prompt("p", join_sections(sections))
    back = read_back("llm", write("llm", prompt))
    assert render(back, {"x": value}) == render(prompt, {"x": value})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXT), min_size=1, max_size=3), TEXT)
def test_dotprompt_comes_back_as_it_was(turns, value):
    sections = [Section(role, f"T{quote_literal(text)}{{{{ x }}}}.") for role, text in turns]
    prompt = Prompt("p", join_sections(sections))
    if any("{{" in text or text.endswith("{") for _, text in turns):
        with pytest.raises(WorkbenchError, match="two braces"):
            write("dotprompt", prompt)
        return
    back = read_back("dotprompt", write("dotprompt", prompt))
    assert render(back, {"x": value}) == render(prompt, {"x": value})


def test_a_file_that_is_imported_and_exported_has_the_same_text(tmp_path: Path):
    dot = 'Hello {{name}},\n\n{{role "model"}}Hi!\n{{role "user"}}\nAnd {{question}}?\n'
    back = write("dotprompt", read_back("dotprompt", dot))
    assert back == '{{role "user"}}' + dot
    single = "Hello {{name}}!\n\n"
    assert write("dotprompt", read_back("dotprompt", single)) == single
    llm = "prompt: 'Say: ${input}, for $$5'\nsystem: You are $${x}\n"
    assert parse_text(write("llm", read_back("llm", llm)), "") == parse_text(llm, "")
    file = tmp_path / "own.prompty"
    file.write_text("---\n# kept\ndescription: d\nmodel: {id: x}\n---\nsystem:\n\n a {{ b }}\n")
    made = write_import(plan_import(ImportRequest((file,), tmp_path / "made", model="desk-q8_0"), Settings()))
    found = export(str(made[-1]), "prompty", "", 1, Settings())
    assert next(iter(found.files.values())) == file.read_text()


def test_a_bench_becomes_a_promptfoo_configuration_and_comes_back(tmp_path: Path):
    config = """
prompts: ["Say {{word}} to {{name}}", '[{"role": "system", "content": "Be {{tone}}\\\\n"}, {"role": "user", "content": "{{word}}"}]']
providers: [{id: "ollama:chat:llama3", config: {temperature: 0.5}}]
tests:
  - vars: {word: "{% raw %}{{ braces }}{% endraw %}", name: Ann, tone: kind}
    threshold: 0.5
    assert:
      - {type: contains, value: Ann, weight: 2, metric: named}
      - {type: not-icontains, value: bob}
      - {type: assert-set, threshold: 0.5, assert: [{type: equals, value: x}, {type: levenshtein, value: y, threshold: 3}]}
  - vars: {word: two, name: Bob, tone: dry}
    assert: [{type: is-json, value: {type: object}}, {type: regex, value: "^t\\\\w+$"}, {type: contains-any, value: [a, b]}]
"""
    (tmp_path / "promptfooconfig.yaml").write_text(config)
    first = plan_import(ImportRequest((tmp_path / "promptfooconfig.yaml",), tmp_path / "one"), Settings())
    made = write_import(first)
    assert run(str(made[-1]), "--as", "promptfoo", "--out", "back") == 0
    second = plan_import(ImportRequest((tmp_path / "back/promptfooconfig.yaml",), tmp_path / "two"), Settings())
    assert not second.losses.losses
    assert [case.checks for case in second.cases] == [case.checks for case in first.cases]
    for one, other in zip(first.prompts, second.prompts, strict=True):
        for case, same in zip(first.cases, second.cases, strict=True):
            assert render(one, case.values) == render(other, same.values)
    assert {one.sampling.temperature for one in second.bench.variants} == {0.5}
    assert run(str(made[-1]), "--as", "promptfoo", "--out", "back") == 2  # nothing is overwritten


@pytest.mark.skipif(find_promptfoo() is None, reason="WORKBENCH_PROMPTFOO names no promptfoo")
def test_promptfoo_itself_renders_an_exported_bench_as_we_do(tmp_path: Path):
    found = export(str(DEMO), "promptfoo", "plain", 1, Settings())
    folder = tmp_path / "demo"
    for name, text in found.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    data = parse_text((folder / "promptfooconfig.yaml").read_text(), "")
    data["providers"], data["tests"] = ["echo"], data["tests"][:20]
    (folder / "promptfooconfig.yaml").write_text(json.dumps(data))
    bench = load_bench(DEMO)
    prompt = prompty.load((DEMO.parent / "queues/plain.prompty").read_text(), "p", DEMO).prompt
    cells = run_promptfoo(find_promptfoo(), folder)
    cases = load_cases(bench.dataset, DEMO.parent)
    for cell, case in zip(cells, cases, strict=False):
        sent = [{"role": one.role, "content": one.content} for one in render(prompt, case.values)]
        assert json.loads(cell["raw"]) == sent
    assert len(cells) == 20


def bench_file(folder: Path, **changes) -> Path:
    """A bench of one variant on a GGUF file, with its prompt."""
    (folder / "queue.prompty").write_text(changes.pop("prompt", "system:\nBe short.\n\nuser:\nQ: {{ message }}\n"))
    (folder / "rows.jsonl").write_text('{"message": "Where \\"is\\" it?"}\n')
    (folder / "tiny.gguf").symlink_to(DEMO.parents[1] / "assets/desk-q8_0.gguf")
    lines = [
        "variants:",
        "- {name: one, prompt: queue, model: m, sampling: {temperature: 0.5, max_tokens: 9, stop: [END]}",
    ]
    lines[1] += "".join(f", {key}: {value}" for key, value in changes.items()) + "}"
    path = folder / "mine.bench.yaml"
    path.write_text(
        "\n".join(
            [
                *lines,
                "models: {m: {path: tiny.gguf, context_tokens: 256}}",
                "dataset: {path: rows.jsonl}",
                "library: .",
                "",
            ]
        )
    )
    return path


def test_a_modelfile_holds_the_decision_and_can_be_read_back(tmp_path: Path):
    path = bench_file(tmp_path, adapters=f"[{{adapter: {DEMO.parents[1] / 'assets/queues-lora.gguf'}}}]")
    found = export(str(path), "modelfile", "", 1, Settings())
    (tmp_path / "Modelfile").write_text(found.files["Modelfile"])
    parts = read_modelfile(tmp_path / "Modelfile")
    assert parts.prompts[0].messages[0].text == "Be short."
    options = {"temperature": 0.5, "max_tokens": 9, "stop": ["END"]}
    ours = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "seed": 0}  # Ollama's own would draw
    assert parts.prompts[0].options == options | ours
    assert [one.noun for one in found.losses.losses] == ["adapters"]  # Ollama no longer makes models with one
    (model,) = parts.models
    assert (
        Path(model.choice["path"]).resolve() == (tmp_path / "tiny.gguf").resolve()
        and model.choice["context_tokens"] == 256
    )
    assert model.adapters == (str(DEMO.parents[1] / "assets/queues-lora.gguf"),)


MODELFILE_TEXT = TEXT.map(lambda text: text.replace("\r", ""))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MODELFILE_TEXT, min_size=3, max_size=3), st.lists(MODELFILE_TEXT.filter(bool), max_size=2))
def test_texts_and_stop_sequences_in_a_modelfile_come_back_as_they_were(tmp_path: Path, texts, stops):
    roles = ("system", "user", "assistant")
    sections = [Section(role, quote_literal(text) or "x") for role, text in zip(roles, texts, strict=True)]
    prompt = Prompt("p", join_sections([*sections, Section("user", "{{ message }}")]))
    sampling = Sampling(stop=tuple(stops), seed=None)
    given = Decision("d", prompt, (), Model("m", tmp_path / 'a "b" c.gguf'), (), sampling, {})
    if any('"""' in text for text in (*texts, *stops)):
        with pytest.raises(PromptError, match="three quotes"):
            export_modelfile(given)
        return
    (tmp_path / "Modelfile").write_text(export_modelfile(given).files["Modelfile"])
    (found,) = (parts := read_modelfile(tmp_path / "Modelfile")).prompts
    read = prompty.load(write_prompty(found), "x", Path("x.prompty")).prompt
    sent = [(one.role, one.content) for one in render(prompt, {"message": "q"})]
    assert [(one.role, one.content) for one in render(read, {"input": "q"})] == sent
    assert found.options.get("stop", []) == stops
    assert "seed" not in found.options
    assert Path(parts.models[0].choice["path"]).name == 'a "b" c.gguf'


def test_what_ollama_would_leave_out_is_refused_or_lost():
    prompt = Prompt("p", "system:\nNo\u00a0break.\n\nuser:\n{{ message }}\n")
    given = Decision("d", prompt, (), Model("m", Path("/m.gguf")), (), Sampling(mirostat=2), {})
    with pytest.raises(PromptError, match=r"The system message has the character U\+00A0, which Ollama leaves out"):
        export_modelfile(given)
    found = export_modelfile(given._replace(prompt=Prompt("p", "user:\n{{ message }}\n")))
    assert "mirostat" not in found.files["Modelfile"]
    assert [one.reason for one in found.losses.losses] == ["mirostat"]


@pytest.mark.parametrize(
    ("form", "changes", "problem"),
    [
        ("modelfile", {"prompt": "system:\nBe {{ tone }}.\n\nuser:\n{{ message }}\n"}, "depends on the case"),
        ("modelfile", {"adapters": "[{adapter: SHIPPED, scale: 0.5}]"}, "knows no scale"),
        ("vllm", {"adapters": "[{adapter: SHIPPED}]"}, "PEFT adapters at scale 1"),
        ("llm", {"prompt": "user:\na\n\nassistant:\nb\n\nuser:\nc\n"}, "a system and a user message"),
        ("dotprompt", {"prompt": "user:\n{% if message %}x{% endif %}\n"}, "does more than to print variables"),
        ("nothing", {}, "No such format"),
    ],
)
def test_what_would_answer_otherwise_is_refused(tmp_path: Path, form, changes, problem):
    shipped = str(DEMO.parents[1] / "assets/queues-lora.gguf")
    path = bench_file(tmp_path, **{key: value.replace("SHIPPED", shipped) for key, value in changes.items()})
    with pytest.raises(WorkbenchError, match=problem):
        export(str(path), form, "", 1, Settings())


def test_servers_get_a_script_and_a_request(tmp_path: Path):
    path = bench_file(tmp_path, adapters=f"[{{adapter: {DEMO.parents[1] / 'assets/queues-lora.gguf'}, scale: 0.5}}]")
    found = export(str(path), "llama-server", "one", 1, Settings())
    script = found.files["llama-server.sh"]
    assert "--lora-scaled" in script and "queues-lora.gguf:0.5" in script and "-c 256" in script
    request = json.loads(found.files["request.json"])
    assert request["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": 'Q: Where "is" it?'},
    ]
    assert request["temperature"] == 0.5 and request["stop"] == ["END"]
    folder = DEMO.parents[1] / "assets"
    path.write_text(
        path.read_text()
        .replace("tiny.gguf", str(folder / "desk"))
        .replace("queues-lora.gguf, scale: 0.5", "queues-lora")
    )
    served = export(str(path), "vllm", "one", 1, Settings())
    assert f"--lora-modules queues-lora={folder / 'queues-lora'}" in served.files["vllm.sh"]
    assert "--max-lora-rank 8 " in served.files["vllm.sh"] and "--generation-config vllm" in served.files["vllm.sh"]
    shutil.copytree(folder / "queues-lora", tmp_path / "dora")
    config = json.loads((tmp_path / "dora/adapter_config.json").read_text())
    (tmp_path / "dora/adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    path.write_text(path.read_text().replace(str(folder / "queues-lora"), str(tmp_path / "dora")))
    with pytest.raises(WorkbenchError, match="vLLM cannot apply dora: it is a DoRA"):
        export(str(path), "vllm", "one", 1, Settings())
    (tmp_path / "a,b").mkdir()
    shutil.copy(folder / "queues-lora.gguf", tmp_path / "a,b/x.gguf")
    path.write_text(
        path.read_text().replace(str(folder / "desk"), "tiny.gguf").replace(str(tmp_path / "dora"), "'a,b/x.gguf'")
    )
    with pytest.raises(WorkbenchError, match="a path with a comma or a colon"):
        export(str(path), "llama-server", "one", 1, Settings())


def test_the_python_file_sends_what_the_workbench_sends(tmp_path: Path, monkeypatch):
    path = bench_file(
        tmp_path,
        prompt='---\ninputs: {tone: "a \\"kind\\" one"}\n---\nsystem:\nBe {{ tone }}{{ "\\n" }}\n\nuser:\n{{ message }}\n',
    )
    code = export(str(path), "python", "", 1, Settings()).files["ask.py"]
    (tmp_path / "ask.py").write_text(code)
    module = runpy.run_path(str(tmp_path / "ask.py"))
    prompt = prompty.load((tmp_path / "queue.prompty").read_text(), "queue", tmp_path / "queue.prompty").prompt
    values = {"message": "it's {{ no template }}"}
    sent = [{"role": one.role, "content": one.content} for one in render(prompt, values)]
    assert module["render"](**values) == sent
    assert module["OPTIONS"]["temperature"] == 0.5


def test_a_prompt_of_the_library_goes_to_stdout(capsys):
    assert run("queues/plain", "--as", "dotprompt") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("---\n") and '{{role "system"}}' in shown.out
    assert run("queues/plain", "--as", "modelfile") == 2
    assert "needs a bench" in capsys.readouterr().err


def test_a_chain_and_a_variant_are_written_as_their_file_and_what_is_not_in_it_is_listed(tmp_path: Path, capsys):
    chain = 'steps:   # two\n  - {name: a, template: "user:\\n{{ message }}"}\n  - {name: b, prompt: queue}\n'
    path = bench_file(tmp_path)
    (tmp_path / "long.chain.yaml").write_text(chain)
    path.write_text(path.read_text().replace("prompt: queue", "prompt: long"))
    found = export(str(path), "prompty", "", 1, Settings())
    assert found.files == {"long.chain.yaml": chain}
    lost = [one.reason for one in found.losses.losses]
    assert lost == ["temperature of the variant", "max_tokens of the variant", "stop of the variant"]
    assert run("long", "--as", "prompty") == 0
    assert capsys.readouterr().out == chain


def test_sampling_goes_along_and_what_has_no_name_there_is_listed():
    given = PromptExport(Prompt("p", "user:\nx\n"), (), Sampling(temperature=0.7, mirostat=1), {})
    found = PROMPT_FORMS["dotprompt"](given)
    assert "temperature: 0.7" in found.files["p.prompt"]
    assert [one.reason for one in found.losses.losses] == ["mirostat"]


def test_a_variant_with_an_adapter_is_not_written_as_its_base():
    found = export(str(DEMO), "promptfoo", "", 1, Settings())
    assert [one.where for one in found.losses.losses if one.noun == "variants"] == ["plain + LoRA"]
    labels = [one["label"] for one in parse_text(found.files["promptfooconfig.yaml"], "")["providers"]]
    assert labels == ["plain", "few-shot, warm"]
