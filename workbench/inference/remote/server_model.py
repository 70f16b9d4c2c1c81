"""What a server says of a model it runs."""

from __future__ import annotations

import hashlib
import re

import msgspec

from workbench.models.reference import ModelInfo


class ServerAdapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An adapter that a server has. name: by which a variant names it. id: the server's number, where it counts them.
    path: where the server has it from; "" where it does not tell."""

    name: str
    id: int = -1
    path: str = ""


def shorten_path(name: str) -> str:
    """The last part of a model's name where that is a file's path, which differs from machine to machine."""
    is_path = name.startswith(("/", "\\")) or name[1:2] == ":" or name.lower().endswith(".gguf")
    return re.split(r"[/\\]", name)[-1] if is_path else name


class ServerModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """name: by which requests name it. server: the program and its version. slots: requests that it answers at a time.
    file: what it was loaded from. digest: of its weights. Empty or 0: the server does not tell."""

    name: str
    dialect: str
    server: str = ""
    context_tokens: int = 0
    trained_tokens: int = 0
    vocabulary: int = 0
    parameters: int = 0
    file_bytes: int = 0
    architecture: str = ""
    quantization: str = ""
    file: str = ""
    digest: str = ""
    template: str = ""
    slots: int = 0
    adapters: tuple[ServerAdapter, ...] = ()
    sees: bool | None = None
    """whether it can be shown pictures; None: the server does not tell"""

    @property
    def template_digest(self) -> str:
        """Of its chat template; "" where that is not told."""
        return hashlib.blake2b(self.template.encode(), digest_size=8).hexdigest() if self.template else ""

    @property
    def identity(self) -> str:
        """A digest of all that tells this model from another; two servers that share it serve the same."""
        parts = (self.name, self.dialect, self.server, self.context_tokens, self.vocabulary, self.parameters)
        known = (*parts, self.file_bytes, self.quantization, self.digest, self.template_digest, self.adapters)
        return hashlib.blake2b(msgspec.json.encode(known), digest_size=16).hexdigest()

    def describe(self, context_tokens: int | None, unsupported: tuple[str, ...]) -> ModelInfo:
        """It as every model is described. context_tokens: what a person says of the context; None: nothing."""
        return ModelInfo(
            architecture=self.architecture,
            quantization=self.quantization,
            parameters=self.parameters,
            file_bytes=self.file_bytes,
            context_trained_tokens=self.trained_tokens,
            vocabulary=self.vocabulary,
            has_chat_template=True,
            context_tokens=context_tokens or self.context_tokens,
            engine=self.server or self.dialect,
            device="server",
            unsupported_sampling=unsupported,
        )
