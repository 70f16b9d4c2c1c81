"""`workbench run`: one prompt, one answer, streamed to stdout.

Knows nothing of engines; whoever reads the answer from a pipe gets the model's text and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench import paths
from workbench.cli import terminal
from workbench.errors import EngineError, ModelError, PromptError

if TYPE_CHECKING:
    from workbench.engines.engine import Chunk, Event
    from workbench.evaluation.bench import AdapterChoice
    from workbench.evaluation.launch import Draft
    from workbench.models.reference import Applied, Model
    from workbench.prompting.prompt import Prompt
    from workbench.settings import Settings

_EMBEDDED = "assets/desk-q8_0.gguf"


def main(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="A library name, a .prompty file, or - for a template on stdin.")
    ] = "",
    text: Annotated[str | None, typer.Option(help="The template itself, instead of PROMPT.")] = None,
    model: Annotated[str, typer.Option(help="A model's name or path; else the embedded one.")] = "",
    adapter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=SCALE]", help="An adapter to lay over the model; may be given several times."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Of a Hugging Face model: float32, float16 or bfloat16.")] = "",
    quantization: Annotated[str, typer.Option(help="Of a Hugging Face model: 8bit or 4bit, by bitsandbytes.")] = "",
    chat_template_kwargs: Annotated[
        str,
        typer.Option(metavar="JSON", help="""Variables of the chat template, such as '{"enable_thinking": false}'."""),
    ] = "",
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable; may be given several times.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")] = 256,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token each time.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Repeats an answer drawn at a temperature above 0.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Text that ends the answer; may be repeated.")] = None,
) -> None:
    """Answer one prompt.

    The answer goes to stdout as it comes, everything else to stderr.

    \b
      workbench run queues/plain --var message="Where is my parcel?"
      workbench run mine.prompty --model ~/models/other.gguf --var name=Ada
      workbench run mine.prompty --adapter runs/calm=0.5 --var name=Ada
      workbench run mine.prompty --model ~/models/Qwen2.5-0.5B --dtype bfloat16
      echo "Say hello to {{ name }}." | workbench run - --var name=Ada

    \b
    Exit codes: 0 answered; 1 the model failed; 2 the prompt, its variables or
    the model cannot be used; 130 interrupted.
    """
    from workbench.engines.engine import Sampling
    from workbench.evaluation.datasets import Case
    from workbench.evaluation.launch import Draft
    from workbench.models.compatibility import check_laid
    from workbench.models.discover import default_folders, discover_adapters, discover_models
    from workbench.models.reference import resolve_adapters, resolve_model, with_precision, with_template_kwargs
    from workbench.paths import find_shipped
    from workbench.settings import load_settings

    settings = load_settings()
    variables = _read_variables(var or [])
    opened = _open(prompt, text, settings)
    folders = default_folders(settings)
    choices = _read_adapters(adapter or [])
    known = discover_models(folders)
    laid = resolve_adapters(choices, Path.cwd(), discover_adapters(folders) if choices else ())
    named = resolve_model(model or str(find_shipped(_EMBEDDED)), {}, Path.cwd(), known)
    chosen = with_template_kwargs(with_precision(named, dtype, quantization), _read_kwargs(chat_template_kwargs))
    check_laid(laid, chosen)
    _tell_lineage(laid, chosen)
    sampling = Sampling(
        temperature=temperature, max_tokens=max_tokens, seed=0 if seed is None else seed, stop=tuple(stop or [])
    )
    case = Case(1, variables)
    _stream(Draft(opened, case, frozenset(), sampling, settings.context_strategy, chosen, laid), settings)


def _read_variables(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if not pair.partition("=")[1] or not pair.partition("=")[0].isidentifier()]
    if wrong:
        raise PromptError(
            "Variables cannot be read: " + ", ".join(repr(pair) for pair in wrong), "Write --var name=value."
        )
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _read_kwargs(text: str) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise PromptError(
            f"--chat-template-kwargs cannot be read: {error}.",
            """Expected a JSON object, such as '{"enable_thinking": false}'.""",
        ) from error


def _read_adapters(named: list[str]) -> list[AdapterChoice]:
    from workbench.evaluation.bench import AdapterChoice

    choices = []
    for text in named:
        name, given, number = text.rpartition("=")
        try:
            choices.append(AdapterChoice(name, float(number)) if given else AdapterChoice(text))
        except ValueError as error:
            raise ModelError(
                f"--adapter {text}: expected a number behind the last =, found {number!r}.", "Write --adapter name=0.5."
            ) from error
    return choices


def _tell_lineage(laid: Sequence[Applied], model: Model) -> None:
    """Say of each adapter that names another base that it does; where the shapes fit, that is no reason to refuse."""
    from workbench.models.adapter import inspect_adapter
    from workbench.models.lineage import is_base

    for applied in laid if model.format != "scripted" else ():
        base = inspect_adapter(applied.adapter).base
        if not is_base(base, model):
            terminal.say(f"Note: {applied.adapter.name} says that it was trained on {base}, and this is {model.name}.")


def _open(name: str, text: str | None, settings: Settings) -> Prompt:
    from workbench.evaluation.opening import open_library
    from workbench.library.library import Library
    from workbench.prompting.prompt import Prompt

    if bool(name) == (text is not None):
        raise PromptError("Expected either PROMPT or --text.", "`workbench prompts` lists the library.")
    if text is not None:
        return Prompt("text", text)
    if name == "-":
        return Prompt("stdin", sys.stdin.read())
    path = paths.expand(name)
    if name.endswith(".prompty") and paths.exists(path):
        return Library(path.parent).open(path.stem).prompt
    return open_library(settings).open(name).prompt


def _stream(draft: Draft, settings: Settings) -> None:
    from workbench.evaluation.launch import Launch
    from workbench.hosting.pool import Pool

    pool = Pool.configured(settings)
    events: SimpleQueue[Event] = SimpleQueue()
    try:
        pool.load(draft.model).result()  # what is wrong with the model is told as such, not as a failed answer
        launch = Launch(pool, draft, events.put)
        try:
            _show(events)
        finally:
            launch.cancel()
    finally:
        pool.close()


def _show(events: SimpleQueue[Event]) -> None:
    from workbench.engines.engine import Chunk, Failure

    last, thought = "\n", ""
    while True:
        event = events.get()
        if isinstance(event, Failure):
            raise EngineError(event.message, event.hint, event.details)
        if not isinstance(event, Chunk):
            continue
        if event.thinking:
            thought += event.text
            terminal.say(event.text, end="")
        elif event.text:
            terminal.write_data(event.text)
            last = event.text[-1]
        if event.stop_reason is not None:
            if event.unclosed and thought:  # it ended before it closed its reasoning, which so is the answer
                terminal.write(thought)
                last = thought[-1]
            if sys.stdout.isatty() and last != "\n":
                terminal.write("\n")
            for note in event.notes:
                terminal.say(f"Note: {note}")
            terminal.say(_summarize(event))
            return


def _summarize(chunk: Chunk) -> str:
    speed = f", {chunk.tokens_per_second:.0f} tokens/s" if chunk.tokens_per_second else ""
    return (
        f"{chunk.prompt_tokens}→{chunk.output_tokens} tokens, first after"
        f" {chunk.seconds_to_first_token * 1000:.0f} ms{speed}, {chunk.stop_reason}"
    )
