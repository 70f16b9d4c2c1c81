"""`workbench run`: one prompt, one answer, streamed to stdout: in a pipe, exactly the model's text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench import paths
from workbench.cli import terminal
from workbench.cli.device_options import with_device_options
from workbench.cli.options import Dtype, Quantization
from workbench.cli.sampling_options import with_sampling
from workbench.device_choice import DeviceChoice
from workbench.errors import ModelError, PromptError
from workbench.inference.sampling_fields import DEFAULTS, with_seeds
from workbench.inference.types import Sampling
from workbench.units import format_plural

if TYPE_CHECKING:
    from workbench.inference.model_client import ModelClient
    from workbench.inference.pool import Pool
    from workbench.inference.types import Chunk, Completion, GenerateRequest, TokenLogprob
    from workbench.models.reference import Applied, Model
    from workbench.prompting.prompt import Prompt
    from workbench.runs.bench import AdapterChoice
    from workbench.runs.generation import GenerationSpec
    from workbench.settings import Settings

_ANY_DEVICE = DeviceChoice()
_EMBEDDED = "assets/desk-q8_0.gguf"


@with_device_options
@with_sampling
def main(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="A prompt in the library, a .prompty file, or - for stdin.")
    ] = "",
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="The template itself, instead of PROMPT.")] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL|URL", help="A model's name or path, or a server's address. Default: the embedded model."
        ),
    ] = "",
    adapter: Annotated[
        list[str] | None, typer.Option(metavar="NAME[=SCALE]", help="Apply this adapter to the model. Repeatable.")
    ] = None,
    dtype: Dtype = "",
    quantization: Quantization = "",
    chat_template_kwargs: Annotated[
        str,
        typer.Option(metavar="JSON", help="""Variables of the chat template, such as '{"enable_thinking": false}'."""),
    ] = "",
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Value of a variable. Repeatable.")
    ] = None,
    n: Annotated[
        int, typer.Option("--n", "-n", min=1, max=128, metavar="N", help="Number of answers, each with the next seed.")
    ] = 1,
    logprobs: Annotated[
        int, typer.Option(min=0, max=100, metavar="N", help="Print each token with its N top alternatives.")
    ] = 0,
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Print the rendered prompt to stderr.")] = False,
    sampling: Sampling = DEFAULTS,
    devices: DeviceChoice = _ANY_DEVICE,
) -> None:
    """Answer one prompt.

    The answer is streamed to stdout, everything else goes to stderr.

    \b
      workbench run queues/plain --var message="Where is my parcel?"
      workbench run mine.prompty --model ~/models/other.gguf --var name=Ada
      workbench run mine.prompty --adapter runs/calm=0.5 --var name=Ada
      workbench run mine.prompty --model ~/models/Qwen2.5-0.5B --dtype bfloat16
      workbench run mine.prompty --model ~/models/big.gguf --gpu-layers 20 --kv-type q8_0
      workbench run mine.prompty --json-schema @order.json --thinking off
      workbench run mine.prompty -n 3 --temperature 0.8 --top-p 0.95 --logprobs 5
      echo "Say hello to {{ name }}." | workbench run - --var name=Ada

    \b
    Exit codes: 0 answered; 1 the model failed; 2 the prompt, its variables or
    the model cannot be used; 130 interrupted.
    """
    from workbench.datasets import Case
    from workbench.models.compatibility import check_applied
    from workbench.models.discovery import default_folders, discover_adapters, find_known_models
    from workbench.models.reference import (
        find_applied,
        resolve_adapters,
        resolve_model,
        with_devices,
        with_precision,
        with_template_kwargs,
    )
    from workbench.paths import find_shipped
    from workbench.runs.chain import check_sampling, list_step_models
    from workbench.runs.generation import GenerationSpec
    from workbench.settings import load_settings

    settings = load_settings()
    variables = _read_variables(var or [])
    opened = _open(prompt, text, settings)
    folders = default_folders(settings)
    choices = read_adapters(adapter or [])
    known = find_known_models(settings)
    named = resolve_model(model or str(find_shipped(_EMBEDDED)), {}, Path.cwd(), known, settings.offload)
    placed = with_devices(with_precision(named, dtype, quantization), devices)
    chosen = with_template_kwargs(placed, _read_kwargs(chat_template_kwargs))
    applied = find_applied(
        chosen, choices, lambda given: resolve_adapters(given, Path.cwd(), discover_adapters(folders) if given else ())
    )
    check_applied(applied, chosen)
    note_lineage(applied, chosen)
    case, strategy = Case(1, variables), settings.context_strategy
    specs = [
        GenerationSpec(opened, case, frozenset(), one, strategy, chosen, applied) for one in with_seeds(sampling, n)
    ]
    if opened.steps:
        if logprobs:
            raise PromptError("--logprobs shows the tokens of one call, and this prompt is a chain.", "Leave it out.")
        check_sampling(opened, sampling)
        models = tuple(
            (name, resolve_model(name, {}, Path.cwd(), known, settings.offload)) for name in list_step_models(opened)
        )
        _stream_chains([replace(spec, step_models=models) for spec in specs], show_prompt, settings)
        return
    shown = specs[0].conversation() if show_prompt else None
    _stream([spec.request(logprobs) for spec in specs], shown, chosen, settings)


def _read_variables(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if not pair.partition("=")[1] or not pair.partition("=")[0].isidentifier()]
    if wrong:
        raise PromptError(
            "Cannot parse --var: " + ", ".join(repr(pair) for pair in wrong), "Expected --var name=value."
        )
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _read_kwargs(text: str) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise PromptError(
            f"Cannot parse --chat-template-kwargs: {error}.",
            """Expected a JSON object, such as '{"enable_thinking": false}'.""",
        ) from error


def read_adapters(named: list[str]) -> list[AdapterChoice]:
    """Adapters as the command line names them, NAME or NAME=SCALE. Raises ModelError."""
    from workbench.runs.bench import AdapterChoice

    choices = []
    for text in named:
        name, given, number = text.rpartition("=")
        try:
            choices.append(AdapterChoice(name, float(number)) if given else AdapterChoice(text))
        except ValueError as error:
            raise ModelError(
                f"--adapter {text}: expected a number after the last =, found {number!r}.",
                "For example: --adapter name=0.5",
            ) from error
    return choices


def note_lineage(applied: Sequence[Applied], model: Model) -> None:
    """Log adapters that were trained on another base; where the shapes match, that is no reason to refuse them."""
    from workbench.models.adapter_info import inspect_adapter, matches_base

    for one in applied if model.format not in ("scripted", "remote") else ():
        base = inspect_adapter(one.adapter).base
        if not matches_base(base, model):
            terminal.log(f"Note: {one.adapter.name} was trained on {base}, not on {model.name}.")


def _open(name: str, text: str | None, settings: Settings) -> Prompt:
    from workbench.library.library import Library
    from workbench.library.names import SUFFIXES
    from workbench.prompting.prompt import Prompt
    from workbench.runs.chain import resolve_chain
    from workbench.runs.opening import open_library
    from workbench.runs.project import locate_prompt

    if bool(name) == (text is not None):
        raise PromptError("Expected either PROMPT or --text.", "`workbench prompts` lists the library.")
    if text is not None:
        return Prompt("text", text)
    if name == "-":
        return Prompt("stdin", sys.stdin.read())
    path = paths.expand(name)
    library, own = open_library(settings), name
    if name.endswith(SUFFIXES) and paths.exists(path):
        folder, own = locate_prompt(path.absolute())
        library = Library(folder, shipped=library.shipped)
    return resolve_chain(library.open(own).prompt, lambda step: library.open(step).prompt)


def _stream_chains(specs: Sequence[GenerationSpec], show_prompt: bool, settings: Settings) -> None:
    """Each step on stderr when it has ended, the chain's answer on stdout."""
    import asyncio

    from workbench.inference.pool import Pool

    pool = Pool.configured(settings)

    async def answer_all() -> None:
        for number, spec in enumerate(specs, 1):
            if len(specs) > 1:
                terminal.log(f"[{number}/{len(specs)}]")
            await _show_chain(pool, spec, show_prompt)

    try:
        asyncio.run(answer_all())
    finally:
        pool.close()


