"""Bytes, seconds and tokens of one thing, as formulas of the assumptions and rates."""

import math

import yaml

from benchmarks.scale.assumptions import ADAM_PASSES, INPUT_TOKENS
from recbole_sam.config import yaml_files
from recbole_sam.llm.prices import TOKENS_PER_PHRASE


def sample_bytes(length):
    """A sample of the dataset hook: user, item, length (8 bytes each), timestamp (4), and the histories.

    Args:
        length (int): L, the longest history; an item takes 8 bytes there and a timestamp 4.

    Returns:
        int: bytes.
    """
    return 3 * 8 + 4 + length * (8 + 4)


def store_bytes(owners, pairs, distinct, width, owner_bytes, text_bytes):
    """A file of ``recbole_sam.data.store`` without its header of a few kB, float16.

    Args:
        owners (float): users, or items in the file of item texts.
        pairs (float): (user, phrase) pairs.
        distinct (float): distinct phrases.
        width (int): H.
        owner_bytes (float): of a token.
        text_bytes (float): of a phrase.

    Returns:
        float: bytes.
    """
    index = 4 if distinct <= 2**31 - 1 else 8
    of_owner = 8 + 8 + 16 + 1 + owner_bytes  # two offsets, hash, status
    of_phrase = 8 + 2 * width + text_bytes
    return owners * of_owner + pairs * index + distinct * of_phrase


def sequence_bytes(assume):
    """Of a user on the host: all items (int32), and where the sequence and its training part begin and end.

    Args:
        assume (Assumptions): its ``interactions``.

    Returns:
        int: bytes.
    """
    return 4 * assume.interactions + 3 * 8 + 2 * 8


def user_table_bytes(assume):
    """Of a user in the model: ``user_phrases`` and ``support`` (int32 [k_max]), ``user_k`` (int64).

    Args:
        assume (Assumptions): its ``k_max``.

    Returns:
        int: bytes.
    """
    return 2 * 4 * assume.k_max + 8


def step_seconds(items, loss, assume, rates):
    """A training step of SAM without titles, extrapolated, on one CPU thread.

    The measured step less its cross-entropy, plus the loss over ``items``, both in proportion to the batch,
    plus Adam over the item table at the measured rate of copying, which is the least it can take.

    Args:
        items (int): N.
        loss (str): ``CE``, ``chunked`` or ``SSM``.
        assume (Assumptions): its ``batch`` and ``hidden``.
        rates (Rates): measured.

    Returns:
        float: seconds.
    """
    rest = rates.step_seconds - rates.step_items * rates.loss_seconds
    of_loss = {
        "CE": items * rates.loss_seconds,
        "chunked": items * rates.chunked_seconds,
        "SSM": rates.sampled_seconds,
    }
    adam = ADAM_PASSES * 4 * items * assume.hidden / rates.bytes_a_second
    return assume.batch / rates.step_batch * (rest + of_loss[loss]) + adam


def titles_step_seconds(items, assume, rates):
    """What ``item_text`` adds to a step at least: the projection of all titles and its weight's gradient.

    Args:
        items (int): N.
        assume (Assumptions): its ``width`` and ``hidden``.
        rates (Rates): measured.

    Returns:
        float: seconds on one CPU thread.
    """
    return 2 * 2 * items * assume.width * assume.hidden / rates.operations_a_second


def llm_tokens(users, assume):
    """Tokens of one prompt a user; equal histories are asked once, so this is the most without repairs.

    Args:
        users (int): U.
        assume (Assumptions): its ``phrases``.

    Returns:
        tuple: input and output tokens, float.
    """
    return users * INPUT_TOKENS, users * assume.phrases * TOKENS_PER_PHRASE


def limits():
    """The default limits of an account: calls and tokens a minute, a tuple of float."""
    settings = yaml.safe_load(yaml_files.llm_file().read_text(encoding="utf-8"))
    return settings["llm_requests_per_minute"], settings["llm_tokens_per_minute"]


def lists(items):
    """Lists of an IVF index over ``items`` vectors, 4 x the root as FAISS's guidelines begin, int."""
    return round(4 * math.sqrt(items))
