"""Documents of every kind are read, and each chunk stands where it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DatasetError
from workbench.retrieval.corpus import describe_corpus, load_corpus, split
from workbench.retrieval.documents import CorpusDocument, html_to_text
from workbench.retrieval.passage import Reference

PDF = Path(__file__).with_name("two-pages.pdf")


@given(
    st.text(alphabet=st.characters(), max_size=400),
    st.integers(20, 120),
    st.integers(0, 19),
    st.booleans(),
)
def test_offsets_are_exact_on_any_unicode(text: str, chunk: int, overlap: int, markdown: bool) -> None:
    passages = list(split(CorpusDocument("d", text, markdown), chunk, overlap))
    for passage in passages:
        assert text[passage.start : passage.end] == passage.text
        assert len(passage.text) <= chunk
    covered = {at for passage in passages for at in range(passage.start, passage.end)}
    assert all(text[at].isspace() for at in range(len(text)) if at not in covered)


def test_documents_of_each_kind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Plain text.\r\nSecond line.", newline="")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.md").write_text("# Returns\n\nWithin 30 days.")
    (tmp_path / "c.html").write_text("<title>Hours</title><script>var x</script><p>Open <b>nine</b> to&nbsp;five.</p>")
    rows = [{"id": "faq-1", "title": "Refunds", "text": "In a week."}, {"text": "No name."}]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nnot json\n{}\n")
    (tmp_path / "e.pdf").write_bytes(PDF.read_bytes())
    (tmp_path / ".hidden.txt").write_text("secret")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    corpus = load_corpus(tmp_path, 200, 0)
    assert sorted(corpus.documents) == sorted(["a.txt", "c.html", "faq-1", "d.jsonl#2", "deep/b.md", "e.pdf"])
    assert corpus.documents["c.html"].text == "Hours\nOpen nine to five."
    assert corpus.documents["faq-1"].text == "Refunds\n\nIn a week."
    assert "Return the lamp" in corpus.documents["e.pdf"].text
    assert len(corpus.problems) == 2
    assert "line 3" in corpus.problems[0]
    for passage in corpus.passages:
        assert corpus.documents[passage.document].text[passage.start : passage.end] == passage.text


def test_the_same_text_under_two_names_is_told(tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("The same text.")
    (tmp_path / "other.txt").write_text("Another one.")
    corpus = load_corpus(tmp_path, 100, 0)
    assert describe_corpus(corpus) == ("in the corpus: one.txt and two.txt hold the same text",)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("Text.")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (tmp_path / "empty.md").write_text("  \n")
    problems = " | ".join(load_corpus(tmp_path, 100, 0).problems)
    assert "latin.txt" in problems
    assert "broken.pdf: not a readable PDF" in problems
    assert "empty.md: holds no text" in problems


def test_a_corpus_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no document"):
        load_corpus(tmp_path, 100, 0)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DatasetError, match="holds no text"):
        load_corpus(tmp_path, 100, 0)


def test_two_documents_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "x", "text": "one"}\n{"id": "x", "text": "two"}\n')
    with pytest.raises(DatasetError, match="named 'x'"):
        load_corpus(tmp_path, 100, 0)


def test_the_digest_knows_texts_names_and_cuts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One sentence. Another sentence.")
    first = load_corpus(tmp_path, 100, 0).digest
    assert load_corpus(tmp_path, 100, 0).digest == first
    assert load_corpus(tmp_path, 50, 0).digest != first
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    assert load_corpus(tmp_path, 100, 0).digest != first
    (tmp_path / "b.txt").write_text("One sentence. Another one.")
    assert load_corpus(tmp_path, 100, 0).digest != first


def test_an_oracle_finds_the_chunks_of_a_span(tmp_path: Path) -> None:
    text = "".join(f"Sentence number {number} stands here. " for number in range(20))
    (tmp_path / "a.txt").write_text(text)
    corpus = load_corpus(tmp_path, 60, 0)
    at = text.index("number 7 ")
    found = corpus.find((Reference("a.txt", at, at + 8),))
    assert any("number 7 " in one.text for one in found)
    assert len(found) <= 2
    assert corpus.find((Reference("a.txt"),)) == list(corpus.passages)
    with pytest.raises(KeyError):
        corpus.find((Reference("b.txt"),))


def test_html_keeps_what_a_browser_shows() -> None:
    page = "<ul><li>one<li>two</ul><style>p {}</style><p>a &lt;b&gt;</p><svg><text>no</text></svg>after"
    assert html_to_text(page) == "one\ntwo\na <b>\nafter"
