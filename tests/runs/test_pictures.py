"""Pictures in messages: read from files and data URLs, sent to servers as parts, refused by name elsewhere."""

from __future__ import annotations

import base64
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from mmproj_fixture import write_mmproj
from picture_fixture import encode_image, make_image

from tests.inference.remote.test_server_dialects import MODEL, ask, body, refusals
from tests.runs.evaluating import Desk, bench, carry_out
from workbench.datasets import Case
from workbench.errors import FileError, PromptError
from workbench.inference.remote.dialects.protocol import DialectRequest
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.reference import Model
from workbench.prompting.context_fit import Strategy
from workbench.prompting.pictures import LARGEST_BYTES, Picture, load_picture
from workbench.prompting.prompt import Example, Message, Prompt, PromptStep
from workbench.prompting.render import render, render_turn
from workbench.runs.bench import Variant
from workbench.runs.generation import GenerationSpec, list_requests, shows_pictures
from workbench.runs.provenance import ModelTrace, digest_question, trace_model
from workbench.store.store import Store

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
PROMPT = Prompt("look", "system:\nLook.\nuser:\nBefore {{ photo }} after {{ question }}\n", kinds={"photo": "image"})


def spec(folder: Path, photo: str, prompt: Prompt = PROMPT, question: str = "?") -> GenerationSpec:
    case = Case(1, {"photo": photo, "question": question})
    found = GenerationSpec.of(
        Variant("A", "look", "desk"), prompt, case, "refuse", Model("desk", Path("x"), "scripted")
    )
    return dataclasses.replace(found, folder=str(folder))


def test_a_picture_stands_where_its_variable_does(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    system, user = spec(tmp_path, "cat.png").conversation().messages
    assert system == Message("system", "Look.")
    assert user.content == "Before  after ?"
    assert user.pictures == (Picture("image/png", PNG, 7, "cat.png"),)


def test_a_data_url_is_a_picture_too_and_a_name_does_not_decide_the_type(tmp_path: Path) -> None:
    url = "data:image/jpeg;base64," + base64.b64encode(PNG).decode()
    assert spec(tmp_path, url).conversation().messages[1].pictures[0].media_type == "image/png"


def test_a_case_without_a_picture_sends_none(tmp_path: Path) -> None:
    assert spec(tmp_path, "").conversation().messages[1] == Message("user", "Before  after ?")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("missing.png", "there is no picture 'missing.png'"),
        ("text.png", "expected a PNG, JPEG, GIF or WebP picture"),
        ("data:image/png;base64,!!", "base64 is broken"),
        ("https://example.org/cat.png", "there is no picture"),
        ("big.png", "is larger than 20 MB"),
        ("\0", "there is no picture"),
    ],
)
def test_what_is_no_picture_is_told_with_its_variable(tmp_path: Path, given: str, problem: str) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with (tmp_path / "big.png").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(FileError, match="`photo`") as caught:
        load_picture(given, tmp_path, "photo")
    assert problem in caught.value.message


def test_texts_that_hold_private_characters_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    question = "".join(chr(0xFB000 + index) for index in range(3))
    user = spec(tmp_path, "cat.png", question=question).conversation().messages[1]
    assert user.content == f"Before  after {question}"
    assert len(user.pictures) == 1


