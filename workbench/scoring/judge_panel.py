"""A judge panel: the models that judge, how they are asked, and how far they agree.

Their replies are constrained to a JSON schema, so that even a small model can be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench import paths
from workbench.datasets import Case
from workbench.errors import FileError, ScorerError, WorkbenchError
from workbench.inference.types import Sampling
from workbench.library.open_prompt import open_prompt
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import render
from workbench.scoring.grader_request import GraderReply, ModelCall
from workbench.scoring.judge_replies import parse_rating
from workbench.scoring.scorer import Unscored

_MAX_REASON_CHARS = 240  # characters; a small model that may go on for ever does
JUDGE_SAMPLING = Sampling(max_tokens=256)


class JudgePanel(msgspec.Struct, frozen=True):
    """models: as a bench names them. prompt: what each is asked. reason: let it say why before it decides.

    constrain: constrain the reply to the schema; some engines cannot.
    """

    models: tuple[str, ...]
    prompt: Prompt
    sampling: Sampling
    reason: bool
    constrain: bool

    def ask(self, values: Mapping[str, str], key: str, choices: Sequence[Any]) -> tuple[ModelCall, ...]:
        """A question to each model, whose reply is an object with one of the choices under the key."""
        messages = render(self.prompt, {**values, "form": self._show_form(key)}, self.prompt.examples)
        sampling = self.sampling
        if self.constrain:
            sampling = msgspec.structs.replace(sampling, json_schema=self._describe(key, choices))
        return tuple(ModelCall(model, messages, sampling, self.prompt.mode) for model in self.models)

    def _show_form(self, key: str) -> str:
        """What a reply looks like, for models that are not constrained to it."""
        return f'{{"reason": "...", "{key}": ...}}' if self.reason else f'{{"{key}": ...}}'

    def _describe(self, key: str, choices: Sequence[Any]) -> dict[str, Any]:
        reason = {"reason": {"type": "string", "maxLength": _MAX_REASON_CHARS}} if self.reason else {}
        properties = {**reason, key: {"enum": list(choices)}}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }


class JudgeVerdict(msgspec.Struct, frozen=True):
    """What a judge chose and why; choice is None, with the problem as reason, where its reply could not be read."""

    choice: Any
    reason: str


def make_panel(
    models: str | tuple[str, ...], prompt: str, sampling: Sampling, reason: bool, constrain: bool
) -> JudgePanel:
    """A panel whose prompt is not opened yet. Raises ScorerError for one without models."""
    names = (models,) if isinstance(models, str) else models
    if not names or not all(name.strip() for name in names) or len(set(names)) < len(names):
        raise ScorerError("model: expected the name of a model, or a list of different ones")
    return JudgePanel(names, Prompt(prompt, ""), sampling, reason, constrain)


def open_judge_prompt(name: str, folder: Path, variables: Sequence[str]) -> Prompt:
    """The prompt of a judge: a path, or a name in the bench's library or the shipped one.

    variables: what will be filled in. Raises ScorerError when it is not there, or asks for something else.
    """
    try:
        prompt = open_prompt(_find(name, folder), name, read_only=True).prompt
        render(prompt, dict.fromkeys(variables, "text"), prompt.examples)
    except WorkbenchError as error:
        raise ScorerError(f"prompt {name}: {error.message} It may use {', '.join(variables)}", error.hint) from error
    if prompt.steps:
        raise ScorerError(f"prompt {name}: it is a chain, and a judge gives its verdict in one call")
    return prompt


def describe_input(case: Case) -> str:
    """What a case asks, for a judge: its only variable, or each under its name."""
    if len(case.variables) == 1:
        return next(iter(case.variables.values()))
    return "\n".join(f"{name}: {value}" for name, value in case.variables.items())


def read_verdict(reply: GraderReply, key: str, choices: Sequence[Any]) -> JudgeVerdict:
    """What a judge's reply says."""
    if reply.completion is None:
        return JudgeVerdict(None, reply.problem or "it gave no reply")
    text = reply.completion.text
    found = parse_rating(text, key, choices)
    cut = reply.completion.stop_reason == "length"
    if found.choice is not None and not (cut and _goes_on(text[found.end :], key)):
        return JudgeVerdict(found.choice, found.reason)
    if cut:
        return JudgeVerdict(
            None, f"its reply ended after {reply.completion.output_tokens} tokens; raise sampling.max_tokens"
        )
    return JudgeVerdict(None, f"its reply cannot be read: {text.strip()[:200]!r}")


def why_unscored(replies: Sequence[GraderReply]) -> Unscored:
    """Why judges whose replies give no rating gave none: they did not reply, or not so that it can be read."""
    return "lost" if any(reply.completion is None for reply in replies) else "error"


def _goes_on(rest: str, key: str) -> bool:
    """Whether a reply that was cut may have been about to say something else."""
    return "{" in rest or key in rest.casefold()


def compute_agreement(ratings: Sequence[Mapping[str, float]], judges: Sequence[str]) -> dict[str, float]:
    """Krippendorff's alpha (ordinal) over the judges; nothing where it is not defined.

    ratings: of each case, by judge; a judge may be missing. 1 is full agreement, 0 as by chance.
    """
    rows = [[case.get(judge, math.nan) for case in ratings] for judge in judges]
    paired = [case for case in ratings if sum(judge in case for judge in judges) > 1]
    values = {case[judge] for case in paired for judge in judges if judge in case}
    if len(judges) < 2 or len(values) < 2:
        return {}
    import krippendorff

    return {"krippendorff_alpha": float(krippendorff.alpha(rows, level_of_measurement="ordinal"))}


def _find(name: str, folder: Path) -> Path:
    for index in (name, f"{name}.prompty", f"prompts/{name}.prompty"):
        try:
            path = paths.find_input(index, folder)
        except FileError:
            continue
        if path.is_file():
            return path
    raise ScorerError(f"no such file or library prompt near {folder}.")
