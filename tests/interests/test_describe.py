"""A store and a user in words."""

import numpy as np

from recbole_sam.data.store import InterestStore, write_store
from recbole_sam.encoders.encode import make_encoder
from recbole_sam.generators.base import STATUSES
from recbole_sam.generators.extractive import ExtractiveGenerator
from recbole_sam.interests.describe import store_lines, user_lines
from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.interests.pipeline import extract


def test_store_lines_count_users_phrases_and_uses(tmp_path):
    write_store(
        tmp_path / "s.safetensors",
        users=["a", "b", "c", "d"], offsets=[0, 2, 3, 3, 5], phrase_index=[0, 1, 1, 1, 2],
        phrases=["hair care", "nails", "very soft winter coats"],
        embeddings=np.zeros((3, 4), np.float32), history_hashes=np.zeros((4, 16), np.uint8),
        statuses=[0, 1, STATUSES.index("failed"), 0], status_names=STATUSES, fingerprint={},
    )  # fmt: skip
    text = "\n".join(store_lines(InterestStore.open(tmp_path / "s.safetensors"), most=2))
    assert "4 users, 3 distinct phrases, width 4" in text
    assert "coverage: 3 users (75.0%)" in text
    for line in ("  0          1", "  1          1", "  2          2"):
        assert line in text
    assert "complete            2" in text and "failed              1" in text
    assert "words a phrase: 2 in the median, 1 to 4" in text
    assert text.index("3 nails") < text.index("1 hair care") and "winter" not in text


def test_user_lines_show_the_k_that_the_pipeline_chose(tmp_path):
    titles = {f"i{n}": f"{word} {n % 3}" for n, word in enumerate(["soap", "comb", "lamp"] * 4)}
    histories = [[f"i{n}" for n in range(start, start + 7)] for start in range(5)]
    encoder = make_encoder("lsa", dim=4, seed=3)
    settings = ExtractSettings(grouping="routing", k_max=5)
    path = tmp_path / "s.safetensors"
    users = [f"u{n}" for n in range(5)]
    extract(users, histories, titles, encoder, ExtractiveGenerator(), settings, path)
    store = InterestStore.open(path)
    for row, user in enumerate(users):
        own = [titles[item] for item in histories[row]]
        phrases = store.phrases_of(row)
        lines = user_lines(user, own, encoder.encode(own), settings, phrases, "complete")
        chosen = next(line for line in lines if line.endswith("<- K"))
        assert int(chosen.split()[0]) == len(phrases)
        assert sum(line.startswith("    ") for line in lines) > 0
        assert [line[6:] for line in lines[-len(phrases) :]] == phrases
        # the extractive phrase of a group is among its most central items
        groups = lines[lines.index("groups, strongest first, each by its most central items:") + 1 :]
        assert groups[0][6:].split("; ")[0] == phrases[0]


def test_a_user_without_titles(tmp_path):
    lines = user_lines("u", [], np.zeros((0, 4)), ExtractSettings(), [], "complete")
    assert "no interests" in lines[-1]


def test_user_lines_show_each_group_under_its_phrase():
    from recbole_sam.interests.grouping.clustering import scale

    draw = np.random.default_rng(0)
    catalogue = np.repeat(3 * np.eye(4, 16), 30, axis=0) + 0.3 * draw.standard_normal((120, 16))
    titles, rows = ["red pen", "desk lamp", "blue pen"], [0, 30, 1]
    settings = ExtractSettings(grouping="clustering")
    arguments = "u", titles, catalogue[rows], settings
    shown = user_lines(*arguments, ["pens", "lamps"], "complete", scale(catalogue))
    assert shown[-7:] == [
        "K = 2 groups, heaviest first (many items, new items):",
        "    1 pens", "          1 red pen", "          3 blue pen",
        "    2 lamps", "          2 desk lamp", "interests: complete, one a group",
    ]  # fmt: skip
    shown = user_lines(*arguments, ["pens", "lamps"], "filled", scale(catalogue))
    assert "    1 (see below)" in shown and shown[-3:] == ["interests (filled):", "    1 pens", "    2 lamps"]
