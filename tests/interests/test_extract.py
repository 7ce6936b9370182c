import csv
import itertools

import numpy as np
import pytest
from conftest import REAL_DATA

from recbole_sam.data.histories import history_hash
from recbole_sam.data.store import InterestStore
from recbole_sam.encoders.encode import LSAEncoder
from recbole_sam.errors import DataError, SettingError
from recbole_sam.generators.base import COMPLETE, FAILED, FILLED, InterestAnswer, InterestRequest
from recbole_sam.generators.extractive import ExtractiveGenerator
from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.interests.grouping.routing import Identifier
from recbole_sam.interests.pipeline import extract

DATA = REAL_DATA / "amazon-industrial-scientific"

KINDS = ("lipstick", "shampoo", "razor", "perfume")
COLOURS = ("red", "green", "blue", "black", "white")
TITLES = {f"i{n}": " ".join(words) for n, words in enumerate(itertools.product(COLOURS, KINDS))}
TITLES |= {"bare": "", "twin": TITLES["i3"]}
SETTINGS = ExtractSettings(grouping="routing", history_length=8, chunk=16, dtype="float32")


def histories(seed=0, count=50):
    random = np.random.default_rng(seed)
    return [random.choice(list(TITLES), random.integers(1, 9)).tolist() for _ in range(count)]


def build(path, chosen=None, generator=None, settings=SETTINGS, encoder=None, **more):
    chosen = histories() if chosen is None else chosen
    users = [f"u{row}" for row in range(len(chosen))]
    return extract(
        users,
        chosen,
        TITLES,
        encoder or LSAEncoder(dim=8),
        generator or ExtractiveGenerator(),
        settings,
        path,
        **more,
    )


class Recorder(ExtractiveGenerator):
    """The extractive generator, which also keeps what it was asked."""

    def __init__(self):
        self.requests = []

    def generate(self, requests):
        for request in requests:
            self.requests.append(request)
            yield from super().generate([request])


class Backwards(ExtractiveGenerator):
    """The extractive generator, answering the last request first."""

    def generate(self, requests):
        yield from super().generate(reversed(list(requests)))


class Scripted:
    """Answers every request with ``script(request)``."""

    name = "scripted"

    def __init__(self, script):
        self.script = script

    def fingerprint(self):
        return {"name": self.name}

    def generate(self, requests: list[InterestRequest]):
        for request in requests:
            yield from self.script(request)


def test_the_store_holds_what_each_step_gives(tmp_path):
    path, chosen, encoder = tmp_path / "x.safetensors", histories(), LSAEncoder(dim=8)
    generator = Recorder()
    summary = build(path, chosen, generator, encoder=encoder, extra={"dataset": "toy"})
    store = InterestStore.open(path)
    assert list(store.users) == [f"u{row}" for row in range(50)]
    np.testing.assert_array_equal(store.history_hashes, [list(history_hash(history)) for history in chosen])
    np.testing.assert_allclose(store.embeddings, encoder.encode(list(store.phrases)), atol=1e-6)
    requests = {request.user: request for request in generator.requests}
    texts = sorted(set(TITLES.values()) - {""})
    identifier = Identifier(encoder.encode(texts), SETTINGS)
    for row, history in enumerate(chosen):
        titles = [TITLES[item] for item in history if TITLES[item]]
        if not titles:
            assert store.phrases_of(row) == []
            assert f"u{row}" not in requests
            continue
        request = requests[f"u{row}"]
        assert list(request.titles) == titles
        alone = identifier(np.array([[texts.index(title) for title in titles]]))
        assert request.k == len(request.rankings) == int(alone.k)
        phrases = store.phrases_of(row)
        assert len(phrases) == len(set(phrases)) == request.k
        assert set(phrases) <= set(titles)
        assert phrases[0] == titles[request.rankings[0][0]]
    assert summary.users == 50
    assert summary.phrases == store.n_phrases
    assert summary.width == store.width == 8
    assert summary.statuses == dict.fromkeys(summary.statuses, 0) | {COMPLETE: len(requests)}
    asked = [requests[user].k if user in requests else 0 for user in store.users]
    assert summary.k_histogram == {k: asked.count(k) for k in sorted(set(asked))}
    assert len(summary.k_histogram) > 3


