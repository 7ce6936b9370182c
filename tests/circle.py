"""A dataset with a known answer, for the tests of the models.

The items stand in a circle and every user walks along it, so the item after i is i + 1. One more
item is in the catalogue that nobody ever touched.
"""

import random

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, init_seed

from recbole_sam.config import our_models
from recbole_sam.data.histories import history_hash
from recbole_sam.data.store import write_store
from recbole_sam.interests import stage1

N_ITEMS, N_USERS, WINDOW = 40, 120, 5
NEVER = "never"
STORE_WIDTH = 8


def write_circle(root):
    """Writes the atomic files to ``root/circle``."""
    generator = random.Random(0)
    rows = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(N_USERS):
        start, length = generator.randrange(N_ITEMS), generator.randint(5, 14)
        rows += [f"u{user}\ti{(start + step) % N_ITEMS}\t{step}" for step in range(length)]
    items = [
        "item_id:token\ttitle:token_seq",
        *(f"i{item}\tplace {item}" for item in range(N_ITEMS)),
        f"{NEVER}\tnowhere",
    ]
    (root / "circle").mkdir()
    (root / "circle" / "circle.inter").write_text("\n".join(rows) + "\n")
    (root / "circle" / "circle.item").write_text("\n".join(items) + "\n")


def circle_config(root, model, **settings):
    """RecBole's configuration of a model on the circle."""
    defaults = {
        "data_path": str(root),
        "checkpoint_dir": str(root / "saved"),
        "interest_store": str(root / "circle.safetensors"),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
        "MAX_ITEM_LIST_LENGTH": WINDOW,
        "metrics": ["Hit"],
        "topk": [5],
        "valid_metric": "Hit@5",
        "epochs": 10,
        "train_batch_size": 256,
        "learning_rate": 0.01,
        "hidden_dropout_prob": 0.1,
        "attn_dropout_prob": 0.0,
        "interest_evidence": False,  # the interests here are noise, of no text encoder
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
    }
    return Config(model, "circle", config_dict=defaults | settings)


def circle_data(config):
    """RecBole's three parts of the data; with a store where the model reads interests."""
    init_seed(0, True)
    if our_models.uses_interests(config["model"]):
        write_interests(config)
    if our_models.uses_item_texts(config):
        stage1.build_item_texts(config)
    return data_preparation(config, create_dataset(config))


def circle_model(root, model, **settings):
    """A model with random weights, in evaluation mode, and a batch of training samples."""
    write_circle(root)
    config = circle_config(root, model, **settings)
    train = circle_data(config)[0].dataset
    return get_model(model)(config, train).eval(), a_batch(train)


def write_interests(config):
    """A store of one to three random phrases a user, one user without, of the training
    histories."""
    dataset = create_dataset(config)
    users, histories = zip(*dataset.training_histories(dataset.split()), strict=True)
    generator = np.random.default_rng(0)
    counts = generator.integers(1, 4, len(users))
    counts[0] = 0
    write_store(
        config["interest_store"],
        users=users,
        offsets=np.r_[0, counts.cumsum()],
        phrase_index=generator.integers(0, 10, counts.sum()),
        phrases=[f"phrase {phrase}" for phrase in range(10)],
        embeddings=generator.standard_normal((10, STORE_WIDTH)).astype("float32"),
        history_hashes=[list(history_hash(history)) for history in histories],
        statuses=np.zeros(len(users), int),
        status_names=["complete"],
        fingerprint={},
    )


def a_batch(train):
    """64 training samples of all lengths, with negative items, padded to the whole window."""
    samples = train.inter_feat
    lengths = samples["item_length"]
    picked = torch.cat([torch.where(lengths == n)[0][:13] for n in range(1, WINDOW + 1)])[:64]
    batch = Interaction({name: samples[name][picked] for name in samples.columns})
    negatives = torch.randint(1, train.item_num, (len(picked),), generator=torch.Generator())
    batch.update(Interaction({"neg_item_id": negatives}))
    return batch


@torch.no_grad()
def shaken(model):
    """The model, its parameters moved: biases that are still zero would hide a mistake."""
    for parameter in model.parameters():
        parameter += 0.3 * torch.randn_like(parameter)
    return model


@torch.no_grad()
def check_scores(model, batch, user_of):
    """Every seventh sample's scores; ``user_of`` makes a user [d] of a history, oldest item first."""
    scores = model.full_sort_predict(batch)
    for row in range(0, len(batch), 7):
        history = batch["item_id_list"][row, : batch["item_length"][row]].tolist()
        expected = model.item_embedding.weight @ user_of(history)
        torch.testing.assert_close(scores[row], expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def check_full_softmax(model, batch):
    """The loss against minus the mean log chance of the targets among all items."""
    chances = model.full_sort_predict(batch).softmax(dim=1)
    expected = -chances[torch.arange(len(batch)), batch["item_id"]].log().mean()
    torch.testing.assert_close(model.calculate_loss(batch), expected)
