"""Adapters as the field writes them: each good one is accepted, each that belongs to another base is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gguf  # noqa: TID253 - writes the files
import numpy as np
import peft  # noqa: TID253 - the yardstick
import pytest
from gguf_fixture import write_gguf, write_gguf_adapter
from hf_fixture import LINEAR, write_adapter, write_hf
from safetensors.numpy import load_file, save_file

from workbench.errors import ModelError
from workbench.models.adapter_config import read_adapter_config
from workbench.models.adapter_info import inspect_adapter
from workbench.models.compatibility import check_compatible
from workbench.models.merge_gguf import merge_gguf
from workbench.models.model_info import inspect_gguf
from workbench.models.reference import Adapter, Applied, Model

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of peft and transformers
WEIGHTS = "adapter_model.safetensors"
Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def base_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def problems(path: Path, base: Path) -> tuple[str, ...]:
    forms = [Adapter(path.stem, path, "gguf" if path.suffix == ".gguf" else "peft")]
    return check_compatible(forms[0], Model("tiny", base, "gguf" if base.suffix == ".gguf" else "hf"))


def edit(path: Path, **changes: object) -> None:
    config = path / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))


SOME = [
    {"target_modules": ["q_proj"], "layers_to_transform": [1]},
    {"target_modules": ["q_proj"], "layers_to_transform": 1},
    {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [0], "layers_pattern": "layers"},
    {"target_modules": ["layers.0.self_attn.q_proj"]},
    {"target_modules": ["1.self_attn.q_proj", "0.mlp.up_proj"]},
    {"target_modules": ["model.layers.0.mlp.down_proj"]},
    {"target_modules": r".*\.1\.self_attn\.(q|v)_proj"},
    {"target_modules": ["q_proj", "k_proj"], "exclude_modules": ["0.self_attn.k_proj"]},
    {"target_modules": "all-linear"},
]


@pytest.mark.parametrize("config", SOME, ids=lambda config: str(config["target_modules"]))
def test_only_what_the_configuration_names_is_expected(hf: Path, tmp_path: Path, config: dict[str, object]) -> None:
    path = write_adapter(hf, tmp_path / "some", peft.LoraConfig(r=4, **config))  # type: ignore[arg-type]
    assert problems(path, hf) == ()


@pytest.mark.parametrize("config", SOME, ids=lambda config: str(config["target_modules"]))
def test_what_the_configuration_names_and_is_not_there_is_missed(
    hf: Path, tmp_path: Path, config: dict[str, object]
) -> None:
    path = write_adapter(hf, tmp_path / "some", peft.LoraConfig(r=4, **config))  # type: ignore[arg-type]
    tensors = load_file(path / WEIGHTS)
    lost = sorted(tensors)[0].replace(".lora_A.weight", "")
    kept = {name: array for name, array in tensors.items() if not name.startswith(lost)}
    if kept:
        save_file(kept, path / WEIGHTS)
        assert any("is missing from the adapter" in problem for problem in problems(path, hf))


def test_peft_and_this_agree_on_what_is_named(hf: Path, tmp_path: Path) -> None:
    from peft.tuners.tuners_utils import check_target_module_exists

    modules = [f"model.layers.{n}.{part}" for n in range(3) for part in ("self_attn.q_proj", "mlp.up_proj")]
    for number, changes in enumerate(SOME[:-1]):
        path = tmp_path / str(number)
        peft.LoraConfig(r=4, **changes).save_pretrained(path)  # type: ignore[arg-type]
        own, _ = read_adapter_config(path)
        theirs = peft.LoraConfig.from_pretrained(str(path))
        for module in [*modules, "lm_head", "model.embed_tokens"]:
            assert own.targets(module) == bool(check_target_module_exists(theirs, module)), (changes, module)


def test_pefts_own_copy_of_a_head_is_no_stranger(hf: Path, tmp_path: Path) -> None:
    path = write_adapter(hf, tmp_path / "head", peft.LoraConfig(r=4, target_modules=["q_proj", "lm_head"]))
    names = load_file(path / WEIGHTS)
    if not any("base_layer" in name for name in names):
        head = load_file(hf / "model.safetensors")["lm_head.weight"]
        save_file({**names, "base_model.model.lm_head.base_layer.weight": head}, path / WEIGHTS)
    assert problems(path, hf) == ()
    copied = load_file(path / WEIGHTS)
    copied["base_model.model.lm_head.base_layer.weight"] = np.zeros((7, 32), np.float32)
    save_file(copied, path / WEIGHTS)
    assert "is there as a copy of the shape (7, 32)" in problems(path, hf)[0]


def test_a_rank_that_the_weights_do_not_have_is_refused(hf: Path, tmp_path: Path) -> None:
    path = write_adapter(hf, tmp_path / "mine", peft.LoraConfig(r=4, target_modules=LINEAR))
    edit(path, r=8)
    assert "says rank 8, and its weights have rank 4" in problems(path, hf)[0]
    edit(path, r=4, rank_pattern={"q_proj": 2})
    assert "says rank 2, and its weights have rank 4" in problems(path, hf)[0]


@pytest.mark.parametrize(("own", "other"), [("Qwen2", "Llama"), ("Llama", "Qwen3"), ("Mistral", "Llama")])
def test_an_adapter_of_another_architecture_with_the_same_shapes_is_refused(
    tmp_path: Path, own: str, other: str
) -> None:
    sized = {"head_dim": 8} if "Qwen3" in (own, other) else {}
    bases = [write_hf(tmp_path / name, name, **(sized if name != "Qwen2" else {})) for name in (own, other)]
    path = write_adapter(bases[0], tmp_path / "mine", peft.LoraConfig(r=4, target_modules=["q_proj", "o_proj"]))
    assert problems(path, bases[0]) == ()
    assert f"and the base is a {other.lower()}" in problems(path, bases[1])[0]


def test_a_base_that_lies_elsewhere_is_told_by_its_name(hf: Path, tmp_path: Path) -> None:
    path = write_adapter(hf, tmp_path / "mine", peft.LoraConfig(r=4, target_modules=["q_proj"]))
    for name, fits in (
        ("Qwen/Qwen2.5-0.5B-Instruct", False),
        ("google/gemma-2-2b", False),
        ("meta-llama/Llama-3.2-1B", True),
        ("HuggingFaceTB/SmolLM2-135M", True),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", True),
    ):
        edit(path, base_model_name_or_path=name)
        assert (problems(path, hf) == ()) == fits, name


def test_a_lora_of_the_token_embedding_is_read_the_way_it_is_stored(base_gguf: Path, tmp_path: Path) -> None:
    embedding = _read(base_gguf)["token_embd.weight"]
    up, down = _noise((embedding.shape[0], 4)), _noise((embedding.shape[1], 4))

    def change(_: Tensors) -> Tensors:
        return {"token_embd.weight.lora_a": up, "token_embd.weight.lora_b": down}

    path = write_gguf_adapter(tmp_path / "embedding.gguf", base_gguf, alpha=8.0, changes=change)
    assert problems(path, base_gguf) == ()
    assert inspect_adapter(Adapter("a", path, "gguf")).ranks == (4,)
    merge_gguf(Model("tiny", base_gguf), [Applied(Adapter("a", path, "gguf"))], tmp_path / "merged.gguf")
    found = _read(tmp_path / "merged.gguf")["token_embd.weight"]
    assert np.allclose(found, embedding + 2.0 * up @ down.T, atol=1e-5)


def test_where_the_embedding_is_the_head_too_its_lora_is_refused(base_gguf: Path, tmp_path: Path) -> None:
    """llama.cpp would end the whole process in the first step."""
    tied = tmp_path / "tied.gguf"
    _rewrite(base_gguf, tied, lambda tensors: {k: v for k, v in tensors.items() if k != "output.weight"})
    size, width = _read(base_gguf)["token_embd.weight"].shape

    def change(_: Tensors) -> Tensors:
        return {"token_embd.weight.lora_a": _noise((size, 4)), "token_embd.weight.lora_b": _noise((width, 4))}

    path = write_gguf_adapter(tmp_path / "embedding.gguf", base_gguf, changes=change)
    assert "the output head as well" in problems(path, tied)[0]


def test_a_lora_of_experts_has_three_dimensions(base_gguf: Path, tmp_path: Path) -> None:
    experts, outputs, inputs = 3, 6, 32
    name = "blk.0.ffn_gate_exps.weight"
    base = tmp_path / "experts.gguf"
    _rewrite(base_gguf, base, lambda tensors: {**tensors, name: _noise((experts, outputs, inputs))})
    down, up = _noise((experts, 2, inputs)), _noise((experts, outputs, 2))
    path = write_gguf_adapter(
        tmp_path / "a.gguf", base_gguf, alpha=4.0, changes=lambda _: {f"{name}.lora_a": down, f"{name}.lora_b": up}
    )
    assert problems(path, base) == ()
    merge_gguf(Model("tiny", base), [Applied(Adapter("a", path, "gguf"))], tmp_path / "merged.gguf")
    assert np.allclose(_read(tmp_path / "merged.gguf")[name], _read(base)[name] + 2.0 * up @ down, atol=1e-5)
    few = {f"{name}.lora_a": down[:2], f"{name}.lora_b": up[:2]}
    path = write_gguf_adapter(tmp_path / "few.gguf", base_gguf, changes=lambda _: few)
    assert "changes weights of the shape (2, 6, 32), and the base's have (3, 6, 32)" in problems(path, base)[0]


def test_norm_vectors_are_noted_and_left_out(base_gguf: Path, tmp_path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        return {**tensors, "blk.0.attn_norm.weight": np.full(32, 9, np.float32)}

    path = write_gguf_adapter(tmp_path / "norms.gguf", base_gguf, changes=change)
    assert problems(path, base_gguf) == ()
    assert "1 norm vectors (blk.0.attn_norm.weight)" in inspect_adapter(Adapter("a", path, "gguf")).notes[0]
    notes = merge_gguf(Model("t", base_gguf), [Applied(Adapter("a", path, "gguf"))], tmp_path / "merged.gguf")
    assert "passes over" in notes[0]
    assert np.all(_read(tmp_path / "merged.gguf")["blk.0.attn_norm.weight"] == 1)


def test_two_adapters_are_merged_into_one_file(base_gguf: Path, tmp_path: Path) -> None:
    paths = [write_gguf_adapter(tmp_path / f"{seed}.gguf", base_gguf, seed=seed) for seed in (3, 4)]
    laid = [Applied(Adapter(path.stem, path, "gguf"), scale) for path, scale in zip(paths, (1.0, 0.5), strict=True)]
    merge_gguf(Model("t", base_gguf), laid, tmp_path / "both.gguf")
    merge_gguf(Model("t", base_gguf), laid[:1], tmp_path / "one.gguf")
    merge_gguf(Model("t", tmp_path / "one.gguf"), laid[1:], tmp_path / "after.gguf")
    both, after = _read(tmp_path / "both.gguf"), _read(tmp_path / "after.gguf")
    assert all(np.allclose(both[name], after[name], atol=1e-5) for name in both)
    assert not np.allclose(both["blk.0.attn_q.weight"], _read(tmp_path / "one.gguf")["blk.0.attn_q.weight"])


def test_an_mlx_adapter_is_named_as_one(tmp_path: Path) -> None:
    parameters = {"rank": 8, "scale": 20.0, "dropout": 0.0}
    config = {"fine_tune_type": "lora", "num_layers": 16, "lora_parameters": parameters}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    save_file(
        {"model.layers.0.self_attn.q_proj.lora_a": np.zeros((8, 2), np.float32)}, tmp_path / "adapters.safetensors"
    )
    with pytest.raises(ModelError, match="an adapter of MLX"):
        inspect_adapter(Adapter("mlx", tmp_path))


def _imatrix(writer: gguf.GGUFWriter) -> None:
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["text"])


def _vocabulary(writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b"])


def _shard(writer: gguf.GGUFWriter) -> None:
    writer.add_uint16("split.no", 1)
    writer.add_uint16("split.count", 3)


def _control(writer: gguf.GGUFWriter) -> None:
    writer.add_tensor("direction.1", np.zeros(8, np.float32))


@pytest.mark.parametrize(
    ("architecture", "fill", "said"),
    [
        ("llama", _imatrix, "an importance matrix for quantizing"),
        ("controlvector", _control, "a control vector"),
        ("llama", _vocabulary, "a vocabulary without a model"),
        ("llama", _shard, "part 2 of 3 of a model"),
        ("clip", lambda writer: None, "a projector for images"),
    ],
)
def test_other_files_are_named_as_what_they_are(
    tmp_path: Path, architecture: str, fill: Callable[[gguf.GGUFWriter], None], said: str
) -> None:
    path = tmp_path / "file.gguf"
    writer = gguf.GGUFWriter(path, architecture)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match=f"is {said}, not a language model"):
        inspect_gguf(path)
    with pytest.raises(ModelError, match=f"no LoRA adapter: it is {said}"):
        inspect_adapter(Adapter("a", path, "gguf"))


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


def _read(path: Path) -> Tensors:
    return {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def _rewrite(source: Path, target: Path, change: Callable[[Tensors], Tensors]) -> None:
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    for name, array in change(_read(source)).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
