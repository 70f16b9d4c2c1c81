"""Words and labels in any script, beside the definitions of the field that count them."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter

import pytest

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.factory import make_scorers
from workbench.scoring.scorer import ScoredSample
from workbench.scoring.text.words import split_squad_tokens, split_words

SENTENCES = (
    "今天天气很好",
    "今日は天気がいいです",
    "スーパーへ行く",
    "วันนี้อากาศดี",
    "Привет, мир!",
    "आज मौसम अच्छा है।",
    "مرحبا بالعالم؟",
    "오늘 날씨가 좋다",
    "Καλημέρα κόσμε",
    "à",
    "naïve café",
)
WORDED = ("rouge1", "rougeL", "token_f1", "normalized_match", "accuracy", "contains", "exact_match", "bleu", "chrf")


def judge(spec, text, expected, **fields):
    (scorer,) = make_scorers([spec])
    return scorer.score(text, Case(1, {}, expected, **fields))


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("name", WORDED)
def test_no_metric_gives_an_identical_text_less_than_all(name, text):
    for answer in (text, unicodedata.normalize("NFD", text), f"\u200b{text}\ufeff"):
        score = judge(name, answer, text)
        assert score.applies
        assert score.value == pytest.approx(100 if score.scale == "percent" or name in ("bleu", "chrf") else 1)


@pytest.mark.parametrize(
    ("name", "answer", "expected", "value"),
    [
        ("rouge1", "今天天气不好", "今天天气很好", 5 / 6),
        ("rouge2", "今天天气不好", "今天天气很好", 3 / 5),
        ("rougeL", "Привет, мой мир", "привет мир", 4 / 5),
        ("token_f1", "今天天气不好", "今天天气很好", 5 / 6),
        ("token_f1", "«Привет» — мир.", "привет мир", 1),
        ("token_f1", "आज मौसम", "आज मौसम अच्छा है।", 2 / 3),
        ("normalized_match", "「東京」。", "東京", 1),
        ("normalized_match", "東京タワー", "東京", 0),
        ("rouge1", "ＡＢＣ ｄｅｆ", "abc def", 1),
        ("token_f1", "ＡＢＣ", "abc", 1),
        ("edit_distance", "ＡＢＣ", "ABC", 0),
        ("contains", "答案：（Ｂ）", "(B)", 1),
    ],
)
def test_words_of_other_scripts_count_like_any(name, answer, expected, value):
    assert judge(name, answer, expected).value == pytest.approx(value)


def test_marks_stay_with_their_letters():
    assert split_words("วันนี้") == ["วั", "น", "นี้"]
    assert split_words("हिन्दी है") == ["हिन्दी", "है"]
    assert split_words("スーパー3個") == ["ス", "ー", "パ", "ー", "3", "個"]


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_of_latin_letters_is_that_of_rouge_score(name, stemmer):
    from rouge_score.rouge_scorer import RougeScorer

    reference = RougeScorer([name], use_stemmer=stemmer)
    pairs = [
        ("Der Fuchs läuft", "Der Fuchs rennt über die Straße"),
        ("", "a cat"),
        ("snake_case and 3.14", "snake case 3 14"),
        ("running runs runner", "run"),
        ("don't “quote” me", "don’t quote me"),
        ("!!!", "a cat"),
        ("the the the", "the cat the"),
    ]
    for answer, expected in pairs:
        wanted = reference.score(expected, answer)[name].fmeasure
        assert judge({name: {"stemmer": stemmer}}, answer, expected).value == pytest.approx(wanted)


def test_a_text_without_words_has_no_rouge():
    score = judge("rouge1", "]", "] }")
    assert (score.applies, score.explanation) == (False, "The expected answer '] }' has no words.")


def mlqa_tokens(text):
    """MLQA's evaluation, in words: lower case, no Unicode punctuation, every Han character a token by itself."""
    punctuation = {chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)).startswith("P")}
    bare = "".join(" " if each in punctuation and not each.isascii() else each for each in text.lower())
    spaced = "".join(f" {each} " if "一" <= each <= "龥" else each for each in bare if each not in punctuation)
    return spaced.split()


@pytest.mark.parametrize("text", ["北京 是首都。", "他说：「你好」，然后走了！", "GPT 模型 很大", "2008年奥运会"])
def test_chinese_tokens_are_those_of_mlqa(text):
    assert Counter(split_squad_tokens(text)) == Counter(mlqa_tokens(text))