def test_fingerprint_names_everything_that_changes_results(tmp_path):
    path = tmp_path / "x.safetensors"
    build(path, extra={"dataset": "toy"})
    fingerprint = InterestStore.open(path).fingerprint
    assert fingerprint["dataset"] == "toy"
    assert fingerprint["generator"] == {"name": "extractive"}
    assert fingerprint["encoder"]["name"] == "lsa"
    assert len(fingerprint["encoder"]["sha256"]) == 64
    assert fingerprint["settings"]["history_length"] == 8
    assert "chunk" not in fingerprint["settings"]


def test_equal_bytes_again_with_other_chunks_and_answers_in_any_order(tmp_path):
    files = [tmp_path / f"{n}.safetensors" for n in range(4)]
    build(files[0])
    build(files[1])
    build(files[2], settings=ExtractSettings(grouping="routing", history_length=8, chunk=7, dtype="float32"))
    build(files[3], generator=Backwards())
    assert len({file.read_bytes() for file in files}) == 1
    build(files[0], settings=ExtractSettings(grouping="routing", history_length=8, dtype="float32", seed=1))
    assert files[0].read_bytes() != files[1].read_bytes()


def test_items_and_users_without_text_are_left_out_and_counted(tmp_path):
    path, generator = tmp_path / "x.safetensors", Recorder()
    chosen = [["bare", "i1", "unknown", "i7"], ["bare"], [], ["unknown"], ["i1"], ["i3", "twin"]]
    summary = build(path, chosen, generator)
    assert summary.without_text == 3
    assert summary.items == 6
    assert summary.items_without_text == 2
    assert [request.user for request in generator.requests] == ["u0", "u4", "u5"]
    assert generator.requests[0].titles == (TITLES["i1"], TITLES["i7"])
    assert [request.k for request in generator.requests] == [2, 1, 1]
    assert summary.k_histogram == {0: 3, 1: 2, 2: 1}
    store = InterestStore.open(path)
    assert [len(store.phrases_of(row)) for row in range(6)] == [2, 0, 0, 0, 1, 1]
    # The hash is of the whole history, so that the hook need not know which items have texts.
    assert bytes(store.history_hashes[0]) == history_hash(chosen[0])


def test_phrases_that_are_no_titles_are_encoded(tmp_path):
    path, encoder = tmp_path / "x.safetensors", LSAEncoder(dim=8)

    def script(request):
        yield InterestAnswer(request.user, ("red things", request.titles[0])[: request.k], FILLED)

    summary = build(path, generator=Scripted(script), encoder=encoder)
    store = InterestStore.open(path)
    assert "red things" in list(store.phrases)
    np.testing.assert_allclose(store.embeddings, encoder.encode(list(store.phrases)), atol=1e-6)
    assert summary.statuses[FILLED] == 50 - summary.without_text
    assert {store.status_names[code] for code in store.statuses} >= {FILLED}


def test_failed_users_have_no_phrases(tmp_path):
    path = tmp_path / "x.safetensors"
    summary = build(path, generator=Scripted(lambda request: [InterestAnswer(request.user, (), FAILED)]))
    assert summary.statuses[FAILED] == 50 - summary.without_text
    store = InterestStore.open(path)
    assert (store.n_phrases, store.width) == (0, 8)
    assert store.phrases_of(0) == []


