"""The top k of SAM from a FAISS index: one query a user, however many interests the user has.

    pip install faiss-cpu
    python docs/scale/faiss_serving.py saved/SAM-....pth                       # exact, IndexFlatIP
    python docs/scale/faiss_serving.py saved/SAM-....pth --probes=32 --check   # IndexIVFFlat, compared

The users and histories are those of the test part: all but the newest item. A checkpoint is a pickle: load
only those you trust.
"""

import argparse
import math
import sys

import torch

import recbole_sam  # noqa: F401  before RecBole, which does not import without it


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--users", type=int, default=1000, help="of the test part")
    parser.add_argument("--probes", type=int, help="lists that IndexIVFFlat reads; default: IndexFlatIP")
    parser.add_argument("--check", action="store_true", help="compare with the scores of all items")
    args = parser.parse_args(words)
    try:
        import faiss
    except ImportError:
        sys.exit("This script needs faiss, which recbole-sam does not install: pip install faiss-cpu")

    from recbole.quick_start import load_data_and_model

    config, model, dataset, _, _, test = load_data_and_model(args.checkpoint)
    if model.item_knn is not None:
        sys.exit(f"{args.checkpoint} has item_knn, whose votes are in no item vector: train without it.")
    model.eval()
    batch = test._dataset.inter_feat[: args.users].to(config["device"])
    with torch.no_grad():
        users = model.represent(batch).cpu()  # [B, d]
        items = model.item_vectors().cpu()  # [N, d]
        histories = model.history(batch).cpu()  # [B, L], 0 beyond their ends
        bias = 0.0 if model.repeat_bias is None else float(model.repeat_bias)
    index = build(faiss, items, args.probes)
    scores, found = top(index, users, items, histories, bias, args.k)

    names = dataset.field2id_token[dataset.iid_field]
    user_names = dataset.field2id_token[dataset.uid_field][batch[dataset.uid_field].cpu().numpy()]
    for user, ids, values in list(zip(user_names, found.tolist(), scores.tolist(), strict=True))[:5]:
        real = ((names[i], value) for i, value in zip(ids, values, strict=True) if i)  # 0: too few were read
        print(user, *(f"{name}:{value:.3f}" for name, value in real))
    if args.check:
        with torch.no_grad():
            exact = model.full_sort_predict(batch).cpu()
        exact[:, 0] = -torch.inf  # padding
        wanted = exact.topk(args.k).indices
        same = (found.unsqueeze(2) == wanted.unsqueeze(1)).any(dim=2).float().mean()
        print(f"{same:.4f} of the exact top {args.k} of {len(batch):,} users were found")


def build(faiss, items, probes=None):
    """The index of all items but padding.

    Args:
        faiss (module): the library.
        items (torch.FloatTensor): [N, d]; row 0 is padding.
        probes (int, optional): lists that a query reads; None: no lists, an exact search.

    Returns:
        faiss.Index: by inner product; its number i is item i + 1.
    """
    vectors = items[1:].contiguous().numpy()
    index = faiss.IndexFlatIP(vectors.shape[1])
    if probes:
        n_lists = max(1, round(4 * math.sqrt(len(vectors))))
        index = faiss.IndexIVFFlat(index, vectors.shape[1], n_lists, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.nprobe = probes
    index.add(vectors)
    return index


def top(index, users, items, histories, bias, k):
    """The best items of each user, exactly those of ``full_sort_predict`` when the index is exact.

    ``repeat_bias`` is on at most L items of a user. So k + L items from the index and all of the history hold
    the top k, whether the bias is a bonus or a malus.

    Args:
        index (faiss.Index): as :func:`build` made it.
        users (torch.FloatTensor): [B, d].
        items (torch.FloatTensor): [N, d].
        histories (torch.LongTensor): [B, L], 0 at padded places.
        bias (float): added to the scores of the history's items.
        k (int): at most N - 1.

    Returns:
        tuple: scores FloatTensor [B, k] and item IDs LongTensor [B, k], best first.
    """
    wanted = min(k + histories.shape[1], len(items) - 1)
    scores, ids = (torch.from_numpy(each) for each in index.search(users.numpy(), wanted))
    ids = ids + 1  # 0 where a list had too few: FAISS says -1
    in_history = (ids.unsqueeze(2) == histories.unsqueeze(1)).any(dim=2)
    scores = scores.masked_fill(in_history | (ids == 0), -torch.inf)  # the history's are added below

    of_history = (users.unsqueeze(1) * items[histories]).sum(dim=-1) + bias
    again = (histories.unsqueeze(2) == histories.unsqueeze(1)).tril(-1).any(dim=2)
    of_history = of_history.masked_fill(again | (histories == 0), -torch.inf)

    scores, ids = torch.cat([scores, of_history], dim=1), torch.cat([ids, histories], dim=1)
    best = scores.topk(k, dim=1)
    return best.values, ids.gather(1, best.indices)


if __name__ == "__main__":
    main()
