"""llama.cpp's build and devices, read in a child process: loading the native library may end the process."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from workbench.errors import EngineError
from workbench.inference.worker import spawn
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import FrameCodec
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerSpec
from workbench.models.device_share import Device
from workbench.offload import Offload

_SECONDS, _SERVER_SECONDS = 60.0, 10.0
"""For the library to load, and for each RPC server to answer or not."""
_CAUSES = {
    "SIGILL": "it was compiled for another processor",
    "SIGBUS": "a file of it is damaged",
    "SIGSEGV": "a file of it is damaged, or it was compiled wrongly",
}
"""What a signal means while a library is loaded; Python's fault handler prints nothing that says more."""

_USUAL = Offload()


class LlamaBuild(msgspec.Struct, frozen=True):
    """The library that is loaded. error: why it cannot be used; empty where it can."""

    version: str
    ggml: str = ""
    features: str = ""
    devices: tuple[Device, ...] = ()
    error: str = ""
    command: str = ""
    has_rpc: bool = False
    """whether it can use RPC servers"""
    rpc_problems: dict[str, str] = {}
    """RPC servers that cannot be asked for their devices: address -> why, in a sentence"""


_REPLIES: FrameCodec[LlamaBuild] = FrameCodec(LlamaBuild)


def probe_llama(environment: Mapping[str, str] | None = None, offload: Offload = _USUAL) -> LlamaBuild:
    """Load the library in a child and describe it. Raises EngineError where the child ends or hangs.

    offload: whose RPC servers' devices are listed too.
    """
    seconds = _SECONDS + len(offload.rpc) * _SERVER_SECONDS
    spec = WorkerSpec(__name__, environment=lambda _: spawn.environment(**(environment or {})))
    worker = BlockingWorker(spec, _REPLIES, "device probe")
    try:
        return worker.ask(offload, seconds)
    except TimeoutError as error:
        raise EngineError(f"llama.cpp did not load within {seconds:.0f} s.") from error
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
    channel: ParentChannel[Offload] = ParentChannel(FrameCodec(Offload))
    channel.send(_describe(channel.first() or Offload()))


def _describe(offload: Offload) -> LlamaBuild:
    import ctypes
    from importlib.metadata import PackageNotFoundError, version

    from workbench.errors import ModelError

    try:
        found = version("llama-cpp-python")
    except PackageNotFoundError:
        return LlamaBuild("", error="llama-cpp-python is not installed.")
    try:
        from workbench.inference.llamacpp.devices import is_rpc_build, list_native
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
    own = tuple(one.device for one in list_native())
    served, problems = _ask_servers(offload)
    ggml = f"{library.ggml_version().decode()} ({library.ggml_commit().decode()})"
    features = native.llama_print_system_info().decode("utf-8", "replace")
    return LlamaBuild(found, ggml, features, (*own, *served), has_rpc=is_rpc_build(), rpc_problems=problems)


def _ask_servers(offload: Offload) -> tuple[list[Device], dict[str, str]]:
    """The devices of each RPC server, and why others cannot be asked: one that is away hides no other."""
    from workbench.errors import ModelError
    from workbench.inference.llamacpp.devices import add_rpc_servers

    devices: list[Device] = []
    problems: dict[str, str] = {}
    for address in offload.rpc:
        try:
            found = add_rpc_servers(msgspec.structs.replace(offload, rpc=(address,)))
            devices += [one.device for one in found]
        except ModelError as error:
            problems[address] = error.message
    return devices, problems
