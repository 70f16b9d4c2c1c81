"""`workbench parity`: one conversation, rendered and tokenized by several models and servers, and what differs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.analysis.parity import Parity
    from workbench.inference.types import Tokenized
    from workbench.prompting.prompt import Message

_MOST_SHOWN = 20


def main(
    left: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name or path, or a server's URL.")],
    others: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Other forms of the same model.")],
    text: Annotated[str, typer.Option(metavar="TEXT", help="The user message.")] = "Where is my parcel?",
    system: Annotated[str, typer.Option(metavar="TEXT", help="A system message before it.")] = "",
    answer: Annotated[
        str, typer.Option(metavar="TEXT", help="An assistant message after it, followed by the user message again.")
    ] = "",
    key_env: Annotated[
        str, typer.Option(metavar="VARIABLE", help="Environment variable with the server's API key.")
    ] = "WORKBENCH_SERVER_KEY",
) -> None:
    """Compare how several forms of a model tokenize a conversation.

    A Hugging Face folder, the GGUF file made from it and a server that runs it should agree on every token. If they do
    not, the chat template or the tokenizer was lost in conversion, and answers get worse silently. Each is compared
    with the first. Only the hosts you name are contacted.

    \b
      workbench parity assets/desk desk-q8_0
      workbench parity ~/models/Qwen2.5-0.5B qwen.gguf --system "Be brief."
      workbench parity assets/desk desk-q8_0 http://127.0.0.1:8080

    \b
    Exit codes: 0 identical; 1 different; 2 a model cannot be used; 130
    interrupted.
    """
    from workbench.analysis.parity import compare_tokens

    names = [left, *others]
    try:
        read = _read(names, _conversation(system, text, answer), key_env)
    except WorkbenchError as error:
        raise WorkbenchError(error.message, error.hint, error.details) from error  # 2, also where an engine refuses
    found = [compare_tokens(read[0], other) for other in read[1:]]
    for name, parity in zip(others, found, strict=True):
        if len(others) > 1:
            terminal.write(f"{left} and {name}\n")
        _show(parity)
    raise typer.Exit(terminal.OK if all(parity.holds for parity in found) else terminal.FAILED)


def _read(names: list[str], messages: tuple[Message, ...], key_variable: str) -> list[Tokenized]:
    """The conversation as each of the models and servers tokenizes it."""
    from workbench.endpoint import is_address, make_endpoint
    from workbench.inference.client import gather_now
    from workbench.inference.pool import Pool
    from workbench.inference.types import GenerateRequest
    from workbench.models.discovery import find_known_models
    from workbench.models.reference import Model, resolve_model
    from workbench.settings import load_settings

    settings = load_settings()
    known = find_known_models(settings)
    models = [
        Model(name, format="remote", remote=make_endpoint(name, key_env=key_variable))
        if is_address(name)
        else resolve_model(name, {}, Path.cwd(), known)
        for name in names
    ]
    pool = Pool.configured(settings)
    try:
        request = GenerateRequest(0, messages)
        return gather_now(pool.client(model).tokenize(request) for model in models)
    finally:
        pool.close()


def _conversation(system: str, text: str, answer: str) -> tuple[Message, ...]:
    from workbench.prompting.prompt import Message

    turns = [Message("system", system)] if system else []
    turns.append(Message("user", text))
    if answer:
        turns += [Message("assistant", answer), Message("user", text)]
    return tuple(turns)


def _show(found: Parity) -> None:
    if found.holds:
        terminal.write(f"Identical: {found.tokens[0]} tokens.\n")
        return
    texts = "The texts are identical" if found.same_text else "The texts differ"
    terminal.write(f"{texts}; {found.tokens[0]} tokens on the left, {found.tokens[1]} on the right.\n")
    for stretch in found.stretches[:_MOST_SHOWN]:
        terminal.write(f"  token {stretch.position}:\n")
        for side, pieces, ids in (
            ("left ", stretch.left, stretch.left_ids),
            ("right", stretch.right, stretch.right_ids),
        ):
            listed = " ".join(f"{piece!r}({token})" for piece, token in zip(pieces, ids, strict=True))
            terminal.write(f"    {side} {listed or 'nothing'}\n")
    if len(found.stretches) > _MOST_SHOWN:
        terminal.write(f"  and {len(found.stretches) - _MOST_SHOWN} more\n")
