"""Whether the authors' checkpoint of WEARec, loaded into our model, gives the numbers of their log.

    python -m benchmarks.checkpoints --checkpoint=<their .pt> --sequences=Beauty.txt
    ... --dataset=amazon-beauty-2014 --data_path=dataset

Both files are in the authors' repository: src/output/WEARec_K_50_Beauty_0.5_0.0005_0.2_8.pt, and src/data.
The second one holds the histories by their item numbers, a line a user: item by item they must be ours, which
matches the numbers to our items. As in their code, every user's known items are masked. Any setting of the
run script, as --key=value.
"""

import argparse
import sys

import torch

from recbole_sam.cli.main import guarded
from recbole_sam.config.configuration import make_config, parse_words
from recbole_sam.errors import DataError
from recbole_sam.evaluation.ranking.ranks import rank
from recbole_sam.evaluation.statistics.metrics import shown, value

PUBLISHED = {"hit@5": 0.0738, "ndcg@5": 0.0516, "hit@10": 0.1041, "ndcg@10": 0.0614,
             "hit@20": 0.1391, "ndcg@20": 0.0703}  # fmt: skip
"""Test part of Amazon Beauty 2014, the last line of their log; HR and NDCG at 10 and 20 also in the paper."""
NAMES = {
    "item_embeddings": "item_embedding",
    "position_embeddings": "position_embedding",
    "item_encoder.": "",
    "layer.complex_weight": "wavelet.weight",
    "layer.base_filter": "filter.factor",
    "layer.base_bias": "filter.shift",
    "layer.adaptive_mlp": "filter.adjust",
    "layer.LayerNorm": "LayerNorm",
}
"""Parts of parameters' names: theirs, ours."""
AT_ONCE = 512
"""Users whose scores are in memory together."""


def item_numbers(ours, theirs):
    """The number that the authors gave each item.

    Args:
        ours (list of list of int): item IDs of each user, oldest first.
        theirs (list of list of int): their numbers of the same users' items.

    Returns:
        dict: item ID to number.

    Raises:
        DataError: the histories are not the same.
    """
    numbers, items = {}, {}
    for mine, other in zip(ours, theirs, strict=False):
        for item, number in zip(mine, other, strict=False):
            numbers.setdefault(item, number)
            items.setdefault(number, item)
    same = [[numbers[item] for item in mine] for mine in ours] == theirs
    if not same or len(items) != len(numbers):
        raise DataError("--sequences does not hold the histories of --dataset: they cannot be matched.")
    return numbers


def converted(state, numbers):
    """Their parameters under our names, with the items in our order.

    Args:
        state (dict): name to tensor, of their checkpoint.
        numbers (dict): item ID to their number, of every item.

    Returns:
        dict: for ``load_state_dict``.
    """
    order = torch.tensor([0, *(numbers[item] for item in range(1, len(numbers) + 1))])
    ours = {}
    for name, tensor in state.items():
        if name.endswith("gate_param"):  # nothing reads it
            continue
        for their_part, our_part in NAMES.items():
            name = name.replace(their_part, our_part)
        if name == "item_embedding.weight":
            tensor = tensor[order]
        ours[name] = tensor.squeeze(0) if name.endswith("wavelet.weight") else tensor
    return ours


@torch.no_grad()
def masked_ranks(model, samples, histories):
    """The rank of each sample's target among the items that its user does not know.

    Args:
        model (SequentialRecommender): in evaluation mode.
        samples (Interaction): n test samples.
        histories (dict): user ID to all item IDs of that user, the target last.

    Returns:
        numpy.ndarray: int64 [n].
    """
    ranks = []
    for start in range(0, len(samples), AT_ONCE):
        batch = samples[start : start + AT_ONCE]
        scores, targets = model.full_sort_predict(batch), batch[model.ITEM_ID]
        scores[:, 0] = -torch.inf
        found = scores.gather(1, targets.unsqueeze(1))
        for row, user in enumerate(batch[model.USER_ID].tolist()):
            scores[row, histories[user][:-1]] = -torch.inf
        scores.scatter_(1, targets.unsqueeze(1), -torch.inf)
        ranks.append(rank(found, scores))
    return torch.cat(ranks).numpy()


def loaded(file):
    """The parameters in a checkpoint (dict), without running code of the file."""
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever an odd file leads torch to
        raise DataError(f"--checkpoint={file} cannot be loaded: is it a published checkpoint?") from error


def main(words=None):
    """Prints one Markdown table."""
    from recbole.data import create_dataset
    from recbole.utils import get_model

    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpoints", description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--sequences", required=True)
    args, settings = parser.parse_known_args(words)
    config = make_config({"dataset": "amazon-beauty-2014"} | parse_words(settings) | {"model": "WEARec"})
    dataset = create_dataset(config)
    rows = dataset.inter_feat.sort_values([dataset.uid_field, dataset.time_field], kind="stable")
    histories = rows.groupby(dataset.uid_field)[dataset.iid_field].apply(list).to_dict()
    with open(args.sequences, encoding="utf-8") as file:
        theirs = [[int(number) for number in line.split()[1:]] for line in file]
    state = converted(loaded(args.checkpoint), item_numbers(list(histories.values()), theirs))
    train, _, test = dataset.build()
    model = get_model("WEARec")(config, train).eval()
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"--checkpoint={args.checkpoint} does not fit the model: {error}") from error
    ranks = masked_ranks(model, test.inter_feat, histories)
    print(f"{len(ranks):,} users, {len(state):,} tensors loaded\n")
    print("| metric | published | here |\n|---|---|---|")
    for metric, published in PUBLISHED.items():
        print(f"| {shown(metric)} | {published:.4f} | {value(metric, ranks).mean():.4f} |")


if __name__ == "__main__":
    sys.exit(guarded(main))
