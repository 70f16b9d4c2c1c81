"""A conversation as token ids, by the server's own chat template and tokenizer."""

from __future__ import annotations

from typing import Any

from workbench.errors import EngineError
from workbench.inference.remote.connection import ServerApi, find
from workbench.inference.remote.http import Reply
from workbench.inference.remote.tool_calls import write_messages, write_tools
from workbench.inference.types import GenerateRequest

PromptIds = tuple[int, ...]

KNOWN_DIALECTS = ("llama-server", "vllm")
"""Servers that tell how they read a conversation."""


async def read_ids(connection: ServerApi, request: GenerateRequest, answer: str = "") -> PromptIds:
    """The prompt's tokens, with an answer behind it where one is given; no end token. Raises EngineError."""
    if connection.dialect == "llama-server":
        return await _tokenize_llama(connection, await render(connection, request) + answer)
    if connection.dialect == "vllm":
        return await _read_vllm(connection, request, answer)
    raise EngineError(f"{connection.address} does not tell how it reads a conversation.", "llama-server and vLLM do.")


async def render(connection: ServerApi, request: GenerateRequest) -> str:
    """The final text that llama-server makes of a request. Raises EngineError."""
    if request.mode == "completion":
        return "".join(message.content for message in request.messages)
    reply = await connection.post("/apply-template", _list_conversation(connection, request))
    text = find(reply.body, "prompt")
    if reply.status != 200 or not isinstance(text, str):
        raise _refused(connection, "/apply-template", reply)
    return text


async def _tokenize_llama(connection: ServerApi, text: str) -> PromptIds:
    reply = await connection.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})
    return _read_tokens(connection, "/tokenize", reply)


async def _read_vllm(connection: ServerApi, request: GenerateRequest, answer: str) -> PromptIds:
    """The text is asked for with the template's own tokens, so that an answer is tokenized together with it."""
    body: dict[str, Any] = {"model": connection.model_name}
    if request.mode == "completion":
        text = "".join(message.content for message in request.messages)
        reply = await connection.post("/tokenize", {**body, "prompt": text + answer, "add_special_tokens": True})
        return _read_tokens(connection, "/tokenize", reply)
    asked = {**body, **_list_conversation(connection, request)}
    prompt = _read_tokens(connection, "/tokenize", await connection.post("/tokenize", asked))
    if not answer:
        return prompt
    reply = await connection.post("/detokenize", {**body, "tokens": list(prompt)})
    text = find(reply.body, "prompt")
    if reply.status != 200 or not isinstance(text, str):
        raise _refused(connection, "/detokenize", reply)
    joined = await connection.post("/tokenize", {**body, "prompt": text + answer, "add_special_tokens": False})
    return _read_tokens(connection, "/tokenize", joined)


def _list_conversation(connection: ServerApi, request: GenerateRequest) -> dict[str, Any]:
    """The messages, open for the answer behind them."""
    continues = request.messages[-1].role == "assistant"
    body: dict[str, Any] = {
        "messages": write_messages(request.messages),
        **write_tools(request.tools),
        "add_generation_prompt": not continues,
        "continue_final_message": continues,
    }
    kwargs = connection.template_kwargs(request)
    return {**body, "chat_template_kwargs": kwargs} if kwargs else body


def _read_tokens(connection: ServerApi, path: str, reply: Reply) -> PromptIds:
    tokens = find(reply.body, "tokens")
    if reply.status != 200 or not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        raise _refused(connection, path, reply)
    return tuple(tokens)


def _refused(connection: ServerApi, path: str, reply: Reply) -> EngineError:
    return EngineError(
        f"{connection.address} does not tell how it reads a conversation: {path} gave status {reply.status}.",
        "Update the server; llama-server and vLLM tell it.",
        str(reply.body)[:500],
    )
