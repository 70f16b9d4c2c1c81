"""Texts and conversations in which two tokenizers or two chat templates would differ, if they did anywhere."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence

from workbench.prompting.prompt import Message

_PLAIN = (
    *("", " ", "  ", "\n", "\n\n\n", "\t", " \n ", "\r\n", "a", " a", "a ", "  a  ", "\na", "a\n\n b"),
    "The quick brown fox jumps over the lazy dog.",
    "don't we'll I'm they've she'd it's 'tis o'clock DON'T WE'LL I'M",
    "Hello,world!How are you?(fine)[ok]{yes}<no>",
    *(
        "1",
        "12",
        "123",
        "1234",
        "12345678901234567890",
        "3.14159 1,000,000 -7e-10 0x1F",
        "v2.0.1-rc3",
        "a1b22c333d4444",
    ),
    *("x = 1;  # comment", "def f(a, b):\n    return a+b\n\n\tif not x:\n\t\tpass", "for(int i=0;i<10;++i){s+=i;}"),
    '{"key": [1, 2.5, true, null], "nested": {"a b": "c\\n"}}',
    "https://example.org/path?q=a%20b&c=d#top user@example.org C:\\dir\\file.txt",
    "SELECT * FROM t WHERE a <> 'b' AND c >= 10;",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n* one\n* two\n    - three",
    r"$\frac{a}{b} \le \sum_{i=0}^{n} x_i^2$",
    "snake_case camelCase PascalCase SCREAMING_CASE kebab-case",
    "!!! ??? ... --- ___ ### $$$ %%% &&& *** +++ === ~~~ ^^^ |||",
    "      six spaces,       seven,        eight",
    "trailing spaces   \nand tabs\t\t\nand both \t \n",
    "a\u00a0b\u2003c\u200bd\u2028e\ufefff",
    "naïve café Ünïcödé straße ŒUVRE łódź",
    "ΑΒΓ αβγ Ελληνικά; Русский текст, ещё один.",
    "中文文本,没有空格。日本語のテキストです。カタカナ 한국어 텍스트입니다.",
    "العربية من اليمين إلى اليسار ١٢٣ עברית",
    "हिन्दी पाठ में मात्राएँ हैं ภาษาไทยไม่มีช่องว่าง தமிழ் বাংলা",
    "😀 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️ ✅ → ≠ ½ ™ № ㎏ Ⅷ ²",
    "e\u0301 n\u0303 A\u030a o\u0308\u0304 ở \u1112\u1161\u11ab",
    "İstanbul ıssız ǅ ß ẞ ﬁ ﬀ",
    "\x00\x01\x07\x1b[31mred\x1b[0m\x7f",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "wordwordwordwordwordwordword  word word   word",
    "Mr. Smith's co-worker (aged 42½) paid €3.50—twice!—on 2024-02-29 at 5 p.m.",
    "«guillemets» “curly” ‘single’ „low“ …ellipsis… –en— —em—",
    "<think>reasoning</think> <|im_start|>user\nhi<|im_end|> [INST] x [/INST] <s> </s> <unk> <0x0A> ▁",
    "<start_of_turn>model\n<end_of_turn> <|eot_id|> <|endoftext|> <|end|> <bos> <eos> <pad>",
    "The\tkettle\r\nis\rbroken\fnow\v.",
    "1st 2nd 3rd 4th; 10% of £20; #1; @me; a/b; c\\d; e|f; 5>4; 3<4",
    "ZWJ\u200djoin \u200eLTR\u200f RTL \u202aembed\u202c",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𐍈 𓀀 🀄",
)

_TALK = (
    "Where is my parcel?",
    "  Spaces at both ends  ",
    "\n\nLines before and after\n\n",
    "Two\n\nparagraphs,\ttabs, and 1234567 digits.",
    "Ünïcode, 中文, العربية, 😀",
    "```python\nprint('hi')\n```",
    "<b>markup</b> & {{ braces }} {% percent %}",
    "Ignore <|im_end|> and </s> and [/INST] and <end_of_turn>.",
    "'quotes' \"double\" \\backslash\\",
    "end",
)

_ANSWERS = (" It is on the way.", " Yes.", "\n\n1. First\n2. Second", " 42", " No, 中文!")

_WORDS_DRAWN = 24
_WORDS_TOGETHER = 5


def list_texts(words: Sequence[str] = (), composes: bool = False) -> tuple[str, ...]:
    """A hundred texts. words: of the vocabulary in question, set between and beside each other.

    composes: leave out what is not in the composed form of Unicode, for a tokenizer that brings it there first.
    """
    chance = random.Random(7)
    found = list(_PLAIN)
    drawn = chance.sample(list(words), min(len(words), _WORDS_DRAWN * _WORDS_TOGETHER))
    for begin in range(0, len(drawn), _WORDS_TOGETHER):
        joint = chance.choice(("", " ", "\n", "  "))
        found.append(joint.join(drawn[begin : begin + _WORDS_TOGETHER]))
    pieces = [part for text in _PLAIN for part in text.split()]
    while len(found) < 100:
        found.append(chance.choice((" ", "  ", "\n", "")).join(chance.choices(pieces, k=chance.randint(2, 9))))
    kept = (text for text in found if not composes or unicodedata.is_normalized("NFC", text))
    return tuple(kept)


def list_special_texts(specials: Sequence[str]) -> tuple[str, ...]:
    """Every special token alone, inside words, and between spaces, where it might take some of them."""
    return tuple(form.format(text) for text in specials for form in ("{0}", "a{0}b", "a {0} b", "a  {0}  b\n{0}\n"))


def list_conversations() -> tuple[tuple[Message, ...], ...]:
    """Some thirty conversations: with and without a system message, of one turn and several, one to be continued."""
    found: list[tuple[Message, ...]] = []
    for number, text in enumerate(_TALK):
        user = Message("user", text)
        earlier = (Message("user", _TALK[number - 1]), Message("assistant", _TALK[number - 2]))
        found += [(user,), (Message("system", _TALK[number - 3]), user), (*earlier, user)]
    found.append((Message("system", "Be kind."), *found[2]))
    found.append((Message("user", "Hi"), Message("assistant", "The answer is")))
    return tuple(found)


def list_questions() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """A few texts, each with answers whose probability is compared."""
    begun = ("Where is my parcel? Answer:", "def add(a, b):\n    return", "Ünïcode 中文 1234 and", "The kettle is")
    return tuple((text, _ANSWERS) for text in begun)
