from __future__ import annotations

from pathlib import Path

import msgspec

from workbench.analysis.prompt_uses import digest_setting
from workbench.library.restoring import restore_text
from workbench.library.versions import describe_version, digest_prompt
from workbench.models.reference import Model
from workbench.prompting.prompt import Example, Prompt, PromptStep
from workbench.runs.bench import Variant
from workbench.runs.chain import resolve_chain
from workbench.runs.provenance import ModelTrace, Provenance

PLAIN = Prompt("a", "user:\n{{ x }}\n", examples=(Example("e", {"x": "1"}, "2"),), placement="turns")
CHAIN = Prompt("c", "user:\n{{ steps.first.text }}\n", steps=(PromptStep("first", prompt="a"),))


def test_a_version_is_what_is_asked_and_not_what_it_is_called():
    other = msgspec.structs.replace(PLAIN, name="b", description="Other.", header="# a comment", unsupported="x")
    assert digest_prompt(other) == digest_prompt(PLAIN)
    for change in ({"body": "user:\n{{ x }}!\n"}, {"examples": ()}, {"placement": "inline"}, {"defaults": {"x": "1"}}):
        assert digest_prompt(msgspec.structs.replace(PLAIN, **change)) != digest_prompt(PLAIN)


def trace(prompt):
    model = ModelTrace(Model("desk", Path("/m.gguf"), "gguf"), "0" * 16)
    return Provenance(Variant("v", prompt.name, "desk"), prompt, model)


def test_a_chain_is_the_version_of_its_file_and_its_steps_are_a_setting():
    run = resolve_chain(CHAIN, lambda name: PLAIN)
    later = resolve_chain(CHAIN, lambda name: msgspec.structs.replace(PLAIN, body="user:\n{{ x }}?\n"))
    assert digest_prompt(run) == digest_prompt(CHAIN) == digest_prompt(later)
    assert digest_setting(trace(run)) != digest_setting(trace(later))
    assert describe_version(run) == describe_version(CHAIN)
    restored = restore_text(msgspec.structs.replace(CHAIN, steps=()), run)
    assert restored.steps == CHAIN.steps
