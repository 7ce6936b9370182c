"""Invented inputs, from a seed: a dataset through RecBole, and interests for its users."""

import dataclasses
import functools

import numpy as np
import pandas as pd

from recbole_sam.config.configuration import make_config
from recbole_sam.data.dataset import SAMDataset
from recbole_sam.data.histories import HASH_BYTES
from recbole_sam.data.interest_table import InterestTable
from recbole_sam.data.item_texts import ItemTexts
from recbole_sam.data.store import INTERESTS, ITEM_TEXTS, InterestStore, write_store

LENGTH = 20  # L: the paper's
K_MIN, K_MAX = 2, 10  # the paper's limits
BLOCK = 10_000  # rows of embeddings made at once
SHORTEST = 4  # interactions that leave a training sample after leave-one-out


@dataclasses.dataclass(frozen=True)
class Shop:
    """An invented dataset.

    Attributes:
        users (int): each has at least four interactions.
        items (int): all occur.
        interactions (int): a user has about ``interactions / users``.
        phrases (int): distinct interest phrases of all users.
        width (int): H of their embeddings.
    """

    users: int
    items: int
    interactions: int
    phrases: int
    width: int = 768

    @property
    def name(self):
        return f"shop-{self.users}-{self.items}-{self.interactions}"


SHOPS = {
    "full": Shop(users=100_000, items=12_000, interactions=1_000_000, phrases=30_000),
    "guard": Shop(users=15_000, items=12_000, interactions=150_000, phrases=30_000),
    "quick": Shop(users=400, items=300, interactions=4_000, phrases=200, width=32),
}
FEW = Shop(users=5_000, items=12_000, interactions=50_000, phrases=1_000)
FEW_USERS = {"full": FEW, "guard": FEW, "quick": SHOPS["quick"]}
"""As many items and few users: for memory, which is measured in processes that load their own data."""


def write_shop(setup, shop):
    """Writes the dataset's ``.inter`` file unless it is there: popularity falls with rank."""
    folder = setup.folder / "dataset" / shop.name
    file = folder / f"{shop.name}.inter"
    if file.exists():
        return
    rng = np.random.default_rng(setup.seed)
    more = shop.interactions - SHORTEST * shop.users
    lengths = SHORTEST + np.bincount(rng.integers(0, shop.users, more), minlength=shop.users)
    popularity = 1 / (np.arange(shop.items) + 10.0)
    items = rng.choice(shop.items, shop.interactions, p=popularity / popularity.sum())
    items[rng.permutation(shop.interactions)[: shop.items]] = np.arange(shop.items)  # each at least once
    frame = {
        "user_id:token": np.repeat([f"u{user}" for user in range(shop.users)], lengths),
        "item_id:token": np.char.add("i", items.astype(str)),
        "timestamp:float": np.sort(rng.integers(0, 10**9, shop.interactions)).astype(float),
    }
    folder.mkdir(parents=True)
    pd.DataFrame(frame).to_csv(file, sep="\t", index=False)


def config(model, setup, shop, **settings):
    """RecBole's configuration of a model on the dataset, everything else at its default."""
    write_shop(setup, shop)
    given = {
        "model": model,
        "dataset": shop.name,
        "data_path": str(setup.folder / "dataset"),
        "checkpoint_dir": str(setup.folder / "saved"),
        "MAX_ITEM_LIST_LENGTH": LENGTH,
        "use_gpu": setup.device == "cuda",
        "gpu_id": "0",
        "seed": setup.seed,
        "show_progress": False,
        "state": "ERROR",
    }
    return make_config({**given, **settings})


@functools.cache
def parts(setup, shop):
    """Training, validation and test part (leave one out), each with what SAM reads; K is 2 to 10.

    Interests and item texts are attached here and not by ``SAMDataset.build``, whose leak guard would refuse
    invented ones.
    """
    dataset = SAMDataset(config("SAM", setup, shop))
    splits = dataset.split()
    tokens = dataset.field2id_token[dataset.uid_field].tolist()
    path = setup.folder / f"{shop.name}.safetensors"
    counts = np.random.default_rng(setup.seed).integers(K_MIN, K_MAX + 1, shop.users)
    write_interests(path, tokens[1:], counts, shop.phrases, shop.width, setup.seed)
    table = InterestTable(InterestStore.open(path), tokens)
    items = dataset.field2id_token[dataset.iid_field].tolist()
    titles = setup.folder / f"{shop.name}.titles.safetensors"
    write_interests(titles, items[1:], np.ones(shop.items, int), shop.items, shop.width, setup.seed,
                    ITEM_TEXTS)  # fmt: skip
    texts = ItemTexts(titles, items)
    dataset.attach_training_items(splits)
    for part in splits:
        part.interests, part.item_texts = table, texts
    return splits


def write_interests(path, users, counts, n_phrases, width, seed, kind=INTERESTS):
    """Writes an interest store of invented phrases in float16.

    Args:
        path (Path): the file.
        users (list of str): U tokens.
        counts (numpy.ndarray): int [U], how many interests each has.
        n_phrases (int): distinct phrases, drawn uniformly.
        width (int): H.
        seed (int): of everything.
        kind (str): of the file, :data:`~recbole_sam.data.store.KINDS`.
    """
    rng = np.random.default_rng(seed)
    blocks = (
        rng.standard_normal((min(BLOCK, n_phrases - start), width), np.float32)
        for start in range(0, n_phrases, BLOCK)
    )
    write_store(
        path,
        users=users,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        phrase_index=rng.integers(0, n_phrases, int(counts.sum())),
        phrases=[f"invented interest number {number}" for number in range(n_phrases)],
        embeddings=blocks,
        history_hashes=rng.integers(0, 256, (len(users), HASH_BYTES), np.uint8),
        statuses=np.zeros(len(users), np.uint8),
        status_names=("complete",),
        fingerprint={"generator": {"name": "invented"}, "encoder": {"name": "invented"}, "seed": seed},
        kind=kind,
    )


def random_batch(part, size, seed, device):
    """``size`` random samples of a part, on the device."""
    rows = np.random.default_rng(seed).choice(len(part), min(size, len(part)), replace=False)
    return part.inter_feat[rows].to(device)
