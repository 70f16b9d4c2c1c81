"""The steps of a prompt that is a chain: which there are, what is wrong with them, and what templates see of them.

The answers of earlier steps reach a template as values, never as template text. A step sees only those before it, so
that a chain always ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from jinja2 import nodes

from workbench.errors import MissingVariablesError, PromptError, TemplateError
from workbench.prompting.prompt import Prompt, PromptStep
from workbench.prompting.sandbox import MissingVariable, Sandbox
from workbench.prompting.template import compile_body
from workbench.prompting.template_errors import parse
from workbench.prompting.values import make_value, read_json

STEPS, ITEM, INDEX, ANSWER, VERDICT, PROBLEM = "steps", "item", "index", "answer", "verdict", "problem"
"""Variables that a chain sets. STEPS is there in every step; ITEM and INDEX where it maps over a list; ANSWER in
conditions and calls that judge an answer, VERDICT in a condition on such a call, PROBLEM in the feedback."""

LAST = "answer"
"""The name of the step that a chain's body is."""

MOST_STEPS = 20
MOST_SAMPLES = 25
MOST_RETRIES = 5
MOST_ITEMS = 50
"""items of a list that a step maps over"""

MOST_CALLS = 100
"""calls of one cell"""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FEEDBACK = "{{ problem }} Answer again."


def list_steps(prompt: Prompt) -> tuple[PromptStep, ...]:
    """A chain's steps in order, its body among them; none of a prompt that is no chain."""
    if not prompt.steps or not prompt.body.strip():
        return prompt.steps
    return (*prompt.steps, PromptStep(LAST, content=msgspec.structs.replace(prompt, steps=()).without_header()))


def offers_tools(prompt: Prompt) -> bool:
    """Whether a prompt offers a model tools, in its own messages or in those of a chain's steps."""
    asking = [one for step in prompt.steps for one in (step, step.verify) if one]
    return bool(prompt.tools) or any(one.content is not None and one.content.tools for one in asking)


def without_contents(prompt: Prompt) -> Prompt:
    """A chain as its file has it, without what was looked up for its steps."""
    steps = []
    for step in prompt.steps:
        verify = msgspec.structs.replace(step.verify, content=None) if step.verify else None
        steps.append(msgspec.structs.replace(step, content=None, verify=verify))
    return msgspec.structs.replace(prompt, steps=tuple(steps)) if steps else prompt


def find_step_problems(prompt: Prompt) -> Iterator[str]:
    """What is wrong with a chain, each with the step it is about; nothing of a prompt that is none."""
    steps = list_steps(prompt)
    if len(steps) > MOST_STEPS:
        yield f"it has {len(steps)} steps; at most {MOST_STEPS} can be run"
    names = [step.name for step in steps]
    for at, step in enumerate(steps):
        for problem in (*_check_form(step), *_check_references(step, names[:at], names)):
            yield f"step `{step.name}`: {problem}"
        if step.name in names[:at]:
            yield f"two steps are named `{step.name}`" + (
                " (the body is one of that name)" if at == len(prompt.steps) else ""
            )
    calls = sum(map(count_calls, steps))
    if calls > MOST_CALLS:
        yield f"it makes up to {calls} calls for each case; at most {MOST_CALLS} are made"


def count_calls(step: PromptStep, items: int = 1) -> int:
    """The most calls that a step can make. items: of the list that it maps over."""
    return items * step.samples * (1 + step.retries) * (2 if step.verify else 1)


def _check_form(step: PromptStep) -> Iterator[str]:
    if not _NAME.fullmatch(step.name):
        yield "a name is made of letters, digits and _, and begins with no digit"
    if bool(step.prompt) == bool(step.template) and step.content is None:
        yield f"expected `prompt` or `template`, found {'both' if step.prompt else 'neither'}"
    if not 1 <= step.samples <= MOST_SAMPLES:
        yield f"`samples` is {step.samples}; expected 1 to {MOST_SAMPLES}"
    if not 0 <= step.retries <= MOST_RETRIES:
        yield f"`retries` is {step.retries}; expected 0 to {MOST_RETRIES}"
    if step.retries and not (step.check or step.verify):
        yield "`retries` needs a `check` or a `verify` that an answer can fail"
    verify = step.verify
    if verify and bool(verify.prompt) == bool(verify.template) and verify.content is None:
        yield f"`verify`: expected `prompt` or `template`, found {'both' if verify.prompt else 'neither'}"


