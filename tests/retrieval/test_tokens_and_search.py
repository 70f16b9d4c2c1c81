"""Twenty queries in nine languages find their document; nothing that shares no token is a hit."""

from __future__ import annotations

import pytest

from workbench.retrieval.bm25 import KeywordIndex
from workbench.retrieval.ranking import Hit, fuse
from workbench.retrieval.tokens import fold, tokenize

DOCUMENTS = {
    "cpp": "Bindings for C++ are generated at build time; a C compiler alone does not suffice.",
    "csharp": "C# and F# projects are published as packages.",
    "c": "The C interface is stable between releases.",
    "refund-ja": "返金は購入日から三十日以内に承ります。送料は返金されません。",
    "delivery-ja": "配達が遅れた場合はカスタマーサポートにご連絡ください。",
    "refund-zh": "退款将在七个工作日内退回原支付账户。",
    "invoice-zh": "發票可以在訂單頁面下載。",
    "cafe-fr": "Le café de la gare ouvre à sept heures; l'hôtel voisin sert aussi le petit-déjeuner.",
    "train-fr": "Le train part à l'heure du quai numéro trois.",
    "branch-tr": "İstanbul şubesi pazar günleri kapalıdır. Iade süresi on dört gündür.",
    "ship-tr": "Kargo ücreti alıcıya aittir.",
    "street-de": "Die Filiale in der Großen Straße öffnet um zehn Uhr; Rücksendungen nimmt sie an.",
    "invoice-de": "Ihre Rechnung steht im Kundenkonto zum Herunterladen bereit.",
    "return-ru": "Возврат товара возможен в течение четырнадцати дней, ещё раз проверьте чек.",
    "address-ru": "Адрес склада указан в письме.",
    "return-ar": "يمكن إرجاع المنتج خلال أربعة عشر يومًا مع الفاتورة.",
    "hours-ar": "المتجر مغلق يوم الجمعة.",
    "return-ko": "환불은 구매 후 십사일 이내에 가능합니다.",
    "tea": "Green tea is kept in a dry place away from light.",
    "price": "The warranty for the lamp costs 25 € and lasts two years.",
}

QUERIES = [
    ("C++", "cpp"),
    ("how do I use c++?", "cpp"),
    ("C#", "csharp"),
    ("返金", "refund-ja"),
    ("配達の遅れ", "delivery-ja"),
    ("サポート", "delivery-ja"),
    ("退款 几天", "refund-zh"),
    ("發票", "invoice-zh"),
    ("café", "cafe-fr"),
    ("CAFE", "cafe-fr"),
    ("hotel petit dejeuner", "cafe-fr"),
    ("istanbul", "branch-tr"),
    ("İSTANBUL", "branch-tr"),
    ("ıade süresi", "branch-tr"),
    ("grosse strasse", "street-de"),
    ("Rucksendungen", "street-de"),
    ("ВОЗВРАТ еще раз", "return-ru"),
    ("ارجاع المنتج", "return-ar"),
    ("환불은", "return-ko"),
    ("€ ｗａｒｒａｎｔｙ", "price"),
]


@pytest.fixture(scope="module")
def index() -> KeywordIndex:
    return KeywordIndex.build(list(DOCUMENTS.values()))


@pytest.mark.parametrize(("query", "document"), QUERIES)
def test_a_query_finds_its_document_first(index: KeywordIndex, query: str, document: str) -> None:
    hits = index.search(query, 3)
    assert hits, query
    assert list(DOCUMENTS)[hits[0].chunk] == document


@pytest.mark.parametrize("query", ["zzz", "", "   ", "?!", "qwxyz kkk"])
def test_what_shares_no_token_is_no_hit(index: KeywordIndex, query: str) -> None:
    assert index.search(query, 5) == []


def test_one_character_of_a_script_without_spaces_finds_its_words(index: KeywordIndex) -> None:
    assert list(DOCUMENTS)[index.search("退", 1)[0].chunk] == "refund-zh"


def test_names_with_signs_are_words_of_their_own() -> None:
    assert tokenize("C++, C# and c") == ["c++", "c#", "and", "c"]
    assert tokenize("a+b") == ["a", "b"]


def test_marks_that_make_another_letter_stay() -> None:
    assert fold("が") != fold("か")
    assert fold("İI") == "ii"
    assert fold("ﬁle Ⅳ") == "file iv"
    assert fold("co\u00adop\u200b") == "coop"


def test_texts_without_any_word_are_an_index_that_finds_nothing() -> None:
    assert KeywordIndex.build(["...", "!!"]).search("word", 3) == []


def test_equal_scores_keep_the_order_of_the_corpus() -> None:
    index = KeywordIndex.build(["same words"] * 50)
    assert [hit.chunk for hit in index.search("words", 4)] == [0, 1, 2, 3]


def test_fusion_prefers_what_both_rankings_have() -> None:
    fused = fuse([[Hit(1, 9.0), Hit(2, 8.0)], [Hit(2, 0.9), Hit(3, 0.8)]], 3)
    assert [hit.chunk for hit in fused] == [2, 1, 3]
    assert fused[0].score == pytest.approx(1 / 62 + 1 / 61)
