"""Interest groups and their number for very many users, against a loop over users."""

import itertools

import numpy as np

from benchmarks.speed import ceilings, memory
from benchmarks.speed.setup import Row, megabytes
from benchmarks.speed.turns import take_turns
from recbole_sam.config.groupings import ROUTING, fewest
from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.interests.grouping.routing import Identifier

USERS = 1_000_000  # of the target
ITEMS = 20  # of each user
TOPICS, SPREAD = 50, 0.3
SIZES = {  # titles, H, users a round, of them by the loop
    "full": (12_000, 768, 200_000, 500),
    "guard": (12_000, 768, 5_000, 200),
    "quick": (100, 32, 600, 20),
}
CHUNK = {"cpu": 512, "cuda": 16_384}  # on a CPU the default of ExtractSettings


def measure(setup):
    """The rows of the group.

    Args:
        setup (Setup): of the run.

    Returns:
        list of Row: on a CPU against the loop, on a GPU against the time of its matrix products.
    """
    _, width, _, looped = SIZES[setup.size]
    embeddings, histories, identifier = inputs(setup)
    users, chunk = len(histories), CHUNK[setup.device]

    def chunked():
        return in_chunks(identifier, histories, chunk)

    on_gpu = setup.device == "cuda"
    one_chunk = len(histories[:chunk])
    counted = ceilings.operations(lambda: identifier(histories[:chunk])) / one_chunk
    rate = ceilings.matrix_rate(setup)
    floor = users * counted / rate
    ways = {"chunked": chunked}
    if not on_gpu:
        turns = itertools.cycle(range(0, users - looped + 1, looped))

        def loop():
            start = next(turns)  # other users each time: nothing stays in the caches for it alone
            return by_loop(identifier, embeddings, histories[start : start + looped])

        ways["loop"] = loop
    times = take_turns(ways, setup)
    peak = memory.alone(peak_of_chunks, setup)
    per_user = {"chunked": times["chunked"] / users}
    details = {
        "seconds": times,
        "users": users,
        "chunk": chunk,
        "peak bytes": peak,
        "operations a user": counted,
        "operations a second": rate,
        "time / time of its matrix products": times["chunked"] / floor,
    }
    rate_text = f"{1 / per_user['chunked']:,.0f} users/s, {megabytes(peak)}"
    common = {
        "group": "routing",
        "name": "time",
        "stayed": "inner products instead of vectors of H numbers, W e once a title, every K from cumulative "
        "sums: stayed",
        "details": details,
    }
    floor_text = f"{times['chunked'] / floor:.1f} x the time of its matrix products"
    if on_gpu:
        return [
            Row(
                what=f"routing and K of {users:,} users of {ITEMS} items (H {width}), {chunk:,} a chunk",
                target="within 2 x of the time its matrix products need at the measured rate",
                measured=f"{floor_text} ({times['chunked']:.2f} s, {rate_text})",
                prediction="3 x: the products of 20 x 768 vectors read more than they compute",
                value=times["chunked"] / floor,
                limit=2,
                **common,
            )
        ]
    per_user["loop"] = times["loop"] / looped
    ratio = per_user["loop"] / per_user["chunked"]
    agree = agreement(identifier, embeddings, histories[:looped])
    details |= {"seconds a user": per_user, "ratio": ratio, "users by the loop": looped, "same K": agree}
    return [
        Row(
            what=f"routing and K, users of {ITEMS} items (H {width}), {chunk} users a chunk: time a user of "
            "a loop over users (numpy) / ours",
            target="at least 5 x on a CPU",
            measured=f"{ratio:.1f} x ({per_user['loop'] * 1e3:.2f} / {per_user['chunked'] * 1e3:.3f} ms a "
            f"user; {rate_text}; measured on {users:,} users, extrapolated to {USERS:,}: "
            f"{USERS * per_user['chunked']:,.0f} s); same K for {agree:.1%}; {floor_text}",
            prediction="8 x: W e alone is 24 million operations a user, ours are 1.3 million",
            value=ratio,
            limit=5,
            at_least=True,
            **common,
        )
    ]


def inputs(setup):
    """Titles' embeddings in clusters, histories [users, 20], and the identifier that is measured."""
    titles, width, users, _ = SIZES[setup.size]
    if setup.device == "cuda" and setup.size == "full":
        users = USERS
    rng = np.random.default_rng(setup.seed)
    embeddings = rng.standard_normal((TOPICS, width), np.float32)[rng.integers(0, TOPICS, titles)]
    embeddings = SPREAD * (embeddings + rng.standard_normal((titles, width), np.float32))
    histories = rng.integers(0, titles, (users, ITEMS))
    return (
        embeddings,
        histories,
        Identifier(embeddings, ExtractSettings(history_length=ITEMS, seed=setup.seed, device=setup.device)),
    )


def in_chunks(identifier, histories, chunk):
    """K of all users, some at a time."""
    return [identifier(histories[start : start + chunk]).k for start in range(0, len(histories), chunk)]


def peak_of_chunks(setup):
    """What a fresh process is asked: bytes that a few chunks add to the embeddings."""
    with setup.limits():
        _, histories, identifier = inputs(setup)
        chunk = CHUNK[setup.device]
        return memory.peak_of(lambda: in_chunks(identifier, histories[: 5 * chunk], chunk), setup.device)


def agreement(identifier, embeddings, histories):
    """The share of users for whom both ways find the same K."""
    ours = identifier(histories).k.cpu().numpy()
    return float((ours == by_loop(identifier, embeddings, histories)).mean())


def by_loop(identifier, embeddings, histories):
    """K of each user by the formulae in ``recbole_sam.interests.grouping.routing``, one after another.

    Within a user in whole matrices: a loop over capsules too would be slower still.
    """
    projection, logits = identifier.projection.numpy(), identifier.logits.numpy()
    return np.array([one_user(identifier, embeddings[rows], projection, logits, rows) for rows in histories])


def one_user(identifier, e, projection, logits, rows):
    n = len(e)
    u = e @ projection.T
    b = logits[:, :n].copy()
    for iteration in range(identifier.settings.iterations):
        c = np.exp(b - b.max(axis=1, keepdims=True))
        c /= c.sum(axis=1, keepdims=True)
        s = c @ u
        size = np.linalg.norm(s, axis=1, keepdims=True)
        if iteration < identifier.settings.iterations - 1:
            b += (s * size / (1 + size**2)) @ u.T
    order = np.argsort(-size[:, 0], kind="stable")
    mu = c @ e
    mu /= np.linalg.norm(mu, axis=1, keepdims=True)
    consistency = (c * (mu @ (e / np.linalg.norm(e, axis=1, keepdims=True)).T)).sum(axis=1)
    top = min(identifier.settings.k_max, len(set(rows.tolist())))
    scores = {}
    for k in range(min(fewest(ROUTING, identifier.settings.k_min), top), top + 1):
        best = order[:k]
        between = np.triu(mu[best] @ mu[best].T, 1).sum()
        diversity = 1 - between / (k * (k - 1) / 2) if k > 1 else 1.0
        scores[k] = (
            identifier.settings.alpha * consistency[best].sum() / (k * n)
            + identifier.settings.beta * diversity
        )
    return max(scores, key=scores.get)
