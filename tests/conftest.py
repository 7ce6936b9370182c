"""What all tests share: small real datasets, and RecBole configurations that write nowhere else."""

import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

# The tests run as one process a core, where threads would wait for each other; inherited by child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

import recbole_sam  # noqa: F401  before any test imports RecBole, which does not import without it

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """Every test runs in an empty folder, without this process's arguments or keys (RecBole reads both)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    for name in ("DASHSCOPE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    logging.disable(logging.NOTSET)
    # a shell that starts the tests in the background makes them, and their children, deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def real_data():
    """The folder of real Amazon data; the test is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data is not at {REAL_DATA}")
    return REAL_DATA


TITLES = ("Rose Hand Cream", "Mint Shampoo", "Red Nail Polish", "Night Face Serum", "Hair Oil Argan",
          "Lip Balm Honey", "Sun Lotion", "Steel Tweezers", "Bath Salt Lavender", "Beard Comb")  # fmt: skip


def write_dataset(folder, sequences, titles=TITLES):
    """Writes an atomic dataset with the folder's name.

    Args:
        folder (Path): made here.
        sequences (dict): user token to item tokens, in time order.
        titles (sequence of str): given to the items in order of appearance, in turn.
    """
    folder.mkdir(parents=True)
    rows = [
        f"{user}\t{item}\t{float(time)}"
        for user, items in sequences.items()
        for time, item in enumerate(items)
    ]
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (folder / f"{folder.name}.inter").write_text("\n".join([header, *rows]) + "\n")
    items = list(dict.fromkeys(item for sequence in sequences.values() for item in sequence))
    rows = [f"{item}\t{titles[i % len(titles)]} {item}" for i, item in enumerate(items)]
    (folder / f"{folder.name}.item").write_text("\n".join(["item_id:token\ttitle:token", *rows]) + "\n")


def random_sequences(users=40, items=25, seed=0, shortest=3, longest=12):
    """Random histories: user token to item tokens."""
    rng = np.random.default_rng(seed)
    return {
        f"u{user}": [f"i{item}" for item in rng.integers(0, items, rng.integers(shortest, longest + 1))]
        for user in range(users)
    }


@pytest.fixture
def shop(tmp_path):
    """A dataset named ``shop`` of 40 users and 25 items under ``dataset/``; gives its folder."""
    folder = tmp_path / "dataset" / "shop"
    write_dataset(folder, random_sequences())
    return folder


def make_config(model="SAM", dataset="shop", **settings):
    """A RecBole configuration for tests: small, quiet, on the CPU."""
    from recbole.config import Config

    defaults = {"epochs": 1, "show_progress": False, "use_gpu": False, "state": "WARNING",
                "MAX_ITEM_LIST_LENGTH": 8, "text_encoder_dim": 8}  # fmt: skip
    if model == "SASRec":
        defaults.pop("text_encoder_dim")
    return Config(model=model, dataset=dataset, config_dict={**defaults, **settings})


@pytest.fixture
def serve(monkeypatch):
    """Starts language-model servers with a script; keys are set, and DashScope's SDK asks the latest one."""
    from servers.llm_server import KEY, LLMServer

    with contextlib.ExitStack() as running:

        def start(script=None, **options):
            server = running.enter_context(LLMServer(script, **options))
            if "dashscope" in sys.modules:  # its tests import it first; others need not wait for it
                monkeypatch.setattr("dashscope.base_compatible_api_url", server.compatible_url)
                monkeypatch.setattr("dashscope.base_http_api_url", server.dashscope_url)
            monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            return server

        yield start


@pytest.fixture
def free_port():
    """A TCP port on this machine that nobody listens on now."""
    return find_port()


def find_port():
    """A TCP port on this machine that nobody listens on now."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def build_interests(config):
    """Builds the interests of a configuration with the real Stage 1 (lsa, extractive), and the item texts."""
    from recbole_sam.config import our_models
    from recbole_sam.interests import stage1

    summary = stage1.build(config)
    if our_models.uses_item_texts(config):
        stage1.build_item_texts(config)
    return summary


CAUSAL = {"history_filter": False, "newest_item": True}
"""SAM without the filters, which read a history both ways."""


def experiment(model="SAM", dataset="shop", **settings):
    """RecBole's data and model for a configuration, interests built first where they are needed.

    Returns:
        tuple: config, training, validation and test loader, model.
    """
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_seed

    from recbole_sam.interests import stage1

    config = make_config(model, dataset, **settings)
    stage1.build_missing(config)
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    return config, train, valid, test, get_model(model)(config, train._dataset)


def first_batch(loader):
    """The first batch of one of RecBole's loaders."""
    batch = next(iter(loader))
    return batch[0] if isinstance(batch, tuple) else batch


WORDS = "[PAD] [UNK] [CLS] [SEP] red lip ##stick face cream aloe gel shaver for men a b c".split()


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """A folder with a BERT of two small layers and seventeen word pieces."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("LLMs") / "tiny-bert"
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder
