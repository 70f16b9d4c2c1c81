"""Texts embedded by real models in their process, an index of them, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import EngineError, ModelError
from workbench.inference.embedding.embedder import EmbedderPool, read_vectors
from workbench.models.reference import Model
from workbench.retrieval.corpus import load_corpus
from workbench.retrieval.dense import DenseIndex, normalize_rows
from workbench.retrieval.index_cache import IndexCache

ASSETS = Path(__file__).parents[2] / "assets"
TEXTS = ("The courier never came with my parcel.", "I forgot my password.", "My parcel did not come.")


@pytest.fixture(scope="module")
def embedders():
    pool = EmbedderPool()
    yield pool
    pool.close()


@pytest.mark.model
def test_a_gguf_file_and_its_folder_give_the_same_vectors(embedders) -> None:
    gguf = embedders.get(Model("desk", ASSETS / "desk-f16.gguf")).embed(TEXTS, "document")
    folder = embedders.get(Model("desk", ASSETS / "desk", "hf")).embed(TEXTS, "document")
    assert gguf.shape == folder.shape == (3, 160)
    near = (normalize_rows(gguf) * normalize_rows(folder)).sum(1)
    assert near.min() > 0.999  # both are the mean over the tokens of the last hidden state
    with pytest.raises(EngineError, match="takes 1,024 tokens, and a text has"):
        embedders.get(Model("desk", ASSETS / "desk-f16.gguf")).embed(["word " * 2000], "document")
    again = embedders.get(Model("desk", ASSETS / "desk-f16.gguf")).embed(TEXTS[1:2], "query")
    assert np.allclose(again[0], gguf[1], atol=1e-5)  # nothing is left of the text before


@pytest.mark.model
def test_a_model_that_cannot_be_read_says_so(embedders, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineError, match="could not be loaded as an embedding model"):
        embedders.get(Model("empty", tmp_path / "empty", "hf")).embed(TEXTS, "document")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF nothing")
    with pytest.raises(EngineError, match="could not load"):
        embedders.get(Model("bad", tmp_path / "bad.gguf")).embed(TEXTS, "document")


def test_steps_that_are_not_done_are_refused_by_name(tmp_path: Path) -> None:
    from workbench.inference.transformers.embedder import pool, read_pooling

    assert read_pooling(tmp_path) == "mean"
    (tmp_path / "1_Pooling").mkdir()
    settings = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "word_embedding_dimension": 8}
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps(settings))
    assert read_pooling(tmp_path) == "cls"
    (tmp_path / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense"}]))
    with pytest.raises(ModelError, match="needs the step Dense"):
        read_pooling(tmp_path)
    import torch

    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert pool(states, mask, "mean").tolist() == [[2.0, 3.0]]
    assert pool(states, mask, "cls").tolist() == [[1.0, 2.0]]
    assert pool(states, mask, "lasttoken").tolist() == [[3.0, 4.0]]
    assert pool(states, mask, "max").tolist() == [[3.0, 4.0]]


def test_the_nearest_by_cosine_come_first_whatever_their_length() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 5], [-1, 0]], np.float32)
    index = DenseIndex.build(list("abcd"), lambda texts, kind: np.stack([vectors["abcd".index(one)] for one in texts]))
    assert [hit.chunk for hit in index.search(np.array([[3.0, 0.1]], np.float32), 4)] == [1, 0, 2, 3] or [
        hit.chunk for hit in index.search(np.array([[3.0, 0.0]], np.float32), 4)
    ] == [0, 1, 2, 3]
    with pytest.raises(EngineError, match="3 dimensions"):
        index.search(np.zeros((1, 3), np.float32), 1)
    with pytest.raises(EngineError, match="without a direction"):
        DenseIndex.build(["a"], lambda texts, kind: np.zeros((1, 2), np.float32))


def test_indexes_are_kept_under_what_they_were_built_from(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("One text.")
    corpus = load_corpus(tmp_path / "docs", 100, 0)
    cache, built = IndexCache(tmp_path / "cache"), []

    def embed(texts, kind):
        built.append(list(texts))
        return np.ones((len(texts), 2), np.float32)

    for _ in range(2):
        assert cache.open_dense(corpus, "model 1", embed, lambda done, total: None).vectors.shape == (1, 2)
        assert cache.open_keyword(corpus, lambda done, total: None).search("text", 1)
    assert len(built) == 1
    cache.open_dense(corpus, "model 2", embed, lambda done, total: None)
    assert len(built) == 2
    for path in (tmp_path / "cache").rglob("*.npy"):
        path.write_bytes(b"damaged")
    cache.open_dense(corpus, "model 1", embed, lambda done, total: None)
    assert len(built) == 3
    assert cache.open_keyword(corpus, lambda done, total: None).search("text", 1)
    shutil.rmtree(tmp_path / "cache")

    def stop(done: int, total: int) -> None:
        raise KeyError("given up")

    with pytest.raises(KeyError):
        cache.open_keyword(corpus, stop)
    assert not (tmp_path / "cache").exists()  # a building that was given up leaves nothing


def test_vectors_of_a_server_are_read_in_the_order_of_the_texts() -> None:
    reply = {"data": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}]}
    assert read_vectors(reply, 2, "http://x") == [[1, 2], [3, 4]]
    for wrong in ({}, {"data": []}, {"data": [{"index": 0, "embedding": "x"}]}, {"data": [{"embedding": [1]}]}, "no"):
        with pytest.raises(EngineError, match="did not answer with 1 embedding"):
            read_vectors(wrong, 1, "http://x")
