"""Everything in which Hugging Face folders are unlike each other: converted, they are the same model, or refused.

Each architecture with each quirk goes through the converter; what it writes is held against transformers in its
logits, its tokens and its ends, by llama.cpp itself.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp  # noqa: TID253 - the yardstick
import numpy as np
import pytest
import torch  # noqa: TID253 - the yardstick
from hf_fixture import write_hf
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253 - the yardstick

from workbench.analysis.equivalence_texts import list_special_texts, list_texts
from workbench.errors import ModelError
from workbench.models.gguf_tokenizer import BY_TEXT
from workbench.models.hf_to_gguf import convert_hf_to_gguf

ARCHITECTURES = ("Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Gemma2", "Phi3")
SHAPES: dict[str, dict[str, Any]] = {
    "Qwen3": {"head_dim": 8},
    "Gemma": {"head_dim": 8, "tie_word_embeddings": True},
    "Gemma2": {"head_dim": 8, "query_pre_attn_scalar": 8, "tie_word_embeddings": True, "sliding_window": 64},
}
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
Change = Callable[[Path], None]


def edit(name: str, **changes: object) -> Change:
    """Set keys of a JSON file; None removes one."""

    def change(folder: Path) -> None:
        path = folder / name
        tree = json.loads(path.read_text()) if path.exists() else {}
        tree |= changes
        path.write_text(json.dumps({key: value for key, value in tree.items() if value is not None}))

    return change


def edit_tokenizer(change: Callable[[dict[str, Any]], None]) -> Change:
    def apply(folder: Path) -> None:
        path = folder / "tokenizer.json"
        tree = json.loads(path.read_text())
        change(tree)
        path.write_text(json.dumps(tree))

    return apply


def edit_weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Change:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return apply


def add_token(**flags: object) -> Change:
    def change(tree: dict[str, Any]) -> None:
        place = max([*tree["model"]["vocab"].values(), *(one["id"] for one in tree["added_tokens"])]) + 1
        plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        tree["added_tokens"].append({"id": place, "content": "<mark>", **plain, **flags})

    return edit_tokenizer(change)


def set_steps(*steps: dict[str, Any]) -> Change:
    def change(tree: dict[str, Any]) -> None:
        tree["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": list(steps)} if len(steps) > 1 else steps[0]

    return edit_tokenizer(change)


def byte_level(prefix: bool = False, regex: bool = True) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def together(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def split_files(folder: Path) -> None:
    """Parts and an index, with the original's own file beside them, as some repositories have it."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    index = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        index |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    save_file({"tok_embeddings.weight": tensors[EMBEDDING]}, folder / "consolidated.safetensors")
    (folder / "model.safetensors").unlink()


def own_head(tensors: dict[str, torch.Tensor]) -> None:
    tensors[HEAD] = tensors[EMBEDDING].flip(0).contiguous()


def copied_head(tensors: dict[str, torch.Tensor]) -> None:
    tensors[HEAD] = tensors[EMBEDDING].clone()


def head_alone(tensors: dict[str, torch.Tensor]) -> None:
    tensors[HEAD] = tensors.pop(EMBEDDING)


def lose_head(tensors: dict[str, torch.Tensor]) -> None:
    tensors.pop(HEAD, None)


def no_numbers(tensors: dict[str, torch.Tensor]) -> None:
    tensors[HEAD].fill_(float("nan"))


def beyond_half(tensors: dict[str, torch.Tensor]) -> None:
    tensors[EMBEDDING][300] = 7e4


def lose_end(folder: Path) -> None:
    edit("tokenizer_config.json", eos_token=None, pad_token=None)(folder)
    path = folder / "config.json"  # without the key transformers takes the default of its class
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": None, "pad_token_id": None}))
    (folder / "generation_config.json").unlink(missing_ok=True)


LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
TIED = edit("config.json", tie_word_embeddings=True)


def drop_merges(tree: dict[str, Any]) -> None:
    tree["model"] |= {"merges": tree["model"]["merges"][:-3], "ignore_merges": True}