def _check_references(step: PromptStep, before: list[str], names: list[str]) -> Iterator[str]:
    """A step can only use what came before it."""
    for part in _list_parts(step):
        try:
            used = find_used_steps(part.template or (part.content.body if part.content else ""))
        except TemplateError as error:
            yield f"`{part.key}`: {error.message}"
            continue
        for name in used:
            if name == step.name:
                yield f"`{part.key}` uses its own answer: a chain cannot go in a circle"
            elif name in names and name not in before:
                yield f"`{part.key}` uses the step `{name}`, which comes later: a chain cannot go in a circle"
            elif name not in names:
                yield f"`{part.key}` uses the step `{name}`, which is none; before it: {', '.join(before) or 'none'}"


class _Part(NamedTuple):
    """A template of a step, or an expression in the form of one. sets: the variables that the chain gives it.
    content: the whole prompt, where it is one."""

    key: str
    template: str
    sets: frozenset[str]
    content: Prompt | None = None


def _list_parts(step: PromptStep) -> Iterator[_Part]:
    mapped = frozenset({STEPS, ITEM, INDEX}) if step.each else frozenset({STEPS})
    judged = mapped | {ANSWER}
    if step.when:
        yield _Part("when", write_condition(step.when), frozenset({STEPS}))
    if step.each:
        yield _Part("each", write_condition(step.each), frozenset({STEPS}))
    yield _Part("template", step.template, mapped, step.content or Prompt("", step.template))
    if step.check and step.check != "json":
        yield _Part("check", write_condition(step.check), judged)
    if step.feedback:
        yield _Part("feedback", step.feedback, judged | {PROBLEM})
    if step.verify:
        verify = step.verify
        yield _Part("verify.template", verify.template, judged, verify.content or Prompt("", verify.template))
        yield _Part("verify.accept", write_condition(verify.accept), judged | {VERDICT})


def find_used_steps(template: str) -> tuple[str, ...]:
    """The steps that a template names as `steps.NAME` or `steps["NAME"]`. Raises TemplateError."""
    tree = parse(Sandbox(), template)
    found: dict[str, None] = {}
    for field in tree.find_all(nodes.Getattr):
        if isinstance(field.node, nodes.Name) and field.node.name == STEPS:
            found[field.attr] = None
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and item.node.name == STEPS and isinstance(item.arg, nodes.Const):
            found[str(item.arg.value)] = None
    return tuple(found)


def find_step_variables(prompt: Prompt, find: Callable[[Prompt], tuple[str, ...]]) -> tuple[str, ...]:
    """The variables that a chain asks the case for; a step that was not looked up yet asks for nothing.

    find: the variables of a prompt that is no chain. Raises TemplateError.
    """
    found: dict[str, None] = {}
    for step in list_steps(prompt):
        for part in _list_parts(step):
            asked = find(part.content) if part.content else compile_body(part.template, None).variables
            found.update(dict.fromkeys(name for name in asked if name not in part.sets))
    return tuple(found)


def write_condition(expression: str) -> str:
    """A template that is blank where a Jinja condition does not hold."""
    return f"{{% if {expression} %}}1{{% endif %}}"


def holds(expression: str, values: Mapping[str, Any], where: str) -> bool:
    """Whether a Jinja condition holds. where: what it is, for the error. Raises PromptError."""
    return bool(fill_text(write_condition(expression), values, where))


def read_list(expression: str, values: Mapping[str, Any], where: str) -> list[Any]:
    """The list that a Jinja expression is. Raises PromptError for anything else, and for one that is too long."""
    held = read_json(fill_text(f"{{{{ [({expression})] }}}}", values, where))
    found = held[0] if isinstance(held, list) and len(held) == 1 else held  # else it is nothing that JSON has
    if not isinstance(found, list):
        raise PromptError(
            f"{where} is {_name_kind(found)}; expected a list.",
            "Have the step before answer with a JSON list and write steps.NAME.json, or steps.NAME.text.splitlines().",
        )
    if len(found) > MOST_ITEMS:
        raise PromptError(
            f"{where} has {len(found):,} items; a step is carried out for at most {MOST_ITEMS}.",
            f"Shorten it, such as with [:{MOST_ITEMS}], which leaves the others out.",
        )
    return found


def fill_text(template: str, values: Mapping[str, Any], where: str) -> str:
    """A template without roles, filled in. where: what it is, for the error. Raises PromptError."""
    seen = {name: make_value(value) for name, value in values.items()}
    try:
        return "".join(piece.text for piece in compile_body(template, None).fill(seen))
    except MissingVariable as error:
        raise MissingVariablesError(
            f"{where} asks for {error.name}, which is not there.",
            "Correct it, or give the case a value.",
            names=(error.name,),
        ) from error
    except TemplateError as error:
        raise PromptError(f"{where}: {error.message}", error.hint) from error


def _name_kind(value: Any) -> str:
    kinds = {dict: "an object", str: "a text", bool: "true or false", type(None): "null"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "a number")