def test_completions_refuse_pictures(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    with pytest.raises(PromptError, match="is a completion"):
        spec(tmp_path, "cat.png", msgspec.structs.replace(PROMPT, mode="completion")).conversation()


def test_a_later_turn_may_have_a_picture() -> None:
    message = render_turn(PROMPT, {"photo": Picture("image/png", PNG), "question": "?"})
    assert message == Message("user", "Before  after ?", pictures=(Picture("image/png", PNG, 7),))


SHOTS = (
    Example("e1", {"photo": "dog.png", "question": "1"}, "dog"),
    Example("e2", {"photo": "", "question": "2"}, "-"),
)


@pytest.mark.parametrize("strategy", ["refuse", "drop"])
def test_pictures_of_examples_are_read_beside_the_case(tmp_path: Path, strategy: Strategy) -> None:
    (tmp_path / "cat.png").write_bytes(PNG + b"cat")
    (tmp_path / "dog.png").write_bytes(PNG + b"dog")
    shown = msgspec.structs.replace(PROMPT, placement="turns", examples=SHOTS)
    asked = dataclasses.replace(spec(tmp_path, "cat.png", shown), strategy=strategy)
    messages = asked.conversation().messages
    assert [message.content for message in messages if message.role == "user"] == [
        "Before  after 1",
        "Before  after 2",
        "Before  after ?",
    ]
    assert [[one.name for one in message.pictures] for message in messages if message.role == "user"] == [
        ["dog.png"],
        [],
        ["cat.png"],
    ]
    assert asked.request().prompt.messages == messages  # type: ignore[union-attr]


def test_pictures_of_inline_examples_stand_where_the_loop_puts_them(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG + b"cat")
    (tmp_path / "dog.png").write_bytes(PNG + b"dog")
    body = "user:\n{% for e in examples %}[{{ e.photo }}={{ e.answer }}]{% endfor %} {{ photo }}?\n"
    shown = msgspec.structs.replace(PROMPT, body=body, placement="inline", examples=SHOTS)
    prompt = dataclasses.replace(spec(tmp_path, "cat.png", shown), strategy="drop").request().prompt
    assert prompt is not None
    (message,) = prompt.messages
    assert message.content == "[=dog][=-] ?"
    assert [(one.name, one.at) for one in message.pictures] == [("dog.png", 1), ("cat.png", 11)]
    (fewer,) = prompt.keep(1)
    assert fewer.content == "[=dog] ?"
    assert [one.name for one in fewer.pictures] == ["dog.png", "cat.png"]
    assert [one.name for one in prompt.keep(0)[0].pictures] == ["cat.png"]


def test_a_missing_picture_of_an_example_is_told(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    shown = msgspec.structs.replace(PROMPT, placement="turns", examples=SHOTS)
    with pytest.raises(FileError, match=r"there is no picture 'dog\.png'"):
        spec(tmp_path, "cat.png", shown).conversation()


def test_a_small_file_that_claims_a_huge_picture_is_refused(tmp_path: Path) -> None:
    size = (60_000).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + size + b"\0" * 9)
    with pytest.raises(FileError, match="60,000 × 60,000 pixels"):
        load_picture("bomb.png", tmp_path, "photo")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("lossless", [False, True])
def test_the_header_tells_the_pixels_of_every_format(tmp_path: Path, kind: str, lossless: bool) -> None:
    options = {"lossless": lossless} if kind == "WEBP" else {}
    (tmp_path / "some.bin").write_bytes(encode_image(make_image(width=37, height=21), kind, **options))
    assert load_picture("some.bin", tmp_path, "photo").size == (37, 21)


def test_another_picture_is_another_question() -> None:
    values = {"question": "?"}
    one, other = (render(PROMPT, {**values, "photo": Picture("image/png", PNG + end)}) for end in (b"1", b"2"))
    assert one != other
    assert msgspec.json.encode(one) != msgspec.json.encode(other)
    assert msgspec.json.decode(msgspec.json.encode(one), type=tuple[Message, ...]) == one


TALK = (Message("user", "Before  after", pictures=(Picture("image/png", PNG, 7),)),)


@pytest.mark.parametrize("dialect", ["openai", "vllm", "llama-server", "lmstudio", "sglang"])
def test_servers_get_text_and_pictures_as_parts_in_their_order(dialect: str) -> None:
    (message,) = body(dialect, ask(TALK))["messages"]
    encoded = base64.b64encode(PNG).decode()
    assert message["content"] == [
        {"type": "text", "text": "Before "},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}},
        {"type": "text", "text": " after"},
    ]


def test_ollama_gets_pictures_beside_the_text() -> None:
    (message,) = body("ollama", ask(TALK))["messages"]
    assert message["content"] == "Before  after"
    assert message["images"] == [base64.b64encode(PNG).decode()]


@pytest.mark.parametrize("dialect", ["llama-server", "ollama"])
def test_a_server_model_that_cannot_see_is_refused_by_name(dialect: str) -> None:
    blind = msgspec.structs.replace(MODEL, sees=False)
    request = DialectRequest(GenerateRequest(1, TALK, Sampling()), blind)
    assert "tiny cannot see" in refusals(dialect, request)
    assert "cannot see" not in refusals(dialect, ask(TALK))


def test_a_model_on_this_machine_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    desk = Desk(tmp_path)
    desk.prompts["look"] = PROMPT
    try:
        case = Case(1, {"photo": "cat.png", "question": "?"}, "x", 1)
        (cell,) = carry_out(desk.evaluation(bench(Variant("A", "look", "desk")), (case,)))
    finally:
        desk.close()
    assert cell.error.startswith("desk cannot be shown pictures")


def test_a_pictures_name_is_no_part_of_the_question_and_its_bytes_are() -> None:
    model = ModelTrace(Model("desk", Path("x"), "scripted"), "1")

    def digest(data: bytes, name: str) -> bytes | None:
        messages = (Message("user", "?", pictures=(Picture("image/png", data, 1, name),)),)
        return digest_question(model, (), messages, "chat", Sampling(), "scripted")

    assert digest(PNG, "cat.png") == digest(PNG, "copy of cat.png")
    assert digest(PNG, "cat.png") != digest(PNG + b"1", "cat.png")


def test_the_projector_is_part_of_what_a_model_is(tmp_path: Path, tiny_gguf: Callable[..., Path]) -> None:
    shutil.copy(tiny_gguf(), tmp_path / "tiny.gguf")
    projector = tmp_path / "mmproj-tiny.gguf"
    write_mmproj(projector)
    store = Store(tmp_path / "store")
    try:
        model = Model("tiny", tmp_path / "tiny.gguf")
        blind, seeing = trace_model(model, store), trace_model(model, store, pictures=True)
        assert blind.fingerprint != seeing.fingerprint
        assert seeing.find_fingerprint(store) == seeing.fingerprint
        write_mmproj(projector, seed=6)
        assert seeing.find_fingerprint(store) != seeing.fingerprint
        assert blind.find_fingerprint(store) == blind.fingerprint
    finally:
        store.close()


def test_a_chains_step_reads_the_picture_from_the_benchs_folder(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    step = PromptStep("look", template="user:\nSee {{ photo }}\n", content=PROMPT)
    chain = Prompt("chain", "user:\nSay {{ steps.look.text }}\n", steps=(step,))
    assert shows_pictures(chain)
    looked, said = list_requests(spec(tmp_path, "cat.png", chain))
    assert looked.request.prompt is not None
    assert [one.name for one in looked.request.prompt.messages[-1].pictures] == ["cat.png"]
    assert said.step != "look"
