import numpy as np
import pytest
import torch
from conftest import WORDS

from recbole_sam.encoders.encode import LSAEncoder, TransformersEncoder, find_model, make_encoder, pool
from recbole_sam.errors import DataError, SettingError

TITLES = [
    "Matte Red Lipstick",
    "Red Lip Liner, matte",
    "Moisturizing Face Cream with Aloe",
    "Aloe Vera Face Gel",
    "Electric Shaver for Men",
    "Shaver Replacement Heads",
    "剃须刀 电动",
    "电动牙刷",
]


def cosine(encoder, first, second):
    a, b = encoder.encode([first, second])
    return float(a @ b)


def test_lsa_puts_like_titles_together():
    encoder = LSAEncoder(dim=4).fit(TITLES)
    assert cosine(encoder, TITLES[0], TITLES[1]) > 0.9
    assert cosine(encoder, TITLES[6], TITLES[7]) > 0.9  # by their two common characters
    assert cosine(encoder, TITLES[0], TITLES[4]) < 0.2


def test_lsa_vectors():
    encoder = LSAEncoder(dim=5).fit(TITLES)
    vectors = encoder.encode(TITLES)
    assert vectors.shape == (8, 5)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert (encoder.encode(["unheard", "!!!"]) == 0).all()
    assert encoder.encode([]).shape == (0, 5)
    np.testing.assert_allclose(encoder.encode(["RÉD lipstick"]), encoder.encode(["red lipstick"]))


def test_lsa_is_deterministic_and_forgets_the_order_of_titles():
    first, again = LSAEncoder(dim=4).fit(TITLES), LSAEncoder(dim=4).fit(TITLES[::-1] + TITLES)
    np.testing.assert_array_equal(first.encode(TITLES), again.encode(TITLES))
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != LSAEncoder(dim=4).fit(TITLES[1:]).fingerprint()
    assert first.fingerprint() != LSAEncoder(dim=3).fit(TITLES).fingerprint()


@pytest.mark.parametrize(
    "titles, width", [(TITLES, 8), (["a b"], 1), (["a b c", "a"], 2), (["a", "b", "a b"], 2)]
)
def test_lsa_is_narrower_for_few_titles_or_words(titles, width):
    vectors = LSAEncoder(dim=128).fit(titles).encode(titles)
    assert vectors.shape == (len(titles), width)
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("titles", [[], ["", "!!!", "---"], ["Brush", "brush"]])
def test_lsa_refuses_titles_without_words(titles):
    with pytest.raises(DataError, match="fewer than two different words"):
        LSAEncoder(dim=4).fit(titles)


TEXTS = ["red lipstick", "face cream aloe gel for men", "shaver", "a b c a b c", "red lipstick"]


def states_of(folder, text, max_length=64):
    """The last layer's states [tokens, 16] of one text alone, by hand."""
    from transformers import BertModel

    ids = [2]
    for word in text.split():
        ids += [4, 5, 6][1:] if word == "lipstick" else [WORDS.index(word)]
    ids = ids[: max_length - 1] + [3]
    with torch.no_grad():
        model = BertModel.from_pretrained(folder).eval()
        return model(torch.tensor([ids])).last_hidden_state[0].numpy()


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("max_length", [4, 64])
def test_transformers_pooling_is_that_of_each_text_alone(bert, pooling, max_length):
    encoder = TransformersEncoder(bert, pooling=pooling, max_length=max_length, batch_size=3)
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (5, 16)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        states = states_of(bert, text, max_length)
        expected = states[0] if pooling == "cls" else states.mean(0)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_transformers_batches_change_nothing(bert):
    alone = TransformersEncoder(bert, batch_size=1).encode(TEXTS)
    together = TransformersEncoder(bert, batch_size=64).encode(TEXTS)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert TransformersEncoder(bert).encode([]).shape == (0, 16)


def test_transformers_computes_each_distinct_text_once(bert, monkeypatch):
    encoder, batches = TransformersEncoder(bert, batch_size=3), []
    encode_batch = encoder._encode_batch
    monkeypatch.setattr(encoder, "_encode_batch", lambda texts: batches.append(texts) or encode_batch(texts))
    encoder.encode(TEXTS * 5)
    assert [len(batch) for batch in batches] == [3, 1]
    assert sorted(sum(batches, [])) == sorted(set(TEXTS))
    assert batches[0][0] == max(TEXTS, key=len)


