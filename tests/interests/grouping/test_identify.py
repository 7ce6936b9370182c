import numpy as np
import pytest
import torch

from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.interests.grouping.routing import (
    Identifier,
    choose_k,
    count_distinct,
    draw_logits,
    draw_projection,
    pad,
    rankings,
    squash_factor,
)

H, N, L = 12, 40, 9


def by_hand(titles, projection, logits, k_min, k_max, alpha=0.6, beta=0.4, distinct=None):
    """The formulae of the paper for one user, word for word, in float64.

    Returns K, the capsules in order, c as a list of lists and the score of each k.
    """
    e = [vector.double() for vector in titles]
    n, capsules = len(e), len(logits)
    u = [projection.double() @ vector for vector in e]
    b = [[float(logits[j][i]) for i in range(n)] for j in range(capsules)]
    for iteration in range(3):
        c, v = [], []
        for j in range(capsules):
            total = sum(np.exp(b[j][i]) for i in range(n))
            c.append([np.exp(b[j][i]) / total for i in range(n)])
            s = sum(c[j][i] * u[i] for i in range(n))
            size = s.norm()
            v.append(size**2 / (1 + size**2) * s / size)
        if iteration < 2:
            for j in range(capsules):
                for i in range(n):
                    b[j][i] += float(u[i] @ v[j])
    order = sorted(range(capsules), key=lambda j: -float(v[j].norm()))
    mu = [sum(c[j][i] * e[i] for i in range(n)) / sum(c[j]) for j in range(capsules)]

    def cos(a, b):
        return float(a @ b / (a.norm() * b.norm()))

    scores = []
    for k in range(1, capsules + 1):
        best = order[:k]
        consistency = sum(c[j][i] * cos(e[i], mu[j]) for j in best for i in range(n)) / (k * n)
        pairs = [cos(mu[best[a]], mu[best[b]]) for b in range(k) for a in range(b)]
        diversity = 1 - sum(pairs) * 2 / (k * (k - 1)) if k > 1 else 1.0
        scores.append(alpha * consistency + beta * diversity)
    top = min(k_max, n if distinct is None else distinct)
    allowed = range(min(k_min, top), top + 1)
    return max(allowed, key=lambda k: scores[k - 1]), order, c, scores


def titles_and_histories(seed=0, scale=1.0, users=60):
    """Clustered title embeddings, and histories of 1 to L titles with repeats, padded."""
    random = np.random.default_rng(seed)
    topics = random.standard_normal((5, H)) * scale
    embeddings = topics[random.integers(0, 5, N)] + 0.5 * scale * random.standard_normal((N, H))
    items = np.full((users, L), -1)
    for row in items:
        n = random.integers(1, L + 1)
        row[:n] = random.integers(0, N, n)
    return embeddings.astype("float32"), items


