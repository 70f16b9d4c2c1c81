from __future__ import annotations

import threading

import peft  # noqa: TID253
import pytest
from hf_fixture import LINEAR, write_adapter, write_hf

from workbench.inference.pool import Pool
from workbench.inference.worker.main import open_engine
from workbench.inference.worker.thread import ThreadTransport
from workbench.models.adapter_info import inspect_adapter
from workbench.models.model_info import inspect_gguf
from workbench.models.reference import Adapter

in_threads = pytest.mark.usefixtures("engines_in_threads")


@pytest.fixture(scope="module")
def hf(tmp_path_factory):
    return write_hf(tmp_path_factory.mktemp("base") / "tiny", context_tokens=1000)


@pytest.fixture(scope="module")
def lora(hf, tmp_path_factory):
    config = peft.LoraConfig(r=4, target_modules=LINEAR)
    return write_adapter(hf, tmp_path_factory.mktemp("adapters") / "mine", config)


@pytest.fixture
def engines_in_threads(monkeypatch):
    """The real engines in threads of this process, which has torch already: a process takes seconds to load it.

    What is in processes of its own in this module is a whole conversion and a model that no engine loads. One loads
    after another: transformers replaces functions of its own while it loads, and two at once would leave them so."""
    loading = threading.Lock()

    def open_alone(*arguments):
        with loading:
            return open_engine(*arguments)

    monkeypatch.setattr(Pool, "open_transport", lambda self, model: ThreadTransport(open_alone, model.name))


def test_a_folder_becomes_a_file_that_answers_alike(call, hf, tmp_path):
    code, out, err = call("convert", hf, tmp_path / "tiny.gguf", "--type", "q8_0", "--check", 2)
    assert (code, out) == (0, "")
    assert "of 2 answers are identical before and after" in err
    assert inspect_gguf(tmp_path / "tiny.gguf").quantization == "Q8_0"


@in_threads
def test_a_lora_becomes_a_gguf_adapter_for_its_base(call, hf, lora, tmp_path):
    assert call("convert", hf, tmp_path / "tiny.gguf", "--check", 0)[0] == 0
    code, _, err = call("convert", lora, tmp_path / "mine.gguf", "--base", tmp_path / "tiny.gguf", "--type", "f16")
    assert code == 0
    assert "Not checked" in err
    assert inspect_adapter(Adapter("mine", tmp_path / "mine.gguf", "gguf")).ranks == (4,)


@in_threads
def test_an_adapter_is_merged_into_a_folder_or_a_file(call, hf, lora, tmp_path):
    assert call("convert", hf, tmp_path / "merged", "--merge", lora, "--check", 0)[0] == 0
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    assert call("convert", hf, tmp_path / "merged.gguf", "--merge", lora, "--type", "f32", "--check", 0)[0] == 0
    assert inspect_gguf(tmp_path / "merged.gguf").quantization == "F32"


@in_threads
def test_an_adapter_is_merged_inside_gguf_and_the_result_answers_as_both_did(call, hf, lora, tmp_path):
    assert call("convert", hf, tmp_path / "tiny.gguf", "--type", "f32", "--check", 0)[0] == 0
    assert call("convert", lora, tmp_path / "mine.gguf", "--base", tmp_path / "tiny.gguf", "--check", 0)[0] == 0
    for name, adapter in (("one.gguf", lora), ("two.gguf", tmp_path / "mine.gguf")):
        code, _, err = call("convert", tmp_path / "tiny.gguf", tmp_path / name, "--merge", adapter, "--check", 2)
        assert (code, "2 of 2 answers are identical" in err) == (0, True)
    assert inspect_gguf(tmp_path / "one.gguf").quantization == "F32"


