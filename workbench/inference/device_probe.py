"""llama.cpp's build and devices, read in a child process: loading the native library may end the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from workbench.errors import EngineError
from workbench.inference.worker import spawn
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import FrameCodec
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerSpec

_SECONDS = 60.0
_CAUSES = {
    "SIGILL": "it was compiled for another processor",
    "SIGBUS": "a file of it is damaged",
    "SIGSEGV": "a file of it is damaged, or it was compiled wrongly",
}
"""What a signal means while a library is loaded; Python's fault handler prints nothing that says more."""

_KINDS: tuple[Literal["cpu", "gpu", "integrated gpu", "accelerator"], ...] = (
    "cpu",
    "gpu",
    "integrated gpu",
    "accelerator",
)  # ggml_backend_dev_type in ggml-backend.h


class BackendDevice(msgspec.Struct, frozen=True):
    """A device as ggml lists it. backend: CPU, CUDA, ROCm, Metal, Vulkan or RPC."""

    name: str
    description: str
    backend: str
    kind: Literal["cpu", "gpu", "integrated gpu", "accelerator"]
    free_bytes: int
    total_bytes: int

    @property
    def is_gpu(self) -> bool:
        return self.kind in ("gpu", "integrated gpu")


class LlamaBuild(msgspec.Struct, frozen=True):
    """The library that is loaded. error: why it cannot be used; empty where it can."""

    version: str
    ggml: str = ""
    features: str = ""
    devices: tuple[BackendDevice, ...] = ()
    error: str = ""
    command: str = ""
    has_rpc: bool = False
    """whether it can use RPC servers"""


_REPLIES: FrameCodec[LlamaBuild] = FrameCodec(LlamaBuild)


def probe_llama(environment: Mapping[str, str] | None = None, rpc: tuple[str, ...] = ()) -> LlamaBuild:
    """Load the library in a child and describe it. Raises EngineError where the child ends or hangs.

    rpc: addresses of RPC servers whose devices are listed too.
    """
    spec = WorkerSpec(__name__, environment=lambda _: spawn.environment(**(environment or {})))
    worker = BlockingWorker(spec, _REPLIES, "device probe")
    try:
        return worker.ask(rpc, _SECONDS)
    except TimeoutError as error:
        raise EngineError(f"llama.cpp did not load within {_SECONDS:.0f} s.") from error
    except WorkerEnded as ended:
        words = ended.exit.last_words.strip().splitlines()
        cause = words[-1].rstrip(".") if words else "it printed nothing"
        cause = next((known for name, known in _CAUSES.items() if name in ended.exit.reason), cause)
        raise EngineError(
            f"The process that loads llama.cpp {ended.exit.reason}: {cause}.",
            details=ended.exit.last_words,
        ) from ended
    finally:
        worker.end()


def main() -> None:
    """Serve one question."""
    channel: ParentChannel[tuple[str, ...]] = ParentChannel(FrameCodec(tuple[str, ...]))
    channel.send(_describe(channel.first() or ()))


def _describe(rpc: tuple[str, ...]) -> LlamaBuild:
    import ctypes
    from importlib.metadata import PackageNotFoundError, version

    from workbench.errors import ModelError
    from workbench.models.offload import Offload

    try:
        found = version("llama-cpp-python")
    except PackageNotFoundError:
        return LlamaBuild("", error="llama-cpp-python is not installed.")
    try:
        from workbench.inference.llamacpp.devices import add_rpc_servers, is_rpc_build, list_native
        from workbench.inference.llamacpp.native import native, start
    except (ImportError, OSError, RuntimeError, AttributeError) as error:  # a library that is damaged, or of a build
        return LlamaBuild(found, error=f"llama-cpp-python {found} does not load: {error}")  # without these functions
    try:
        start()
    except ModelError as error:
        return LlamaBuild(found, error=error.message, command=error.hint.rpartition(": ")[2])
    library = native._lib  # the functions of ggml are found through it: it is linked against them
    for name in ("version", "commit"):
        getattr(library, f"ggml_{name}").restype = ctypes.c_char_p
    try:
        listed = [*list_native(), *add_rpc_servers(Offload(rpc=rpc))]
    except ModelError as error:
        return LlamaBuild(found, error=error.message, command=error.hint)
    devices = tuple(
        BackendDevice(
            one.device.name,
            one.device.description,
            one.device.backend,
            _KINDS[one.kind] if one.kind < len(_KINDS) else "accelerator",
            one.device.free_bytes,
            one.device.total_bytes,
        )
        for one in listed
    )
    ggml = f"{library.ggml_version().decode()} ({library.ggml_commit().decode()})"
    features = native.llama_print_system_info().decode("utf-8", "replace")
    return LlamaBuild(found, ggml, features, devices, has_rpc=is_rpc_build())
