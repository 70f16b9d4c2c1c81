"""Tokenizers of every family, as a vocabulary: bytes and spaces are those of the text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hf_fixture import TEXT, write_tokenizer
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast  # noqa: TID253 - what is wrapped

from workbench.inference.transformers.vocabulary import TransformersVocabulary
from workbench.inference.vocabulary import Vocabulary


def wrap(tokenizer: Tokenizer, **special: str) -> Vocabulary:
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    return TransformersVocabulary(made, len(made), ())


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    made = write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    return TransformersVocabulary(made, len(made) + 5, [3])


@pytest.fixture(scope="module")
def sentence_piece() -> Vocabulary:
    """As llama 2 has it: a space in front of any text, bytes where a character is unknown."""
    letters = {f"▁{letter}": 259 + index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    words = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)} | letters
    words |= {letter: len(words) + index for index, letter in enumerate("▁abcdefghijklmnopqrstuvwxyz")}
    merges = [("▁", letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.BPE(words, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<unk>", "<s>", "</s>")])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return wrap(tokenizer, bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="module")
def word_piece() -> Vocabulary:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=["[UNK]", "[END]"], show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    return wrap(tokenizer, eos_token="[END]")


def token_to_bytes(vocabulary: Vocabulary, ids: list[int]) -> str:
    return b"".join(map(vocabulary.token_to_bytes, ids)).decode("utf-8", "replace")


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_byte_level_tokens_spell_the_text(byte_level: Vocabulary, text: str) -> None:
    assert token_to_bytes(byte_level, byte_level.tokenize(text, special=False)) == text
    assert token_to_bytes(byte_level, byte_level.continue_text(text, special=False)) == text


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(lambda text: "▁" not in text))
def test_sentence_pieces_spell_the_text_and_the_space_before_it(sentence_piece: Vocabulary, text: str) -> None:
    assert token_to_bytes(sentence_piece, sentence_piece.tokenize(text, special=False)) == " " + text
    assert token_to_bytes(sentence_piece, sentence_piece.continue_text(text, special=False)) == text


def test_words_are_spelled_with_the_spaces_between_them(word_piece: Vocabulary) -> None:
    ids = word_piece.tokenize("the parcel is here", special=False)
    assert token_to_bytes(word_piece, ids).strip() == "the parcel is here"


def test_control_tokens_are_themselves_only_where_they_are_meant(
    byte_level: Vocabulary, sentence_piece: Vocabulary
) -> None:
    for vocabulary, text in ((byte_level, "<|end|>"), (sentence_piece, "</s>")):
        assert vocabulary.eos in vocabulary.tokenize(text, special=True)
        assert vocabulary.eos not in vocabulary.tokenize(text, special=False)
        assert vocabulary.control is not None and vocabulary.control.search(f"a {text} b")
        assert vocabulary.piece(vocabulary.eos or 0) == b""
        assert vocabulary.text(vocabulary.eos) == text


def test_a_beginning_is_added_once_where_the_tokenizer_adds_one(
    byte_level: Vocabulary, sentence_piece: Vocabulary
) -> None:
    assert byte_level.begin([7]) == [7]
    assert sentence_piece.begin([7]) == sentence_piece.begin([1, 7]) == [1, 7]
    assert sentence_piece.begin([]) == []


def test_an_answer_ends_where_the_folder_or_the_tokenizer_says(byte_level: Vocabulary) -> None:
    assert byte_level.ends(3)  # named by the folder's settings
    assert byte_level.ends(byte_level.eos or 0)
    assert not byte_level.ends(20)


def test_an_id_beyond_the_tokenizer_is_no_text(byte_level: Vocabulary) -> None:
    assert byte_level.token_to_bytes(byte_level.size - 1) == b""


def test_half_characters_become_the_replacement_sign(tmp_path: Path, byte_level: Vocabulary) -> None:
    assert token_to_bytes(byte_level, byte_level.tokenize("a\ud83d", special=False)) == "a?"