def test_transformers_normalize(bert):
    plain, unit = (TransformersEncoder(bert, normalize=n).encode(TEXTS) for n in (False, True))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-6)


def test_transformers_fingerprint_follows_the_content(bert, tmp_path):
    import shutil

    copy = tmp_path / "elsewhere" / bert.name
    shutil.copytree(bert, copy)
    first = TransformersEncoder(bert).fingerprint()
    assert first == TransformersEncoder(copy).fingerprint()
    assert first != TransformersEncoder(copy, pooling="mean").fingerprint()
    with open(copy / "config.json", "a") as file:
        file.write("\n")
    assert first["sha256"] != TransformersEncoder(copy).fingerprint()["sha256"]


def test_a_model_is_found_by_name_in_the_llms_folder(bert, monkeypatch):
    monkeypatch.chdir(bert.parent.parent)
    bert.parent.parent.joinpath("LLMs").symlink_to(bert.parent)
    assert find_model("tiny-bert").samefile(bert)
    assert find_model("someone/tiny-bert").samefile(bert)
    assert make_encoder("tiny-bert").fingerprint()["model"] == "tiny-bert"


def test_unloadable_models_get_one_sentence(bert, tmp_path):
    import shutil

    with pytest.raises(DataError, match=r"text encoder in .*empty cannot be loaded"):
        (tmp_path / "empty").mkdir()
        TransformersEncoder(tmp_path / "empty")
    broken = tmp_path / "broken"
    shutil.copytree(bert, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(DataError, match="cannot be loaded"):
        TransformersEncoder(broken)
    with pytest.raises(DataError, match="There is no folder ./LLMs/none"):
        TransformersEncoder("./LLMs/none")


def test_a_hub_name_without_network_gets_one_sentence(tmp_path):
    import os
    import subprocess
    import sys

    code = (
        "from recbole_sam.encoders.encode import make_encoder\n"
        "from recbole_sam.errors import DataError\n"
        "for name in ('lssa', 'google-bert/bert-base-uncased'):\n"
        "    try: make_encoder(name)\n"
        "    except DataError as error: print(error)\n"
    )
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    output = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    ).stdout.splitlines()
    assert len(output) == 2
    assert "There is no text encoder lssa" in output[0]
    assert output[0].endswith("Did you mean lsa?")
    assert "into LLMs/bert-base-uncased." in output[1]


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"pooling": "clss"}, "pooling 'clss'. Did you mean cls"),
        ({"max_length": 1}, "max_length of at least 2"),
        ({"max_length": 65}, "at most 64 tokens; max_length is 65"),
        ({"batch_size": 0}, "batch_size of at least 1"),
        ({"dtype": "int8"}, "Unknown dtype 'int8'"),
        ({"poling": "cls"}, "no setting 'poling'. Did you mean pooling"),
    ],
)
def test_transformers_settings_are_checked(bert, settings, sentence):
    with pytest.raises(SettingError, match=sentence):
        make_encoder("transformers", path=bert, **settings)


def test_make_encoder(bert):
    assert make_encoder("lsa", dim=3).dim == 3
    assert make_encoder(str(bert), pooling="mean").pooling == "mean"
    with pytest.raises(SettingError, match="lsa encoder has no setting 'dims'. Did you mean dim"):
        make_encoder("lsa", dims=3)
    with pytest.raises(SettingError, match="at least 1, not 0"):
        make_encoder("lsa", dim=0)


def test_without_transformers_one_sentence(bert, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SettingError, match="pip install transformers, or use the lsa encoder"):
        TransformersEncoder(bert)


def test_pool_ignores_padding():
    states = torch.randn(2, 4, 3)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    torch.testing.assert_close(pool(states, mask, "mean")[0], states[0, :2].mean(0))
    torch.testing.assert_close(pool(states, mask, "mean")[1], states[1].mean(0))
    torch.testing.assert_close(pool(states, mask, "cls"), states[:, 0])
