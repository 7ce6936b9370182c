"""Each text is computed once, whatever the run, and never mixed up between encoders."""

import sqlite3

import numpy as np
import pytest
from conftest import build_interests, make_config

from recbole_sam.encoders import embedding_cache
from recbole_sam.encoders.embedding_cache import CachedEncoder
from recbole_sam.encoders.encode import TransformersEncoder
from recbole_sam.llm.failures import CacheError

TEXTS = ["red lipstick", "face cream", "shaver", "red lipstick"]


class Watched(TransformersEncoder):
    """A real encoder that remembers what it was asked to compute."""

    def __init__(self, *args, **settings):
        super().__init__(*args, device="cpu", **settings)
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        return super().encode(texts)


def test_vectors_are_the_encoders_own_and_computed_once(bert, tmp_path):
    encoder = Watched(bert)
    cached = CachedEncoder(encoder, tmp_path)
    first = cached.encode(TEXTS)
    np.testing.assert_allclose(first, TransformersEncoder(bert, device="cpu").encode(TEXTS), atol=1e-6)
    assert sorted(encoder.asked) == sorted(set(TEXTS))
    again = Watched(bert)  # another run
    np.testing.assert_array_equal(CachedEncoder(again, tmp_path).encode([*TEXTS, "gel"])[:-1], first)
    assert again.asked == ["gel"]


def test_another_pooling_never_meets_these_vectors(bert, tmp_path):
    cls, mean = (CachedEncoder(Watched(bert, pooling=pooling), tmp_path) for pooling in ("cls", "mean"))
    assert cls.path != mean.path
    assert not np.allclose(cls.encode(TEXTS), mean.encode(TEXTS))


def test_nothing_to_encode(bert, tmp_path):
    assert CachedEncoder(Watched(bert), tmp_path).encode([]).shape == (0, 16)


def test_a_crash_loses_at_most_a_block(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_cache, "BLOCK", 2)

    class Dying(Watched):
        def encode(self, texts):
            if self.asked:
                raise KeyboardInterrupt
            return super().encode(texts)

    texts = ["a", "b", "c", "gel", "face"]
    with pytest.raises(KeyboardInterrupt):
        CachedEncoder(Dying(bert), tmp_path).encode(texts)
    again = Watched(bert)
    CachedEncoder(again, tmp_path).encode(texts)
    assert len(again.asked) == 3


def test_many_texts_in_more_than_one_query(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_cache, "LOOK_UP", 2)
    cached = CachedEncoder(Watched(bert), tmp_path)
    texts = ["a", "b", "c", "a b", "b c"]
    np.testing.assert_array_equal(cached.encode(texts), cached.encode(texts))


def test_a_broken_file_is_one_sentence(bert, tmp_path):
    cached = CachedEncoder(Watched(bert), tmp_path)
    cached.path.write_bytes(b"this is no database" * 100)
    with pytest.raises(CacheError, match="text_cache_dir"):
        cached.encode(TEXTS)


def test_stage_1_keeps_embeddings_of_a_transformers_encoder(bert, shop, tmp_path):
    settings = {"text_encoder": str(bert), "text_cache_dir": "cache"}
    build_interests(make_config(**settings))
    [file] = (tmp_path / "cache").glob("embeddings-*.sqlite3")
    [(count,)] = sqlite3.connect(file).execute("SELECT count(*) FROM vectors")
    assert count >= 20
    [store] = shop.glob("*.interests-*.safetensors")
    before = store.read_bytes()
    build_interests(make_config(**settings))
    assert store.read_bytes() == before


def test_the_file_is_its_owners_alone(bert, tmp_path):
    folder = tmp_path / "saved" / "texts"
    cached = CachedEncoder(Watched(bert), folder)
    cached.encode(["a"])
    assert cached.path.stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700