@pytest.mark.parametrize("scale", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("k_min, k_max", [(2, 10), (1, 4), (3, 3)])
def test_agrees_with_the_formulae(scale, k_min, k_max):
    embeddings, items = titles_and_histories(scale=scale)
    identifier = Identifier(embeddings, ExtractSettings(history_length=L, k_min=k_min, k_max=k_max, seed=3))
    got = identifier(items)
    for row, history in enumerate(items):
        history = history[history >= 0]
        k, order, c, scores = by_hand(
            identifier.embeddings[history],
            identifier.projection,
            identifier.logits,
            k_min,
            k_max,
            distinct=len(set(history)),
        )
        n = len(history)
        assert int(got.k[row]) == k
        np.testing.assert_allclose(got.coupling[row, :, :n], c, atol=2e-5)
        np.testing.assert_allclose(got.scores[row], scores, atol=2e-5)
        if n > 1:  # with one item all capsules are equally strong
            assert got.order[row].tolist() == order


def test_weights_of_the_score_are_used():
    embeddings, items = titles_and_histories()
    identifier = Identifier(embeddings, ExtractSettings(history_length=L, alpha=0.1, beta=2.0))
    scores = identifier(items[:3]).scores
    for row in range(3):
        history = items[row][items[row] >= 0]
        titles = identifier.embeddings[history]
        expected = by_hand(titles, identifier.projection, identifier.logits, 2, 10, 0.1, 2.0)[3]
        np.testing.assert_allclose(scores[row], expected, atol=2e-5)


def test_squash():
    s = torch.tensor([3.0, 4.0])
    torch.testing.assert_close(squash_factor(s.norm()) * s, 25 / 26 * s / 5)
    assert squash_factor(torch.tensor(0.0)) == 0


def test_padding_and_chunking_change_nothing():
    embeddings, items = titles_and_histories()
    identifier = Identifier(embeddings, ExtractSettings(history_length=L + 6))
    whole = identifier(items)
    wide = np.concatenate([items, np.full((len(items), 6), -1)], axis=1)
    padded = identifier(wide)
    chunks = [identifier(chunk) for chunk in np.array_split(items, 7)]
    shuffled = np.random.default_rng(1).permutation(len(items))
    permuted = identifier(items[shuffled])
    assert torch.equal(padded.k, whole.k)
    assert torch.equal(torch.cat([chunk.k for chunk in chunks]), whole.k)
    assert torch.equal(permuted.k, whole.k[shuffled])
    torch.testing.assert_close(padded.coupling[..., :L], whole.coupling)
    torch.testing.assert_close(padded.scores, whole.scores)
    torch.testing.assert_close(torch.cat([chunk.scores for chunk in chunks]), whole.scores)
    assert (padded.coupling[..., L:] == 0).all()
    assert (padded.centrality[..., L:] == 0).all()


def test_k_keeps_its_limits():
    embeddings, items = titles_and_histories(users=300)
    distinct = torch.tensor([len(set(row[row >= 0])) for row in items])
    k = Identifier(embeddings, ExtractSettings(history_length=L, k_min=3, k_max=6))(items).k
    assert (k <= distinct).all()
    assert (k <= 6).all()
    assert (k >= distinct.clamp(max=3)).all()
    assert len(k.unique()) > 3


def test_users_with_one_item_no_item_and_one_item_repeated():
    embeddings, _ = titles_and_histories()
    items = np.array([[7, -1, -1], [-1, -1, -1], [7, 7, 7], [7, 7, 8]])
    got = Identifier(embeddings, ExtractSettings())(items)
    assert got.k.tolist() == [1, 0, 1, 2]
    assert all(torch.isfinite(part).all() for part in got)
    assert (got.coupling[1] == 0).all()
    nobody = Identifier(embeddings, ExtractSettings())(np.full((0, 3), -1))
    assert nobody.k.shape == (0,)
    empty = Identifier(embeddings, ExtractSettings())(np.full((2, 0), -1))
    assert empty.k.tolist() == [0, 0]


def test_titles_without_any_known_word_give_no_nan():
    embeddings, items = titles_and_histories()
    embeddings[:20] = 0
    got = Identifier(embeddings, ExtractSettings(history_length=L))(items)
    assert all(torch.isfinite(part).all() for part in got)


def test_equal_titles_tie_and_the_smallest_k_wins():
    got = Identifier(np.ones((6, 4), "float32"), ExtractSettings(k_min=2))(np.arange(6)[None])
    assert got.k.tolist() == [2]


def test_seed():
    embeddings, items = titles_and_histories(scale=0.2)
    first, again, other = (
        Identifier(embeddings, ExtractSettings(history_length=L, seed=s))(items) for s in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.k, other.k)
    assert draw_projection(400, 0).std().item() == pytest.approx(400**-0.5, rel=0.02)
    assert draw_logits(10, 4000, 0).std().item() == pytest.approx(1, rel=0.02)


def test_choose_k_takes_the_smaller_of_equals():
    scores = torch.tensor([[9.0, 0.2, 0.5, 0.5 + 1e-8, 0.1]]).expand(5, -1)
    distinct = torch.tensor([5, 2, 1, 0, 3])
    assert choose_k(scores, distinct, 2, 5).tolist() == [3, 2, 1, 0, 3]


def test_count_distinct():
    items = torch.tensor([[3, 3, 0, 0], [0, 1, 2, 5], [-1, -1, -1, -1], [4, -1, 4, -1]])
    assert count_distinct(items).tolist() == [2, 4, 0, 1]


def test_pad():
    padded = pad(np.array([9, 1, 2, 3, 4]), np.array([1, 3, 3, 4]))
    np.testing.assert_array_equal(padded, [[1, 2], [-1, -1], [3, -1]])
    assert pad(np.array([], int), np.array([0, 0])).shape == (1, 0)


def test_rankings():
    embeddings, items = titles_and_histories()
    lengths = (items >= 0).sum(1)
    interests = Identifier(embeddings, ExtractSettings(history_length=L))(items)
    for row, groups in enumerate(rankings(interests, lengths)):
        assert len(groups) == interests.k[row]
        for place, group in enumerate(groups):
            assert sorted(group) == list(range(lengths[row]))
            centrality = interests.centrality[row, interests.order[row, place]][list(group)]
            assert (centrality[:-1] >= centrality[1:]).all()
