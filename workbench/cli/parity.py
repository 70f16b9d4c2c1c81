"""`workbench parity`: one conversation, laid out and split into tokens by models and servers, and what differs.

Knows nothing of how it is compared (evaluation/parity.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.engines.engine import Tokenized
    from workbench.evaluation.parity import Parity
    from workbench.prompting.prompt import Message

_MOST_SHOWN = 20


def main(
    left: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name or path, or a server's address.")],
    others: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Other forms of the same model.")],
    text: Annotated[str, typer.Option(help="What the user says.")] = "Where is my parcel?",
    system: Annotated[str, typer.Option(help="A system message before it.")] = "",
    answer: Annotated[str, typer.Option(help="An earlier answer, after which the user speaks again.")] = "",
    key_env: Annotated[
        str, typer.Option(metavar="VARIABLE", help="The environment variable that holds a server's key.")
    ] = "WORKBENCH_SERVER_KEY",
) -> None:
    """Compare how several forms of a model read the same conversation.

    A Hugging Face folder, the GGUF file made from it and a server that runs it should agree in every token. Where they
    do not, the template or the tokenizer was lost on the way, and answers get worse without a word. Each is compared
    with the first one. Of a server nothing but the named host is contacted.

    \b
      workbench parity assets/desk desk-q8_0
      workbench parity ~/models/Qwen2.5-0.5B qwen.gguf --system "Be brief."
      workbench parity assets/desk desk-q8_0 http://127.0.0.1:8080

    \b
    Exit codes: 0 they agree; 1 they differ; 2 a model cannot be used; 130
    interrupted.
    """
    from workbench.evaluation.parity import compare_tokens

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
    """The conversation as each of the models and servers sees it."""
    from workbench.engines.server import Server, is_server
    from workbench.hosting.pool import Pool
    from workbench.models.discover import default_folders, discover_models
    from workbench.models.reference import resolve_model
    from workbench.settings import load_settings

    settings = load_settings()
    servers = {name: Server(name, key_variable) for name in names if is_server(name)}
    known = discover_models(default_folders(settings))
    models = {name: resolve_model(name, {}, Path.cwd(), known) for name in names if name not in servers}
    pool = Pool.configured(settings)
    try:
        shown = {name: pool.tokenize(model, messages, "chat") for name, model in models.items()}
        told = {name: server.read(messages) for name, server in servers.items()}
        return [told[name] if name in told else shown[name].result() for name in names]
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
        terminal.write(f"The same {found.tokens[0]} tokens.\n")
        return
    texts = "The texts are the same" if found.same_text else "The texts differ"
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
