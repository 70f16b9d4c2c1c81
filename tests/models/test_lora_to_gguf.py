"""Converted adapters against peft itself: llama.cpp must compute the same numbers, with and without them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import llama_cpp  # noqa: TID253 - the yardstick
import numpy as np
import peft  # noqa: TID253 - the yardstick
import pytest
import torch  # noqa: TID253 - the yardstick
from hf_fixture import LINEAR, write_adapter, write_hf
from transformers import AutoModelForCausalLM  # noqa: TID253 - the yardstick

from workbench.errors import ModelError
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import Chunk, GenerateRequest, Sampling, fold
from workbench.models.hf_to_gguf import convert_hf_to_gguf
from workbench.models.lora_to_gguf import convert_lora, find_gguf
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

SHAPES = {
    "Gemma": {"head_dim": 16, "tie_word_embeddings": True},
    "Gemma2": {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 24, "tie_word_embeddings": True},
    "Phi3": {"sliding_window": None},
    "Qwen3": {"head_dim": 16},
}
IDS = list(range(5, 45))
Base = tuple[Path, Path]


@pytest.fixture(scope="module")
def make_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Base]:
    made: dict[str, Base] = {}

    def make(architecture: str = "Llama") -> Base:
        if architecture not in made:
            folder = write_hf(tmp_path_factory.mktemp("base"), architecture, **SHAPES.get(architecture, {}))
            convert_hf_to_gguf(folder, folder.with_suffix(".gguf"), "f32")
            made[architecture] = folder, folder.with_suffix(".gguf")
        return made[architecture]

    return make


def expected_logits(folder: Path, adapter: Path, scale: float) -> np.ndarray:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), adapter)
        for module in model.modules():
            if isinstance(module, peft.tuners.lora.LoraLayer):
                module.scale_layer(scale)
        return model(input_ids=torch.tensor([IDS])).logits[0].numpy()


def found_logits(gguf: Path, adapter: Path | None = None, scale: float = 1.0) -> np.ndarray:
    exact = llama_cpp.GGML_TYPE_F32  # the cache's usual half precision would hide small errors
    model = llama_cpp.Llama(
        str(gguf),
        n_ctx=128,
        n_threads=1,
        logits_all=True,
        type_k=exact,
        type_v=exact,
        verbose=False,
        lora_path=str(adapter) if adapter else None,
        lora_scale=scale,
    )
    model.eval(IDS)
    found = np.array(model.scores[: len(IDS)])
    model.close()
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2, "down_proj": 6}, "alpha_pattern": {"layers.1.mlp.up_proj": 3}},
    ],
    ids=["plain", "rslora", "patterns"],
)
def test_llama_cpp_computes_what_peft_does_at_every_scale(
    make_base: Callable[..., Base], tmp_path: Path, options: dict[str, object]
) -> None:
    folder, gguf = make_base()
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=LINEAR, **options)
    path = write_adapter(folder, tmp_path / "adapter", config)
    convert_lora(Adapter("a", path), Model("base", gguf), tmp_path / "a.gguf")
    base = found_logits(gguf)
    for scale in (0.0, 0.5, 1.0):
        expected = expected_logits(folder, path, scale)
        found = found_logits(gguf, tmp_path / "a.gguf", scale) if scale else base
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
        assert scale == 0 or np.abs(found - base).max() > 0.05 * np.abs(base).max()


@pytest.mark.parametrize("architecture", ["Mistral", "Qwen2", "Qwen3", "Gemma", "Gemma2", "Phi3"])
def test_every_architecture_computes_alike_in_both_formats_with_and_without_an_adapter(
    make_base: Callable[..., Base], tmp_path: Path, architecture: str
) -> None:
    folder, gguf = make_base(architecture)
    fused = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
    config = peft.LoraConfig(r=4, target_modules=fused if architecture == "Phi3" else LINEAR)
    path = write_adapter(folder, tmp_path / "adapter", config)
    convert_lora(Adapter("a", path), Model("base", gguf), tmp_path / "a.gguf")
    for scale in (0.0, 0.5, 1.0):
        expected = expected_logits(folder, path, scale)
        found = found_logits(gguf, tmp_path / "a.gguf" if scale else None, scale)
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


def test_a_conversion_is_kept_until_the_adapter_changes(
    make_base: Callable[..., Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    folder, gguf = make_base()
    config = peft.LoraConfig(r=2, target_modules=["q_proj"])
    adapter = Adapter("a", write_adapter(folder, tmp_path / "adapter", config))
    first = find_gguf(adapter, gguf)
    written = first.stat().st_mtime_ns
    assert find_gguf(adapter, gguf) == first
    assert first.stat().st_mtime_ns == written
    write_adapter(folder, tmp_path / "adapter", config, seed=6)
    assert find_gguf(adapter, gguf) != first
    assert {path.suffix for path in first.parent.iterdir()} == {".gguf"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "lm_head"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "biases"),
        ({"trainable_token_indices": [3]}, "embeddings"),
        ({"target_modules": ["embed_tokens"]}, "embedding"),
    ],
)
def test_what_a_gguf_adapter_cannot_hold_is_refused_with_the_reason(
    make_base: Callable[..., Base], tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    folder, gguf = make_base()
    config = peft.LoraConfig(**{"r": 2, "target_modules": ["q_proj"], **options})  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = write_adapter(folder, tmp_path / "adapter", config)
    with pytest.raises(ModelError, match=reason) as caught:
        convert_lora(Adapter("a", path), Model("base", gguf), tmp_path / "a.gguf")
    assert "Hugging Face form" in caught.value.message
    assert not (tmp_path / "a.gguf").exists()


def test_a_peft_adapter_chosen_for_a_gguf_model_just_works(
    make_base: Callable[..., Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    folder, gguf = make_base()
    path = write_adapter(folder, tmp_path / "adapter", peft.LoraConfig(r=4, target_modules=LINEAR))
    convert_lora(Adapter("own", path), Model("base", gguf), tmp_path / "own.gguf")
    engine = LlamaEngine.open(Model("base", gguf), 1, 200, lambda _: True)
    texts = []
    for adapters in ((), (Applied(Adapter("own", path)),), (Applied(Adapter("own", tmp_path / "own.gguf", "gguf")),)):
        engine.submit(GenerateRequest(1, (Message("user", "the parcel"),), Sampling(max_tokens=12), adapters=adapters))
        chunks: list[Chunk] = []
        while engine.busy:
            chunks += [event for event in engine.step() if isinstance(event, Chunk)]
        texts.append(fold(chunks).text)
    engine.close()
    assert texts[0] != texts[1] == texts[2]
