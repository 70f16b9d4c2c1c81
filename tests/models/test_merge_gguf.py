"""A LoRA merged inside GGUF: the weights are the base's and the product's sum, and all else is as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf  # noqa: TID253 - the yardstick
import numpy as np
import pytest
from gguf.quants import dequantize  # noqa: TID253 - the yardstick
from gguf_fixture import write_gguf_adapter

from workbench.errors import ModelError
from workbench.inference.llamacpp.quantize import quantize
from workbench.models.merge_gguf import find_quantized, merge_gguf
from workbench.models.reference import Adapter, Applied, Model

ALPHA, RANK = 8.0, 4


def weights(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in gguf.GGUFReader(path).tensors}


def types(path: Path) -> dict[str, int]:
    return {tensor.name: int(tensor.tensor_type) for tensor in gguf.GGUFReader(path).tensors}


def fields(path: Path) -> dict[str, object]:
    reader = gguf.GGUFReader(path)
    return {field.name: field.contents() for field in reader.fields.values() if not field.name.startswith("GGUF.")}


@pytest.fixture
def base(tiny_gguf: Callable[..., Path]) -> Path:
    return tiny_gguf()


def merged(base: Path, out: Path, scale: float = 1.0, whole: Path | None = None) -> tuple[dict[str, np.ndarray], Path]:
    """What the merged weights must be, and the file that was written. whole: the base in 32 bits."""
    adapter = write_gguf_adapter(out.with_name("adapter.gguf"), whole or base, rank=RANK, alpha=ALPHA)
    merge_gguf(Model("base", base), [Applied(Adapter("mine", adapter, "gguf"), scale)], out)
    expected, pairs = weights(base), weights(adapter)
    for name in expected:
        if f"{name}.lora_a" in pairs:
            product = pairs[f"{name}.lora_b"] @ pairs[f"{name}.lora_a"]
            expected[name] = expected[name] + product * (scale * ALPHA / RANK)
    return expected, out


@pytest.mark.parametrize("scale", [1.0, 0.5, -1.0, 0.0])
def test_the_weights_are_the_sum_and_everything_else_stays(base: Path, tmp_path: Path, scale: float) -> None:
    expected, out = merged(base, tmp_path / "new.gguf", scale)
    found = weights(out)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-6)
    assert fields(out) == fields(base)
    assert types(out) == types(base)


@pytest.mark.parametrize(("kind", "last_bit"), [("f16", 2**-10), ("bf16", 2**-7)])
def test_half_precision_stays_half_precision_but_for_the_last_bit(
    base: Path, tmp_path: Path, kind: str, last_bit: float
) -> None:
    quantize(base, tmp_path / "half.gguf", kind)
    expected, out = merged(tmp_path / "half.gguf", tmp_path / "new.gguf", whole=base)
    for name, array in weights(out).items():
        np.testing.assert_allclose(array, expected[name], rtol=last_bit, atol=1e-6)
    assert types(out) == types(tmp_path / "half.gguf")


def test_a_quantized_base_is_refused(base: Path, tmp_path: Path) -> None:
    quantize(base, tmp_path / "packed.gguf", "q8_0")
    assert find_quantized(Model("base", tmp_path / "packed.gguf")) == ("Q8_0",)
    with pytest.raises(ModelError, match=r"quantized \(Q8_0\)"):
        merged(tmp_path / "packed.gguf", tmp_path / "new.gguf", whole=base)
    assert not (tmp_path / "new.gguf").exists()


def test_what_half_precision_cannot_hold_is_refused(base: Path, tmp_path: Path) -> None:
    quantize(base, tmp_path / "half.gguf", "f16")
    with pytest.raises(ModelError, match="beyond what F16 can hold"):
        merged(tmp_path / "half.gguf", tmp_path / "new.gguf", scale=1e6, whole=base)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter.gguf", "half.gguf"]


def test_an_adapter_for_another_model_is_refused_with_every_reason(
    base: Path, tmp_path: Path, tiny_gguf: Callable[..., Path]
) -> None:
    adapter = write_gguf_adapter(tmp_path / "other.gguf", tiny_gguf("window", architecture="gemma2"))
    (tmp_path / "there.gguf").touch()
    with pytest.raises(ModelError, match=r"(?s)architecture gemma2.*already there"):
        merge_gguf(Model("base", base), [Applied(Adapter("other", adapter, "gguf"))], tmp_path / "there.gguf")