@in_threads
def test_a_merge_is_quantized_afterwards_and_a_quantized_model_is_not_merged_into(call, hf, lora, tmp_path):
    assert call("convert", hf, tmp_path / "tiny.gguf", "--type", "f16", "--check", 0)[0] == 0
    wanted = (tmp_path / "new.gguf", "--merge", lora, "--type", "q8_0", "--check", 0)
    assert call("convert", tmp_path / "tiny.gguf", *wanted)[0] == 0
    assert inspect_gguf(tmp_path / "new.gguf").quantization == "Q8_0"
    code, _, err = call("convert", tmp_path / "new.gguf", tmp_path / "again.gguf", "--merge", lora)
    assert (code, "is quantized (Q8_0)" in err) == (2, True)
    assert not (tmp_path / "again.gguf").exists()


def test_the_check_may_ask_a_dataset_of_ones_own(call, tiny_gguf, folder, tmp_path):
    wanted = ("convert", tiny_gguf(context_tokens=1000), tmp_path / "new.gguf", "--type", "bf16")
    code, _, err = call(*wanted, "--dataset", "cases.jsonl", "--prompt", "queues/plain", "--check", 3)
    assert code == 0
    assert "of 3 answers are identical" in err
    code, _, err = call("convert", tiny_gguf(), tmp_path / "other.gguf", "--dataset", "gone.jsonl")
    assert code == 2
    assert "gone.jsonl" in err
    assert not (tmp_path / "other.gguf").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("{hf}", "there.gguf"), "already exists"),
        (("{lora}", "new.gguf"), "a base model to convert"),
        (("{lora}", "new.gguf", "--base", "{hf}"), "not a GGUF model"),
        (("{hf}", "new"), "not a .gguf file"),
        (("{hf}", "new.gguf", "--type", "q9"), "no quantization 'q9'"),
        (("{hf}", "new", "--merge", "unknown"), "No such adapter: 'unknown'"),
    ],
)
def test_what_cannot_be_converted_says_why_and_leaves_nothing(call, folder, hf, lora, arguments, expected):
    (folder / "there.gguf").touch()
    before = sorted(folder.iterdir())
    code, _, err = call("convert", *(argument.format(hf=hf, lora=lora) for argument in arguments))
    assert code == 2
    assert expected in err
    assert sorted(folder.iterdir()) == before


@in_threads
def test_parity_tells_whether_two_forms_read_the_same(call, hf, tmp_path):
    from workbench.models.hf_to_gguf import convert_hf_to_gguf

    convert_hf_to_gguf(hf, tmp_path / "tiny.gguf", "f32")
    code, out, _ = call("parity", hf, tmp_path / "tiny.gguf", "--system", "Be kind.", "--answer", "Of  course 12.")
    assert code == 0
    assert out.startswith("Identical: ")


@in_threads
def test_parity_shows_every_token_that_differs(call, hf, tmp_path, tiny_gguf):
    code, out, _ = call("parity", hf, tiny_gguf("other", chat_template="{{ messages[0].content }}"))
    assert code == 1
    assert "The texts differ" in out
    assert "'<|user|>'" in out


def test_parity_sets_a_server_beside_the_files(call, tiny_gguf):
    """The server reads what the file reads, and then forgets the token that begins an answer."""
    from http_fixture import serve

    from workbench.inference.llamacpp.engine import LlamaEngine
    from workbench.inference.types import GenerateRequest
    from workbench.models.reference import Model
    from workbench.prompting.prompt import Message

    one, two = tiny_gguf("one"), tiny_gguf("two")
    engine = LlamaEngine.open(Model("one", one), 1, 512, lambda _: True)
    lost = 0

    def answer(path, body):
        if path == "/v1/models":
            return 200, {"data": [{"id": "one", "owned_by": "llamacpp"}]}
        if body is None:
            return {"/props": (200, {"default_generation_settings": {}}), "/lora-adapters": (200, [])}.get(
                path, (404, "")
            )
        if path == "/apply-template":
            messages = tuple(Message(turn["role"], turn["content"]) for turn in body["messages"])
            return 200, {"prompt": engine.tokenize(GenerateRequest(0, messages)).text}
        ids = engine._vocabulary.tokenize(body["content"], body["parse_special"])
        pieces = [{"id": token, "piece": engine._vocabulary.text(token)} for token in ids]
        return 200, {"tokens": pieces[: len(pieces) - lost]}

    with serve(answer) as (address, _):
        code, out, _ = call("parity", one, address)
        assert (code, out[:9]) == (0, "Identical")
        lost = 1
        code, out, _ = call("parity", one, two, address)
    engine.close()
    assert code == 1
    assert "two.gguf\nIdentical: " in out
    assert "left  '<|assistant|>'" in out
    assert "right nothing" in out


