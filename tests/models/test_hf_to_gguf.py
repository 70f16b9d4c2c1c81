"""The converter against llama.cpp itself: same numbers, same text, and one clear message for what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import llama_cpp  # noqa: TID253 - the yardstick
import numpy as np
import pytest
import torch  # noqa: TID253 - the yardstick
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: TID253 - the yardstick

from workbench.errors import ModelError
from workbench.models.hf_to_gguf import Quantization, convert_hf_to_gguf

TEXTS = ["the kettle is broken", "Naïve café 😀!", "  two  spaces\n\nand 1234 lines\t", "don't we'll I'm", ""]


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def make(**changes: object) -> Path:
        folder = tmp_path_factory.mktemp("model")
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=["<|end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(TEXTS * 4, trainer)
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            bos_token="<|end|>",
            eos_token="<|end|>",
            chat_template="{{ messages[0].content }}",
        ).save_pretrained(folder)
        shape = {
            "vocab_size": 328,  # more than the tokenizer has, as padded models do
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128,
            "tie_word_embeddings": False,
            "initializer_range": 0.2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
        }
        torch.manual_seed(3)
        LlamaForCausalLM(LlamaConfig(**{**shape, **changes})).save_pretrained(folder)
        return folder

    return make


def _open(path: Path) -> llama_cpp.Llama:
    exact = llama_cpp.GGML_TYPE_F32  # the cache's usual half precision would hide small errors
    return llama_cpp.Llama(
        str(path), n_ctx=128, n_threads=1, logits_all=True, type_k=exact, type_v=exact, verbose=False
    )


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("heads", [2, 4])
def test_llama_cpp_computes_the_same_logits_as_transformers(
    make_folder: Callable[..., Path], tmp_path: Path, tied: bool, heads: int
) -> None:
    _check_logits(make_folder(tie_word_embeddings=tied, num_key_value_heads=heads), tmp_path)


def test_positions_stretched_as_in_llama_3_are_the_same(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    rope = {"rope_type": "llama3", "rope_theta": 50.0, "factor": 8.0, "original_max_position_embeddings": 32}
    rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    _check_logits(make_folder(rope_parameters=rope), tmp_path)


def _check_logits(folder: Path, tmp_path: Path) -> None:
    convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")
    ids = list(range(5, 69))
    with torch.no_grad():
        expected = LlamaForCausalLM.from_pretrained(folder)(input_ids=torch.tensor([ids])).logits[0].numpy()
    model = _open(tmp_path / "model.gguf")
    model.eval(ids)
    found = np.array(model.scores[: len(ids)])
    model.close()
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


def test_llama_cpp_splits_text_into_the_same_tokens(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f16")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = _open(tmp_path / "model.gguf")
    found = [model.tokenize(text.encode(), add_bos=True, special=True) for text in [*TEXTS, "a<|end|>b"]]
    eos, template = model.token_eos(), model.metadata["tokenizer.chat_template"]
    model.close()
    assert found == [tokenizer.encode(text) for text in [*TEXTS, "a<|end|>b"]]
    assert (eos, template) == (tokenizer.eos_token_id, "{{ messages[0].content }}")


def _write_sentencepiece(folder: Path, normalizer: normalizers.Normalizer | None, scheme: str) -> None:
    """Replace a folder's tokenizer by one as a converted SentencePiece model has it, of at most 328 tokens."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    words = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=words, show_progress=False)
    tokenizer.train_from_iterator(["the kettle is broken then the kettle", "two  spaces in lines"] * 4, trainer)
    tree = json.loads(tokenizer.to_str())
    order = sorted(tree["model"]["vocab"], key=tree["model"]["vocab"].__getitem__)
    named = [*words, *(f"<0x{byte:02X}>" for byte in range(256)), *order[len(words) :]]
    tree["model"]["vocab"] = {token: place for place, token in enumerate(named)}
    tokenizer = Tokenizer.from_str(json.dumps(tree))
    tokenizer.normalizer = normalizer
    if normalizer is None:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


PREPEND = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


@pytest.mark.parametrize(
    ("normalizer", "scheme"),
    [(PREPEND, ""), (normalizers.Replace(" ", "▁"), ""), (None, "first"), (None, "never")],
    ids=["llama-2", "gemma", "metaspace", "metaspace without a space"],
)
def test_a_tokenizer_made_from_sentencepiece_splits_text_alike(
    make_folder: Callable[..., Path], tmp_path: Path, normalizer: normalizers.Normalizer | None, scheme: str
) -> None:
    folder = make_folder(vocab_size=340)
    _write_sentencepiece(folder, normalizer, scheme)
    convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f16")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = _open(tmp_path / "model.gguf")
    texts = [" the"] if scheme != "first" else []  # where SentencePiece does as llama.cpp, and Metaspace does not
    texts += ["the kettle is broken", "then  two   spaces", "Naïve café 😀!", "in\nlines\t12", "kettlekettle"]
    found = [model.tokenize(text.encode(), add_bos=False, special=True) for text in texts]
    model.close()
    assert found == [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def test_a_tokenizer_that_lowers_case_is_refused(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder(vocab_size=340)
    _write_sentencepiece(folder, normalizers.Lowercase(), "")
    with pytest.raises(ModelError, match="Lowercase"):
        convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f16")


@pytest.mark.parametrize(("quantization", "bound"), [("f16", 0.01), ("q8_0", 0.05), ("q4_0", 0.5)])
def test_each_quantization_loads_and_stays_near_the_original(
    make_folder: Callable[..., Path], tmp_path: Path, quantization: Quantization, bound: float
) -> None:
    folder = make_folder()
    convert_hf_to_gguf(folder, tmp_path / "exact.gguf", "f32")
    convert_hf_to_gguf(folder, tmp_path / "small.gguf", quantization)
    logits = []
    for name in ("exact.gguf", "small.gguf"):
        model = _open(tmp_path / name)
        model.eval([7, 8, 9, 10])
        logits.append(np.array(model.scores[3]))
        model.close()
    error = np.linalg.norm(logits[1] - logits[0]) / np.linalg.norm(logits[0])
    assert 0 < error < bound
    assert (tmp_path / "small.gguf").stat().st_size < (tmp_path / "exact.gguf").stat().st_size


def test_everything_that_cannot_be_converted_is_named_at_once(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    config = json.loads((folder / "config.json").read_text())
    config |= {"attention_bias": True, "hidden_act": "gelu", "quantization_config": {"quant_method": "gptq"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError) as caught:
        convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")
    assert all(part in caught.value.message for part in ("biases", "gelu", "quantized"))
    assert list(tmp_path.iterdir()) == []


def test_of_another_architecture_nothing_but_its_name_is_said(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    """Its activation or rope would be held against an architecture that it is not."""
    folder = make_folder()
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Gemma3ForCausalLM"], "hidden_act": "gelu", "attention_bias": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="Gemma3ForCausalLM") as caught:
        convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")
    assert "gelu" not in caught.value.message
    assert "biases" not in caught.value.message


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        convert_hf_to_gguf(tmp_path, tmp_path / "model.gguf", "f32")


def test_a_tensor_that_no_llama_has_leaves_no_file_behind(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_folder()
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "model.layers.0.strange.weight": torch.zeros(2, 2)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="strange"):
        convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")
    assert list(tmp_path.iterdir()) == []
