"""What interests would be worth that know more than the history: guesses at the next item, some right.

    python -m benchmarks.leaked_phrases --dataset=amazon-industrial-scientific --shares=0.05,0.1,0.2

A language model may know what comes next: whoever bought resin buys nozzles. Here every sample gets one more
interest, the title of a product that resembles the TRUE next item (one of its ten nearest titles, never its
own) with probability ``share``, and one that resembles a random sample's item otherwise. The model cannot
tell which. This LEAKS on purpose, so it is measured on validation and is no result of SAM: it says what a
generator of phrases has to know, and by which input path its knowledge gets in:

- attention: the guess is one more query, as every interest is in SAM. It picks among the history's items.
- text: SAM with ``interest_text``, which also adds the guess's title to its view. It reaches any item.

Any setting of the run script, as --key=value, goes to the model.
"""

import argparse
import sys

import torch
from torch.nn import functional as F

from recbole_sam.cli.main import guarded
from recbole_sam.config.configuration import make_config, parse_words
from recbole_sam.interests import stage1
from recbole_sam.models.sam import SAM

NEIGHBOURS = 10
PATHS = ("attention", "text")


class LeakedSAM(SAM):
    """SAM with one more interest for each sample: a guess at the item to be predicted."""

    def __init__(self, config, dataset, share):
        super().__init__(config, dataset)
        self.share = share
        titles = dataset.item_texts.vectors()
        self.register_buffer("titles", titles, persistent=False)
        self.register_buffer("similar", nearest(F.normalize(titles, dim=1), NEIGHBOURS), persistent=False)
        self.register_buffer("taken", dataset.inter_feat[self.ITEM_ID], persistent=False)

    def guesses(self, user, target):
        """Items [B] whose titles are the guesses: new ones in training, the same in every validation."""
        # in training torch's own, which the seed of the run set
        generator = None if self.training else torch.Generator().manual_seed(int(user[0]))
        right = torch.rand(len(user), generator=generator) < self.share
        other = torch.randint(len(self.taken), (len(user),), generator=generator)
        column = torch.randint(NEIGHBOURS, (len(user),), generator=generator)
        right, other, column = (drawn.to(user.device) for drawn in (right, other, column))
        return self.similar[torch.where(right, target, self.taken[other]), column]

    def interest_queries(self, user, item_seq):
        queries, mask = super().interest_queries(user, item_seq)
        guess = self._project(self.titles[self.guess]).unsqueeze(1)
        return torch.cat([queries, guess], 1), torch.cat([mask, torch.ones_like(mask[:, :1])], 1)

    def interest_texts(self, user, item_seq):
        guess = self.item_text()[self.guess].unsqueeze(1)
        return torch.cat([super().interest_texts(user, item_seq), guess], 1)

    def represent(self, interaction, item_vectors=None):
        self.guess = self.guesses(interaction[self.USER_ID], interaction[self.ITEM_ID])
        return super().represent(interaction, item_vectors)


def nearest(titles, count):
    """The rows (int64 [N, count]) whose unit vectors are most similar to each of [N, H], but not the same."""
    found = []
    for rows in torch.arange(len(titles)).split(1024):
        cosines = titles[rows] @ titles.T
        cosines[cosines > 1 - 1e-5] = -torch.inf  # itself, and whatever has the same title
        cosines[:, ~titles.any(dim=1)] = -torch.inf  # padding, and items without a title
        found.append(cosines.topk(count, dim=1).indices)
    return torch.cat(found)


def validation(config, make_model):
    """The best validation metrics (dict) of a model that RecBole trains."""
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_trainer, init_logger, init_seed

    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    train, valid, _ = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = make_model(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return trainer.fit(train, valid, saved=False, show_progress=False)[1]


def main(words=None):
    """Prints a Markdown table, a row a path and share."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.leaked_phrases", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--shares", default="0.05,0.1,0.2")
    parser.add_argument("--paths", default=",".join(PATHS))
    args, others = parser.parse_known_args(sys.argv[1:] if words is None else words)
    defaults = {"topk": "[10, 20]", "metrics": "['Hit', 'NDCG']", "valid_metric": "NDCG@20"}
    given = {**defaults, **parse_words(others)}
    stage1.build_missing(make_config(given))
    print("| path | right guesses | NDCG@20, validation | to no guesses |", "|---|---|---|---|", sep="\n")
    for path in args.paths.split(","):
        config = make_config({**given, "interest_text": str(path == "text")})
        base = validation(config, SAM)["ndcg@20"]
        print(f"| {path} | no guesses | {base:.4f} | |", flush=True)
        for share in map(float, args.shares.split(",")):
            found = validation(config, lambda c, d: LeakedSAM(c, d, share))["ndcg@20"]  # noqa: B023
            print(f"| {path} | {share:.0%} | {found:.4f} | {found / base - 1:+.1%} |", flush=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