async def _show_chain(pool: Pool, spec: GenerationSpec, show_prompt: bool) -> None:
    from workbench.inference.types import Admitted, Event
    from workbench.runs.cell_step import CellStep, describe_step
    from workbench.runs.chain import StepCall
    from workbench.runs.chain_client import ask_chain

    def show_sent(_: StepCall, asked: GenerationSpec, event: Event) -> None:
        if show_prompt and isinstance(event, Admitted):
            for message in asked.conversation().messages:
                terminal.log(f"{message.role}: {message.content}")

    def show_step(_: int, step: CellStep) -> None:
        terminal.log(f"{step.label}: {describe_step(step)}")
        if step.completion.text:
            terminal.log(step.completion.text)

    await pool.client(spec.model).load()
    outcome = await ask_chain(pool, spec, 0, show_sent, show_step)
    if outcome.error:
        raise outcome.error
    terminal.write_data(outcome.completion.text)
    if sys.stdout.isatty() and not outcome.completion.text.endswith("\n"):
        terminal.write("\n")
    terminal.log(f"{format_plural(len(outcome.steps), 'step')}: {_summarize(outcome.completion)}")


def _stream(
    requests: Sequence[GenerateRequest], shown: GenerateRequest | None, model: Model, settings: Settings
) -> None:
    import asyncio

    from workbench.inference.pool import Pool

    pool = Pool.configured(settings)
    try:
        asyncio.run(_show_all(pool.client(model), requests, shown))
    finally:
        pool.close()


