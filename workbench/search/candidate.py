"""Candidate: one prompt that a search has made, and where it came from."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from workbench.inference.types import Thinking
from workbench.prompting.prompt import Example, Placement, Prompt
from workbench.runs.bench import Variant

Origin = Literal["seed", "examples", "reflection", "template", "edited", "trial"]
"""seed: the hand-written prompt. edited: by a person, during the search. trial: of a joint search."""

SEED = "c0"


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A prompt body with its enabled examples in order, and whether the model is to reason.

    parent: id of the candidate that it was made from, "" for the seed. reason: why it was made, in words.
    """

    id: str
    parent: str
    body: str
    examples: tuple[Example, ...] = ()
    placement: Placement = "none"
    thinking: Thinking = "default"
    origin: Origin = "seed"
    reason: str = ""

    @classmethod
    def of_seed(cls, prompt: Prompt, variant: Variant, examples: tuple[Example, ...]) -> Candidate:
        """The hand-written prompt as a variant sends it. examples: those that are enabled."""
        return cls(SEED, "", prompt.body, examples, prompt.placement, variant.sampling.thinking)

    @property
    def digest(self) -> str:
        """The same for candidates that ask the same, white space at the ends of lines and of the body aside."""
        lines = "\n".join(line.rstrip() for line in self.body.replace("\r\n", "\n").split("\n")).strip()
        shown = self.examples if self.placement != "none" else ()
        pairs = [(sorted(one.variables.items()), one.answer) for one in shown]
        packed = msgspec.json.encode((lines, pairs, self.placement if shown else "", self.thinking))
        return hashlib.blake2b(packed, digest_size=16).hexdigest()

    def prompt(self, seed: Prompt) -> Prompt:
        """The candidate as a prompt. seed: the hand-written one, which the other fields come from."""
        return msgspec.structs.replace(
            seed, name=self.id, body=self.body, examples=self.examples, placement=self.placement
        )

    def variant(self, base: Variant) -> Variant:
        """The candidate as a variant like the hand-written one."""
        sampling = msgspec.structs.replace(base.sampling, thinking=self.thinking)
        return msgspec.structs.replace(base, name=self.id, prompt=self.id, examples_off=(), sampling=sampling)
