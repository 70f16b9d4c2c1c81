"""`workbench models` and `--about` with servers, over a small server of this process."""

from __future__ import annotations

import json

import pytest

from tests.parrot_server import run_parrot
from workbench.inference.remote import found_server


@pytest.fixture
def server():
    with run_parrot() as server:
        yield server


def test_a_server_is_listed_with_its_models(call, server, monkeypatch):
    monkeypatch.setattr(found_server, "PORTS", {server.port: "vLLM"})
    code, out, _ = call("models")
    assert code == 0
    assert server.address in out
    assert "parrot" in out
    code, out, _ = call("models", "--json")
    (found,) = json.loads(out)["servers"]
    assert (found["address"], found["dialect"], found["models"]) == (server.address, "openai", ["parrot"])


def test_folders_that_are_named_are_searched_alone(call, server, monkeypatch, tmp_path):
    monkeypatch.setattr(found_server, "PORTS", {server.port: "vLLM"})
    _, out, _ = call("models", tmp_path, "--json")
    assert json.loads(out)["servers"] == []


def test_the_card_says_what_does_not_act(call, server):
    code, out, err = call("models", "--about", server.address)
    assert code == 0
    assert f"Probing {server.address}" in err
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ")}
    assert "✗ ignored: the server's own" in lines["stop"]
    assert "two seeds gave the same answer" in lines["seed"]
    assert "✗ refused" in lines["continuation"]
    assert "not available" in lines["log-likelihood"]
    assert "21 reported; the tokenizer is not known" in lines["prompt"]


def test_the_card_as_json(call, server):
    code, out, _ = call("models", "--about", f"{server.address}#parrot", "--json")
    assert code == 0
    card = json.loads(out)
    assert (card["address"], card["model"]["name"], card["echoed_model"]) == (server.address, "parrot", "parrot")
    assert {"name": "stop", "state": "ignored", "evidence": "the answer goes on past 'two,'"} in card["fields"]


def test_the_key_goes_to_the_server_and_into_no_output(call, server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret-1")
    _, out, err = call("models", "--about", server.address, "--key-env", "MY_KEY", "--json")
    assert set(server.keys) == {"Bearer sk-secret-1"}
    assert "sk-secret-1" not in out + err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--about", "http://127.0.0.1:1", "--load"), "not on a server"),
        (("--about", "http://me:key@127.0.0.1:1"), "A key belongs into the environment"),
        (("--key-env", "MY_KEY"), "Name one with --about"),
    ],
)
def test_what_cannot_be_asked_of_a_server_says_why(call, arguments, said):
    code, out, err = call("models", *arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_an_adapter_that_a_server_lacks_ends_with_2(call, server):
    code, out, _ = call("models", "--about", server.address, "--adapter", "queues")
    assert code == 2
    assert "✗ queues:" in out