QUIRKS: dict[str, Change] = {
    "plain": lambda folder: None,
    "parts beside consolidated": split_files,
    "tied with an own head": together(TIED, edit_weights(own_head)),
    "tied with a copied head": together(TIED, edit_weights(copied_head)),
    "tied with the head alone": together(TIED, edit_weights(head_alone)),
    "a head that is missing": edit_weights(lose_head),
    "no end": lose_end,
    "several ends": edit("generation_config.json", eos_token_id=[1, 3, 5]),
    "more ends than fit": edit("generation_config.json", eos_token_id=[1, 3, 5, 7, 9]),
    "an end beyond the vocabulary": edit("generation_config.json", eos_token_id=[1, 90_000]),
    "tokens beyond the vocabulary": together(*(add_token(content=f"<far {number}>") for number in range(8))),
    "a token that takes spaces before it": add_token(lstrip=True),
    "a token that takes spaces after it": add_token(rstrip=True),
    "a token as a whole word": add_token(single_word=True),
    "a token that is no special one": add_token(special=False),
    "an end that is spelled as usual": add_token(content="<|im_end|>"),
    "single digits": set_steps({"type": "Digits", "individual_digits": True}, byte_level()),
    "a space before each text": set_steps(byte_level(prefix=True)),
    "a space before each text, with a pattern": set_steps(split(LLAMA_3), byte_level(prefix=True, regex=False)),
    "llama 3": set_steps(split(LLAMA_3), byte_level(regex=False)),
    "llama 3, whole words first": together(
        set_steps(split(LLAMA_3), byte_level(regex=False)), edit_tokenizer(drop_merges)
    ),
    "whole words first": edit_tokenizer(drop_merges),
    "an unknown pattern": set_steps(split(r"\w+|\W+"), byte_level(regex=False)),
    "composed letters": edit_tokenizer(lambda tree: tree.update(normalizer={"type": "NFC"})),
    "lower case": edit_tokenizer(lambda tree: tree.update(normalizer={"type": "Lowercase"})),
    "named templates": together(
        lambda folder: (folder / "chat_template.jinja").unlink(),
        edit(
            "tokenizer_config.json",
            chat_template=[
                {"name": "default", "template": "A{{ messages[0].content }}"},
                {"name": "rag", "template": "B"},
            ],
        ),
    ),
    "a processor's template": together(
        lambda folder: (folder / "chat_template.jinja").unlink(),
        edit("chat_template.json", chat_template="C{{ messages[0].content }}"),
    ),
}
REFUSED = {
    *("a head that is missing", "more ends than fit", "tokens beyond the vocabulary"),
    *("a token that takes spaces before it", "a token that takes spaces after it", "a token as a whole word"),
    *("a space before each text", "a space before each text, with a pattern", "whole words first"),
    *("an unknown pattern", "lower case"),
}
"""What llama.cpp has no way for, whatever the architecture."""


@pytest.fixture(scope="module")
def write_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def write(architecture: str) -> Path:
        if architecture not in made:
            folder = tmp_path_factory.mktemp("base") / architecture
            made[architecture] = write_hf(folder, architecture, **SHAPES.get(architecture, {}))
        return made[architecture]

    return write


def copy_of(base: Path, target: Path) -> Path:
    import shutil

    return Path(shutil.copytree(base, target))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_converted_model_is_the_same_one_or_refused(
    write_base: Callable[[str], Path], tmp_path: Path, architecture: str, quirk: str
) -> None:
    folder = copy_of(write_base(architecture), tmp_path / "model")
    QUIRKS[quirk](folder)
    try:
        convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")
    except ModelError as error:
        always_tied = architecture in ("Gemma", "Gemma2") and quirk == "tied with an own head"
        assert quirk in REFUSED or always_tied, error.message
        assert not (tmp_path / "model.gguf").exists()
        return
    assert quirk not in REFUSED or architecture != "Llama"  # some classes mend their tokenizers, or tie anyway
    assert_same(folder, tmp_path / "model.gguf")


def assert_same(folder: Path, path: Path) -> None:
    exact = llama_cpp.GGML_TYPE_F32  # the cache's usual half precision would hide small errors
    made = llama_cpp.Llama(
        str(path), n_ctx=128, n_threads=1, logits_all=True, type_k=exact, type_v=exact, verbose=False
    )
    try:
        check_logits(folder, made)
        check_tokens(folder, made)
    finally:
        made.close()


def check_logits(folder: Path, made: llama_cpp.Llama) -> None:
    ids = list(range(3, 67))
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        expected = model(input_ids=torch.tensor([ids])).logits[0].numpy()
    made.eval(ids)
    found = np.array(made.scores[: len(ids)])
    assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max()
    ends = model.generation_config.eos_token_id
    for token in ends if isinstance(ends, list) else [ends] if ends is not None else []:
        assert token >= made.n_vocab() or llama_cpp.llama_vocab_is_eog(made._model.vocab, token)


