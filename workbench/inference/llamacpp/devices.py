"""The devices that llama.cpp may compute on: as ggml lists them, with those of RPC servers, which are asked first."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import psutil

from workbench.errors import ModelError
from workbench.inference.llamacpp.native import native
from workbench.inference.rpc_check import NO_RPC, RPC_BUILD, check_rpc_server
from workbench.models.device_share import Device, DeviceKind, limit_to_ram, select_devices
from workbench.offload import Offload

_KINDS: tuple[DeviceKind, ...] = get_args(DeviceKind)


class NativeDevice(NamedTuple):
    """A device as ggml lists it. handle: its address. buffer_name: of its buffers."""

    device: Device
    handle: int
    buffer_name: str


def list_native() -> list[NativeDevice]:
    """All devices, the CPU among them, with their free memory now."""
    library = _library()
    return [
        _describe(library, library.ggml_backend_dev_get(index)) for index in range(library.ggml_backend_dev_count())
    ]


def choose_devices(offload: Offload) -> list[NativeDevice]:
    """Those that a model may be offloaded to, by llama.cpp's rule. Raises ModelError for a server that cannot be
    used."""
    if offload.gpu_layers in ("none", 0):
        return []
    servers = add_rpc_servers(offload)
    found = [*servers, *(one for one in list_native() if one.device.backend != "RPC")]
    chosen = select_devices([one.device for one in found])
    usable = limit_to_ram(chosen, int(psutil.virtual_memory().available))
    natives = {one.device: one for one in found}
    return [natives[one]._replace(device=limited) for one, limited in zip(chosen, usable, strict=True)]


def add_rpc_servers(offload: Offload) -> list[NativeDevice]:
    """Connect to RPC servers; the devices that they have. Raises ModelError.

    Each is checked before ggml connects: what goes wrong there ends the process.
    """
    if not offload.rpc:
        return []
    library = _library()
    registry = library.ggml_backend_reg_by_name(b"RPC")
    if not registry:
        raise ModelError(NO_RPC, RPC_BUILD)
    address = library.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_rpc_add_server")
    add = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(address)
    found: list[NativeDevice] = []
    for text in offload.rpc:
        endpoint = check_rpc_server(text, offload.public_rpc)
        server = add(str(endpoint).encode())
        if not server:
            raise ModelError(f"The RPC server {text} has no device.", "Start it with a device: ggml-rpc-server -d …")
        count = library.ggml_backend_reg_dev_count(server)
        for index in range(count):  # its buffers are named after its number on its own server
            device = _describe(library, library.ggml_backend_reg_dev_get(server, index))
            found.append(device._replace(buffer_name=f"RPC{index}[{endpoint}]"))
    return found


def has_own_gpu() -> bool:
    """Whether this machine has a GPU that llama.cpp can use; devices of RPC servers are not its own."""
    return any(one.device.is_gpu and one.device.backend != "RPC" for one in list_native())


def is_rpc_build() -> bool:
    """Whether this llama.cpp can use RPC servers."""
    return bool(_library().ggml_backend_reg_by_name(b"RPC"))


def ask_memory(handle: int) -> tuple[int, int]:
    """The free and the whole memory of a device."""
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _library().ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    return free.value, total.value


def _describe(library: Any, handle: int) -> NativeDevice:
    number = int(library.ggml_backend_dev_type(handle))
    kind = _KINDS[number] if number < len(_KINDS) else "accelerator"
    free_bytes, total_bytes = ask_memory(handle)
    if kind == "cpu":  # ggml calls all of the processor's memory free
        free_bytes = int(psutil.virtual_memory().available)
    registry = library.ggml_backend_reg_name(library.ggml_backend_dev_backend_reg(handle))
    device = Device(
        _text(library.ggml_backend_dev_name(handle)),
        _text(library.ggml_backend_dev_description(handle)).strip(),
        _text(registry),
        free_bytes,
        total_bytes,
        kind,
    )
    return NativeDevice(device, handle, device.name)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def make_device_list(devices: Sequence[NativeDevice]) -> Any:
    """The array for llama_model_params.devices, which ends with a null; it must live as long as the load."""
    return (ctypes.c_void_p * (len(devices) + 1))(*(one.handle for one in devices), None)


@functools.cache
def _library() -> Any:
    """The library with the types of ggml's functions, which are found through it: it is linked against them."""
    library = native._lib
    size, pointer, text = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
    sizes = ctypes.POINTER(size)
    for name, result, arguments in (
        ("ggml_backend_dev_count", size, []),
        ("ggml_backend_dev_get", pointer, [size]),
        ("ggml_backend_dev_name", text, [pointer]),
        ("ggml_backend_dev_description", text, [pointer]),
        ("ggml_backend_dev_type", ctypes.c_int, [pointer]),
        ("ggml_backend_dev_memory", None, [pointer, sizes, sizes]),
        ("ggml_backend_dev_backend_reg", pointer, [pointer]),
        ("ggml_backend_dev_buffer_type", pointer, [pointer]),
        ("ggml_backend_reg_name", text, [pointer]),
        ("ggml_backend_reg_by_name", pointer, [text]),
        ("ggml_backend_reg_get_proc_address", pointer, [pointer, text]),
        ("ggml_backend_reg_dev_count", size, [pointer]),
        ("ggml_backend_reg_dev_get", pointer, [pointer, size]),
        ("ggml_backend_cpu_buffer_type", pointer, []),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def cpu_buffer_type() -> int:
    """The address of ggml's buffer type for RAM, which keeps a tensor on the CPU."""
    return int(_library().ggml_backend_cpu_buffer_type())
