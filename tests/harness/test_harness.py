"""The bridge to lm-eval: its own model class is the oracle, on the same tiny checkpoint."""

from __future__ import annotations

import contextlib

import pytest

from tests.harness.harness_tasks import write_tasks
from workbench.errors import HarnessError, ModelError
from workbench.harness import evaluation
from workbench.harness.evaluation import HarnessRequest, run_tasks
from workbench.harness.generation_args import read_generation_args
from workbench.harness.prefix_text import find_prefix_text
from workbench.inference.pool import Pool
from workbench.models.reference import Adapter, Applied, model_at

TEXTS = [
    ("Where is my parcel?", " In the house."),
    ("Where is my parcel? ", "In the house."),  # the space goes over to the continuation
    ("", "the parcel in the house"),
    ("ünïcode", " € and more"),
    ("Where is my parcel?", " Here."),
]

lm_eval = pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


class Request:
    """What lm-eval hands to a model: the arguments of a request."""

    def __init__(self, *args):
        self.args = args


@pytest.fixture(scope="module")
def pool():
    with contextlib.closing(Pool(threads=1)) as made:
        yield made


@pytest.fixture(scope="module")
def ours(pool, tiny_hf):
    import asyncio

    from workbench.harness.language_model import WorkbenchLM

    client = pool.client(model_at(tiny_hf))
    asyncio.run(client.load())
    return WorkbenchLM(client)


@pytest.fixture(scope="module")
def theirs(tiny_hf):
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(tiny_hf), device="cpu", dtype="float32", batch_size=1)


def test_loglikelihoods_are_those_of_lm_evals_own_model(ours, theirs):
    requests = [Request(*pair) for pair in TEXTS]
    expected = theirs.loglikelihood(requests)
    found = ours.loglikelihood(requests)
    assert [one[0] for one in found] == pytest.approx([one[0] for one in expected], abs=2e-4)
    assert [one[1] for one in found] == [one[1] for one in expected]


def test_whole_texts_are_as_likely_as_in_lm_evals_own_model(ours, theirs):
    requests = [Request(text) for text in ("the parcel in the house", "Be kind. ünïcode €", "a")]
    expected = theirs.loglikelihood_rolling(requests)
    assert ours.loglikelihood_rolling(requests) == pytest.approx(expected, abs=5e-4)


def test_greedy_answers_are_those_of_lm_evals_own_model(ours, theirs):
    arguments = {"until": ["zzz"], "max_gen_toks": 8, "do_sample": False}
    requests = [Request(text, dict(arguments)) for text in ("Where is my parcel?", "And mine?")]
    assert ours.generate_until(requests) == theirs.generate_until(requests)


def test_the_chat_template_is_the_models_own(ours, theirs):
    chat = [{"role": "user", "content": "Where is my parcel?"}]
    assert ours.apply_chat_template(chat) == theirs.apply_chat_template(chat)


def test_a_text_longer_than_the_context_is_cut_into_windows_and_counted(ours):
    ours.windows = ours.truncated = 0
    long = "the parcel in the house, and the kettle is here; " * 30
    (found,) = ours.loglikelihood_rolling([Request(long)])
    assert found < 0
    assert (ours.windows, ours.truncated) == (1, 0)
    ours.loglikelihood([Request(long, " Here.")])
    assert (ours.windows, ours.truncated) == (1, 1)


def test_tasks_of_ones_own_run_and_what_was_ignored_is_said(pool, tiny_hf, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    include = (write_tasks(tmp_path),)
    request = HarnessRequest(("parcels", "letters", "words"), include)
    result = run_tasks(request, pool.client(model_at(tiny_hf)))
    found = {(one.task, one.metric): one for one in result.scores}
    assert found["parcels", "acc"].documents == 3
    assert 0 <= found["parcels", "acc"].value <= 1
    assert found["letters", "exact_match"].value == 0
    assert found["words", "word_perplexity"].value > 1
    assert "Not used of the generation arguments: num_beams (3 requests)." in result.notes


def test_an_adapter_on_a_gguf_acts(pool, tmp_path, tiny_gguf):
    import asyncio

    from gguf_fixture import write_gguf_adapter

    from workbench.harness.language_model import WorkbenchLM

    base = tiny_gguf()
    lora = write_gguf_adapter(tmp_path / "lora.gguf", base)
    client = pool.client(model_at(base))
    asyncio.run(client.load())
    request = [Request("Where is my parcel?", " Here.")]
    applied = Applied(Adapter("lora", lora, "gguf"), 4.0)
    alone = WorkbenchLM(client).loglikelihood(request)
    adapted = WorkbenchLM(client, (applied,)).loglikelihood(request)
    assert alone[0][0] != pytest.approx(adapted[0][0], abs=1e-3)


def test_a_task_whose_data_are_not_there_is_one_message(pool, tiny_hf, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    (write_tasks(tmp_path) / "parcels.jsonl").unlink()
    with pytest.raises(HarnessError, match="lm-eval could not run parcels") as raised:
        run_tasks(HarnessRequest(("parcels",), (tmp_path,)), pool.client(model_at(tiny_hf)))
    assert "data can be downloaded" in raised.value.hint


def test_without_the_extra_one_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(HarnessError, match="lm-eval is not installed") as raised:
        evaluation.check_installed()
    assert "[lm-eval]" in raised.value.hint


def test_generation_arguments():
    read = read_generation_args({"until": "\n", "max_gen_toks": 7, "do_sample": True, "top_p": 0.9, "num_beams": 2})
    assert (read.sampling.stop, read.sampling.max_tokens, read.sampling.temperature) == (("\n",), 7, 1.0)
    assert read.sampling.top_p == 0.9
    assert read.unused == ("num_beams",)
    assert read_generation_args({"temperature": 0.7, "do_sample": False}).sampling.temperature == 0.0


def test_the_prefix_token(tiny_hf, tiny_gguf, tmp_path):
    assert find_prefix_text(model_at(tiny_hf)) == "<|begin|>"
    assert find_prefix_text(model_at(tiny_gguf()))
    (tmp_path / "bare").mkdir()
    with pytest.raises(ModelError):
        find_prefix_text(model_at(tmp_path / "bare"))
