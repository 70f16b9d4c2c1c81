"""Servers that misbehave: an answer or one clear message, the right number of requests, and the key nowhere."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.inference.remote import hostile_scenarios
from tests.inference.remote.asking import KEY, Outcomes, ask, make_request, remote_model
from tests.inference.remote.hostile_server import SCENARIOS, HostileServer, serve_hostile
from workbench.errors import WorkbenchError
from workbench.inference.remote.generation import RETRIES
from workbench.inference.types import Completion

ALL = 1 + RETRIES
PAUSES = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]


class ExpectedAnswer(NamedTuple):
    """Of one batch request: the answer, or what the message says; how many requests it took; the pauses between."""

    text: str = ""
    says: str = ""
    requests: int = 1
    pauses: list[float] = []  # noqa: RUF012  never changed


EXPECTED = {
    "fine": ExpectedAnswer("Lantern"),
    "busy-seconds": ExpectedAnswer("Lantern", requests=3, pauses=[7, 7]),
    "busy-date": ExpectedAnswer("Lantern", requests=3, pauses=[7, 0]),  # the date has come when it is told again
    "busy-silent": ExpectedAnswer("Lantern", requests=3, pauses=[0.5, 1]),
    "busy-nonsense": ExpectedAnswer("Lantern", requests=3, pauses=[0.5, 1]),
    "busy-for-ever": ExpectedAnswer(says="busy", requests=ALL, pauses=[1] * RETRIES),
    "busy-too-long": ExpectedAnswer(says="busy"),
    "fails-once": ExpectedAnswer("Lantern", requests=2, pauses=[0.5]),
    "fails-for-ever": ExpectedAnswer(says="out of memory", requests=ALL, pauses=PAUSES),
    "refuses": ExpectedAnswer(says="temperature must be 1"),
    "echoes-the-key": ExpectedAnswer(says="refuses the one it was given"),
    "echoes-the-key-in-a-stream": ExpectedAnswer(says="upstream said", requests=ALL, pauses=PAUSES),
    "redirects": ExpectedAnswer(says="redirects to another address"),
    "drops-at-once": ExpectedAnswer(says="broke off", requests=ALL, pauses=PAUSES),
    "drops-in-the-body": ExpectedAnswer(says="broke off", requests=ALL, pauses=PAUSES),
    "ends-early": ExpectedAnswer(says="without saying why", requests=ALL, pauses=PAUSES),
    "empty-body": ExpectedAnswer(says="it is empty", requests=ALL, pauses=PAUSES),
    "error-in-a-stream": ExpectedAnswer(says="the context is full", requests=ALL, pauses=PAUSES),
    "invalid-json": ExpectedAnswer(says="not JSON", requests=ALL, pauses=PAUSES),
    "web-page": ExpectedAnswer(says="empty answer", requests=ALL, pauses=PAUSES),
    "deep-json": ExpectedAnswer(says="not JSON", requests=ALL, pauses=PAUSES),
    "wrong-types": ExpectedAnswer(says="without saying why", requests=ALL, pauses=PAUSES),
    "long-line": ExpectedAnswer(says="a line without an end"),
    "gzip-bomb": ExpectedAnswer(says="gzip"),
    "split-utf8": ExpectedAnswer("Grüße an 山田🙂"),
    "comments": ExpectedAnswer("Lantern"),
    "no-usage": ExpectedAnswer("Lantern"),
    "other-model": ExpectedAnswer("Lantern"),
    "cuts-the-prompt": ExpectedAnswer("Lantern"),
    "several-choices": ExpectedAnswer(says="one index"),
    "late-reasoning": ExpectedAnswer("Lantern"),
    "tool-calls": ExpectedAnswer(""),
    "odd-numbers": ExpectedAnswer("Lantern"),
    "half-characters": ExpectedAnswer("Lantern �Lantern �Lantern  and �"),
    "odd-logprobs": ExpectedAnswer("Lantern"),
    "as-told": ExpectedAnswer("Lantern"),
}


def test_every_scenario_has_an_expectation() -> None:
    assert EXPECTED.keys() == SCENARIOS.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_batch_request_gets_its_answer_or_one_message(
    hostile: HostileServer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    expected = EXPECTED[name]
    outcomes = ask(remote_model(hostile.address(name)), start=hostile_scenarios.DATE - 7)
    if expected.says:
        assert expected.says in outcomes.error.message
        assert hostile.address(name) in outcomes.error.message
        assert outcomes.error.hint
    else:
        assert outcomes.completion.text == expected.text
        assert outcomes.completion.stop_reason == "eos"
        assert outcomes.completion.server
        assert outcomes.completion.server.retries == expected.requests - 1
    assert len(hostile.completions(name)) == expected.requests
    assert outcomes.pauses == expected.pauses
    check_key(hostile, name, outcomes, caplog.text)


def check_key(hostile: HostileServer, name: str, outcomes: Outcomes, log: str) -> None:
    """It went to the server that was named, and is nowhere else."""
    assert {request.headers.get("authorization") for request in hostile.asked[name]} == {f"Bearer {KEY}"}
    assert set(hostile.asked) == {name}
    for one in outcomes.found:
        shown = f"{one.message}{one.hint}{one.details}" if isinstance(one, WorkbenchError) else repr(one)
        assert KEY not in shown
    assert KEY not in log


@pytest.mark.parametrize("name", ["busy-silent", "fails-once"])
def test_who_looks_on_gets_the_answer_of_a_later_try_too(hostile: HostileServer, name: str) -> None:
    outcomes = ask(remote_model(hostile.address(name)), [make_request(priority=0)])
    assert outcomes.completion.text == "Lantern"


@pytest.mark.parametrize("name", ["error-in-a-stream", "ends-early", "drops-in-the-body", "invalid-json"])
def test_a_text_that_is_shown_already_is_not_begun_again(hostile: HostileServer, name: str) -> None:
    outcomes = ask(remote_model(hostile.address(name)), [make_request(priority=0)])
    assert outcomes.error.message
    assert len(hostile.completions(name)) == 1


def test_every_one_of_many_requests_gets_its_answer_from_a_server_that_is_busy_at_first(hostile: HostileServer) -> None:
    requests = [make_request(f"Parcel {number}?") for number in range(40)]
    outcomes = ask(remote_model(hostile.address("busy-seconds")), requests)
    assert [one.text for one in outcomes.found if isinstance(one, Completion)] == ["Lantern"] * 40
    assert len(hostile.completions("busy-seconds")) == 42
    assert set(outcomes.pauses) == {7}


def test_times_are_those_of_the_try_that_was_answered(hostile: HostileServer) -> None:
    completion = ask(remote_model(hostile.address("busy-seconds"))).completion
    assert completion.server
    assert completion.server.queue_seconds == 14
    assert completion.elapsed_seconds == completion.seconds_to_first_token == 0


def test_what_a_server_does_not_count_is_told_as_unknown(hostile: HostileServer) -> None:
    for name in ("no-usage", "odd-numbers"):
        completion = ask(remote_model(hostile.address(name))).completion
        assert completion.server
        assert not completion.server.counted
        assert any("did not tell" in note for note in completion.notes)


def test_the_model_that_answered_is_kept_by_the_name_it_gave(hostile: HostileServer) -> None:
    completion = ask(remote_model(hostile.address("other-model"))).completion
    assert completion.server
    assert completion.server.model == "impostor-7b"


def test_reasoning_that_comes_late_is_none_of_the_answer(hostile: HostileServer) -> None:
    completion = ask(remote_model(hostile.address("late-reasoning"))).completion
    assert (completion.text, completion.thinking) == ("Lantern", "First, second thoughts")


def test_a_tool_call_is_told(hostile: HostileServer) -> None:
    assert any("tool call" in note for note in ask(remote_model(hostile.address("tool-calls"))).completion.notes)


def test_a_server_without_tls_is_told_as_such(hostile: HostileServer) -> None:
    address = hostile.address("fine").replace("http://", "https://")
    outcomes = ask(remote_model(address))
    assert address in outcomes.error.message
    assert "certificate" in outcomes.error.hint
    assert hostile.asked == {}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificate, was not found")
def test_a_certificate_that_nobody_vouches_for_is_not_taken(
    hostile: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "self-signed.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(pem), "-out", f"{pem}.crt"], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + Path(f"{pem}.crt").read_bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    with serve_hostile(context) as secured:
        address = secured.address("fine").replace("http://", "https://")
        refused = ask(remote_model(address))
        assert "certificate" in refused.error.message.lower()
        assert "SSL_CERT_FILE" in refused.error.hint
        assert secured.asked == {}
        monkeypatch.setenv("SSL_CERT_FILE", f"{pem}.crt")
        assert ask(remote_model(address)).completion.text == "Lantern"


def test_a_server_that_is_gone_is_told_as_such(hostile: HostileServer) -> None:
    model = remote_model(hostile.address("fine"))
    hostile.close()
    assert "does not answer" in ask(model).error.message


def test_no_key_is_sent_where_none_is_set(hostile: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEER_KEY")
    assert ask(remote_model(hostile.address("fine"))).completion.text == "Lantern"
    assert all("authorization" not in request.headers for request in hostile.asked["fine"])


def test_no_proxy_of_the_environment_is_asked(hostile: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{hostile.port}/proxy")
    monkeypatch.setenv("NO_PROXY", "")
    ask(remote_model(hostile.address("fine")))
    assert set(hostile.asked) == {"fine"}