def test_bleu_says_where_a_tokenizer_does_not_fit():
    told = judge({"bleu": {"tokenize": "13a"}}, "今天天气不好", "今天天气很好").explanation
    assert "takes text without spaces as one word" in told
    for spec in ("bleu", {"bleu": {"tokenize": "zh"}}):
        assert "as one word" not in judge(spec, "今天天气不好", "今天天气很好").explanation


@pytest.mark.parametrize(
    ("texts", "tokenize"),
    [
        (("今天天气很好。", "GPT 很好"), "zh"),
        (("今日は天気がいいです", "今天天气很好"), "char"),
        (("วันนี้อากาศดี",), "char"),
        (("Привет мой мир опять", "a cat"), "13a"),
    ],
)
def test_bleu_takes_the_tokenizer_of_sacrebleu_that_finds_words(texts, tokenize):
    import sacrebleu

    (scorer,) = make_scorers(["bleu"])
    samples = [ScoredSample(text[:-1], text, scorer.score(text[:-1], Case(1, {}, text))) for text in texts]
    wanted = sacrebleu.corpus_bleu([one.text for one in samples], [list(texts)], tokenize=tokenize).score
    assert scorer.summarize(samples) == {"corpus": pytest.approx(wanted)}
    assert f"|tok:{tokenize}|" in scorer.corpus_signature(samples)
    for one in samples if len(texts) == 1 else ():
        assert one.score.value == pytest.approx(
            sacrebleu.sentence_bleu(one.text, [one.expected], tokenize=tokenize).score
        )


@pytest.mark.parametrize("tokenize", ["13a", "zh", "char"])
def test_bleu_keeps_sacrebleus_values_for_full_width_punctuation(tokenize):
    import sacrebleu

    answer, expected = "你好，世界！今天天气很好。", "你好，世界。今天天气不错！"
    wanted = sacrebleu.sentence_bleu(answer, [expected], tokenize=tokenize).score
    assert judge({"bleu": {"tokenize": tokenize}}, answer, expected).value == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("labels", "answer", "found"),
    [
        (["non-toxic", "toxic"], "This is non-toxic.", "non-toxic"),
        (["toxic", "safe"], "This is non-toxic.", None),
        (["spam", "ham"], "It is spam-free", None),
        (["C", "C++", "C#"], "I would take C++ here", "C++"),
        (["C", "Java"], "I would take C++ here", None),
        (["C", "C++"], "It is C.", "C"),
        (["5", "15"], "It is 5%", None),
        (["5", "7"], "It is -5", None),
        (["1", "1.5"], "Level 1.5", "1.5"),
        (["spam", "not spam"], "That is not  spam.", "not spam"),
        (["Node", "Deno"], "Use Node.js", None),
        (["Lantern", "Abacus"], "Lantern's queue", "Lantern"),
        (["Lantern", "Abacus"], "LANTERN or Abacus", None),
        (["IT", "HR"], "It is HR", "HR"),
        (["A", "B"], "a good choice is B", "B"),
        (["正面", "负面"], "答案是正面的", "正面"),
        (["正面", "不正面"], "答案是不正面的", "不正面"),
        (["บวก", "ลบ"], "คำตอบคือบวก", "บวก"),
        (["спам", "не спам"], "Это не спам.", "не спам"),
        (["है", "नहीं"], "यह हैदराबाद", None),
        (["été", "hiver"], "un e\u0301te\u0301 chaud", "été"),
        ([">", "<"], "a > b", ">"),
        (["(A)", "(B)"], "So it is (B).", "(B)"),
    ],
)
def test_a_label_in_a_sentence_is_not_found_inside_another_word(labels, answer, found):
    (scorer,) = make_scorers([{"accuracy": {"labels": labels, "within": True}}])
    assert scorer.find_label(answer) == (found or answer)


def test_several_labels_in_a_sentence_are_told_and_a_wrong_expected_one_does_not_apply():
    spec = {"accuracy": {"labels": ["yes", "no", "maybe"], "within": True}}
    assert judge(spec, "yes and no", "yes").explanation == "The answer names more than one class: yes, no."
    lacking = judge(spec, "yes", "perhaps")
    assert (lacking.applies, lacking.explanation[:42]) == (False, "The expected answer 'perhaps' is not one o")
    with pytest.raises(ScorerError, match="one of them is empty"):
        make_scorers([{"accuracy": {"labels": ["a", " "]}}])


def test_the_classes_of_signs_are_told_apart():
    assert judge("accuracy", ">", "<").value == 0
    assert judge("accuracy", "C++", "C").value == 0
    make_scorers([{"accuracy": {"labels": [">", "<", "=", "C", "C++"]}}])