def check_tokens(folder: Path, made: llama_cpp.Llama) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    composes = tokenizer.backend_tokenizer.normalizer is not None  # some classes bring a normalizer of their own
    specials = [str(token) for token in tokenizer.added_tokens_decoder.values()]
    for text in (*list_texts((), composes), *list_special_texts(specials)):
        found = made.tokenize(text.encode(), add_bos=False, special=True)
        assert found == tokenizer.encode(text, add_special_tokens=False), text
    if tokenizer.eos_token_id is None:
        ends = {token for token in range(made.n_vocab()) if llama_cpp.llama_vocab_is_eog(made._model.vocab, token)}
        known = {token for token in ends if token < len(tokenizer)}
        assert {tokenizer.convert_ids_to_tokens(token) for token in known} <= BY_TEXT
        assert ends - known  # one that nothing is written with, in place of llama.cpp's token 11


def test_templates_are_kept_by_name_and_taken_from_a_processor(
    write_base: Callable[[str], Path], tmp_path: Path
) -> None:
    from workbench.models.gguf_header import read_header

    for quirk in ("named templates", "a processor's template"):
        folder = copy_of(write_base("Llama"), tmp_path / quirk)
        QUIRKS[quirk](folder)
        convert_hf_to_gguf(folder, tmp_path / f"{quirk}.gguf", "f16")
    named, processor = (
        read_header(tmp_path / f"{quirk}.gguf").metadata for quirk in ("named templates", "a processor's template")
    )
    assert named["tokenizer.chat_template"] == "A{{ messages[0].content }}"
    assert named["tokenizer.chat_template.rag"] == "B"
    assert processor["tokenizer.chat_template"] == "C{{ messages[0].content }}"


@pytest.mark.parametrize("folder_name", ["phi-3-mine", "My-Phi3", "modern-bert-like", "plain"])
def test_a_folders_name_does_not_change_how_tokens_take_spaces(
    write_base: Callable[[str], Path], tmp_path: Path, folder_name: str
) -> None:
    folder = copy_of(write_base("Llama"), tmp_path / folder_name)
    convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")
    assert_same(folder, tmp_path / "model.gguf")


def test_weights_beyond_half_precision_are_refused_in_f16(write_base: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy_of(write_base("Llama"), tmp_path / "model")
    edit_weights(beyond_half)(folder)
    with pytest.raises(ModelError, match="f16 ends at") as caught:
        convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f16")
    assert "bf16" in caught.value.hint


def test_weights_that_are_no_numbers_are_refused(write_base: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy_of(write_base("Qwen2"), tmp_path / "model")
    edit_weights(no_numbers)(folder)
    with pytest.raises(ModelError, match="not numbers"):
        convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")


def _leave_sentencepiece_alone(folder: Path, model: bytes) -> None:
    for name in ("tokenizer.json", "chat_template.jinja"):
        (folder / name).unlink(missing_ok=True)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    (folder / "tokenizer.model").write_bytes(model)


def test_a_tokenizer_model_alone_is_converted_as_sentencepiece_reads_it(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    made = io.BytesIO()
    lines = ["the kettle is broken then the kettle", "two spaces in lines", "Where is my parcel? And mine?"] * 50
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=made,
        vocab_size=310,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    folder = write_hf(tmp_path / "model", vocab_size=320)
    _leave_sentencepiece_alone(folder, made.getvalue())
    convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")
    model = llama_cpp.Llama(str(tmp_path / "model.gguf"), n_ctx=64, n_threads=1, verbose=False)
    yardstick = sentencepiece.SentencePieceProcessor(model_proto=made.getvalue())
    found = [model.tokenize(text.encode(), add_bos=False, special=False) for text in lines[:3]]
    model.close()
    assert found == [yardstick.encode(text) for text in lines[:3]]


def test_a_tokenizer_model_alone_says_what_is_missing_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_hf(tmp_path / "model")
    _leave_sentencepiece_alone(folder, b"no model")
    monkeypatch.setattr("workbench.models.hf_tokenizer._find_missing", lambda: ["sentencepiece"])
    with pytest.raises(ModelError, match=r"model alone, and sentencepiece to read it with is not") as caught:
        convert_hf_to_gguf(folder, tmp_path / "model.gguf", "f32")
    assert "pip install sentencepiece" in caught.value.hint