def test_pickled_weights_are_written_anew_only_when_asked(call, lora, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file

    old = shutil.copytree(lora, tmp_path / "old")
    torch.save(load_file(old / "adapter_model.safetensors"), old / "adapter_model.bin")
    (old / "adapter_model.safetensors").unlink()
    code, _, err = call("convert", old, tmp_path / "new.gguf", "--base", "desk-f16")
    assert (code, "--allow-pickle" in err) == (2, True)
    assert call("convert", old, tmp_path / "new", "--allow-pickle")[0] == 0
    assert inspect_adapter(Adapter("new", tmp_path / "new")).ranks == (4,)


@in_threads
def test_a_result_that_differs_is_set_aside_and_says_so(call, hf, tmp_path, monkeypatch):
    """The converter forgets the order in which llama's heads are turned."""
    from workbench.models import hf_to_gguf

    monkeypatch.setattr(hf_to_gguf, "change_weights", lambda name, array, config: array)
    code, _, err = call("convert", hf, tmp_path / "tiny.gguf", "--type", "f32", "--check", 0)
    assert code == 1
    assert "not equivalent to its source" in err
    assert "log-probabilities differ by" in err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("tiny")] == ["tiny.differs.gguf"]


@in_threads
def test_tokens_that_differ_are_shown(call, hf, tmp_path, monkeypatch):
    from workbench.models import gguf_tokenizer

    monkeypatch.setattr(gguf_tokenizer, "_merges", lambda tree: tree["model"]["merges"][::-1])
    code, _, err = call("convert", hf, tmp_path / "tiny.gguf", "--check", 0)
    assert code == 1
    assert "texts are read otherwise, such as" in err
    assert not (tmp_path / "tiny.gguf").exists()


def test_a_file_that_no_engine_loads_is_set_aside(call, hf, tmp_path, monkeypatch):
    from workbench.models import gguf_tokenizer

    monkeypatch.setattr(gguf_tokenizer, "find_pre_tokenizer", lambda tree: "no such way")
    code, _, err = call("convert", hf, tmp_path / "tiny.gguf", "--check", 0)
    assert code == 1
    assert "could not be checked" in err
    assert (tmp_path / "tiny.unchecked.gguf").exists()


@in_threads
def test_a_missing_folder_is_made_and_goes_again_where_nothing_is_written(call, hf, tmp_path):
    code, _, err = call("convert", hf, tmp_path / "new" / "deep" / "tiny.gguf", "--check", 0)
    assert (code, "log-probabilities of" in err) == (0, True)
    assert (tmp_path / "new" / "deep" / "tiny.gguf").is_file()
    code, _, err = call("convert", hf, tmp_path / "other" / "deep" / "tiny", "--check", 0)
    assert (code, "not a .gguf file" in err) == (2, True)
    assert not (tmp_path / "other").exists()


@in_threads
def test_two_adapters_are_merged_and_both_count(call, hf, lora, tmp_path):
    second = write_adapter(hf, tmp_path / "second", peft.LoraConfig(r=2, target_modules=["q_proj"]), seed=8)
    both = ("--merge", lora, "--merge", second)
    code, _, err = call("convert", hf, tmp_path / "both", *both, "--scale", 1, "--scale", 0.5, "--check", 0)
    assert (code, "log-probabilities of" in err) == (0, True)
    code, _, err = call("convert", hf, tmp_path / "three", *both, "--scale", 1, "--scale", 2, "--scale", 3)
    assert (code, "Found 3 scales for 2 adapters" in err) == (2, True)
    code, _, err = call("convert", hf, tmp_path / "none", "--merge", lora, "--scale", 0)
    assert (code, "scale of 0 merges nothing" in err) == (2, True)