@pytest.mark.parametrize(
    "script, problem",
    [
        (lambda r: [], "left .* users unanswered"),
        (lambda r: [InterestAnswer("stranger", ("a",), COMPLETE)], "was not asked for"),
        (lambda r: [InterestAnswer(r.user, ("a",), COMPLETE)] * 2, "was answered before"),
        (lambda r: [InterestAnswer(r.user, tuple("abcdefghijk"), COMPLETE)], "11 phrases where"),
        (lambda r: [InterestAnswer(r.user, ("a", "a")[: r.k], COMPLETE)], "empty or equal phrases"),
        (lambda r: [InterestAnswer(r.user, ("",), COMPLETE)], "empty or equal phrases"),
    ],
)
def test_a_generator_that_breaks_the_contract_is_stopped(tmp_path, script, problem):
    path = tmp_path / "x.safetensors"
    with pytest.raises(ValueError, match=problem):
        build(path, generator=Scripted(script))
    assert list(tmp_path.iterdir()) == []


def test_users_are_routed_only_as_requests_are_wanted(tmp_path, monkeypatch):
    """What bounds the memory, and lets a generator that stops early stop the routing too."""
    chunks = []

    class Stopping(ExtractiveGenerator):
        def generate(self, requests):
            yield from super().generate(itertools.islice(requests, 20))

    route_chunk = Identifier.__call__

    def counted(self, items):
        chunks.append(len(items))
        return route_chunk(self, items)

    monkeypatch.setattr(Identifier, "__call__", counted)
    with pytest.raises(ValueError, match="unanswered"):
        build(tmp_path / "x.safetensors", generator=Stopping())
    assert chunks == [16, 16]


def test_progress_ends_at_the_total(tmp_path):
    states = []
    build(tmp_path / "x.safetensors", progress=lambda *state: states.append(state))
    last = {stage: (done, total) for stage, done, total in states}
    assert list(last) == ["titles", "users", "phrases"]
    assert all(done == total > 0 for done, total in last.values())


def test_histories_without_any_title_get_one_sentence(tmp_path):
    with pytest.raises(DataError, match="None of the 2 items in the training histories has"):
        build(tmp_path / "x.safetensors", [["bare", "unknown"], ["bare"]])


def test_too_long_a_history_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="u0: a history of 9 items, not of 8"):
        build(tmp_path / "x.safetensors", [["i1"] * 9])


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"k_min": 5, "k_max": 3}, r"interest_k_min \(5\) is above interest_k_max \(3\)"),
        ({"k_min": 0}, "interest_k_min must be a whole number from 1, not 0"),
        ({"k_max": 2.5}, "interest_k_max must be a whole number"),
        ({"history_length": True}, "interest_history_length must be"),
        ({"iterations": "3"}, "interest_iterations must be a whole number from 1, not '3'"),
        ({"alpha": -1}, "interest_alpha must be a number from 0, not -1"),
        ({"beta": float("nan")}, "interest_beta"),
        ({"seed": None}, "interest_seed must be a whole number"),
        ({"dtype": "float64"}, "interest_dtype must be float16 or float32, not 'float64'"),
    ],
)
def test_settings_are_checked(changes, sentence):
    with pytest.raises(SettingError, match=sentence):
        ExtractSettings(**changes)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")
def test_real_titles(tmp_path):
    with open(DATA / "items.csv", encoding="utf-8", newline="") as file:
        titles = {row["item_id"]: row["title"] for row in csv.DictReader(file)}
    sequences = {}
    with open(DATA / "interactions.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            sequences.setdefault(row["user_id"], []).append(row["item_id"])
    users = list(sequences)[:200]
    training = [sequences[user][:-2][-20:] for user in users]
    path = tmp_path / "x.safetensors"
    summary = extract(
        users,
        training,
        titles,
        LSAEncoder(dim=32),
        ExtractiveGenerator(),
        ExtractSettings(grouping="routing"),
        path,
    )
    store = InterestStore.open(path)
    assert summary.without_text == 0
    for row, history in enumerate(training):
        own = {titles[item] for item in history}
        assert 1 <= len(store.phrases_of(row)) <= min(10, len(own))
        assert set(store.phrases_of(row)) <= own