async def _show_all(client: ModelClient, requests: Sequence[GenerateRequest], shown: GenerateRequest | None) -> None:
    await client.load()  # what is wrong with the model is told as such, not as a failed answer
    if shown:
        terminal.log((await client.tokenize(shown)).text)
    for number, request in enumerate(requests, 1):
        if len(requests) > 1:
            terminal.log(f"[{number}/{len(requests)}]")
        await _show(client, request)


async def _show(client: ModelClient, request: GenerateRequest) -> None:
    from workbench.inference.types import Chunk

    last, thought = "\n", ""
    tokens: list[TokenLogprob] = []
    async for event in client.generate(request):
        if not isinstance(event, Chunk):
            continue
        tokens += event.tokens
        if event.thinking:
            thought += event.text
            terminal.log(event.text, end="")
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
                terminal.log(f"Note: {note}")
            for token in tokens:
                terminal.log(_describe_token(token))
            terminal.log(_summarize(event))


def _describe_token(token: TokenLogprob) -> str:
    others = "  ".join(f"{other.text!r} {other.logprob:.3f}" for other in token.top_logprobs)
    return f"{token.text!r} {token.logprob:.3f}   of {others}"


def _summarize(chunk: Chunk | Completion) -> str:
    from workbench.inference.types import show_counts

    thought = ""
    if chunk.thinking_tokens:
        answered = f", answered after {chunk.seconds_to_first_answer_token * 1000:.0f} ms"
        thought = f", {chunk.thinking_tokens} tokens of thinking"
        thought += answered if chunk.seconds_to_first_answer_token else ", no answer"
    speed = f", {chunk.tokens_per_second:.0f} tokens/s" if chunk.tokens_per_second else ""
    return (
        f"{show_counts(chunk)} tokens, first after"
        f" {chunk.seconds_to_first_token * 1000:.0f} ms{thought}{speed}, {chunk.stop_reason}"
        f"{_describe_server(chunk)}"
    )


def _describe_server(chunk: Chunk | Completion) -> str:
    """What it took to get a server's answer, beside the answer's own time; "" where it took nothing."""
    report = chunk.server
    if report is None or not report.retries:
        return ""
    return f" (after {report.retries} retries and {report.queue_seconds:.1f} s)"
