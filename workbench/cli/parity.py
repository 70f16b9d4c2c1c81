"""`workbench parity`: one conversation, laid out and split into tokens by two models, and every token that differs.

Knows nothing of how it is compared (evaluation/parity.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import terminal
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.evaluation.parity import Parity
    from workbench.prompting.prompt import Message

_MOST_SHOWN = 20


def main(
    left: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name or path.")],
    right: Annotated[str, typer.Argument(metavar="MODEL", help="Another form of the same model.")],
    text: Annotated[str, typer.Option(help="What the user says.")] = "Where is my parcel?",
    system: Annotated[str, typer.Option(help="A system message before it.")] = "",
    answer: Annotated[str, typer.Option(help="An earlier answer, after which the user speaks again.")] = "",
) -> None:
    """Compare how two forms of a model read the same conversation.

    A Hugging Face folder and the GGUF file made from it should agree in every token. Where they do not, the
    template or the tokenizer was lost on the way, and answers get worse without a word.

    \b
      workbench parity assets/desk desk-q8_0
      workbench parity ~/models/Qwen2.5-0.5B qwen.gguf --system "Be brief."

    \b
    Exit codes: 0 they agree; 1 they differ; 2 a model cannot be used; 130
    interrupted.
    """
    from workbench.evaluation.parity import compare_tokens
    from workbench.hosting.pool import Pool
    from workbench.models.discover import default_folders, discover_models
    from workbench.models.reference import resolve_model
    from workbench.settings import load_settings

    settings = load_settings()
    known = discover_models(default_folders(settings))
    models = [resolve_model(name, {}, Path.cwd(), known) for name in (left, right)]
    messages = _conversation(system, text, answer)
    pool = Pool(settings.threads, settings.max_context_tokens)
    try:
        shown = [pool.tokenize(model, messages, "chat") for model in models]
        found = compare_tokens(shown[0].result(), shown[1].result())
    except WorkbenchError as error:
        raise WorkbenchError(error.message, error.hint, error.details) from error  # 2, also where an engine refuses
    finally:
        pool.close()
    _show(found)
    raise typer.Exit(terminal.OK if found.holds else terminal.FAILED)


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
