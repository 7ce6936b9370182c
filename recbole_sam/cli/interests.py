"""``python -m recbole_sam interests``: Stage 1 alone."""

from recbole_sam import configuration, registry
from recbole_sam.data import store_location
from recbole_sam.data.store import InterestStore
from recbole_sam.errors import SettingError
from recbole_sam.interests import stage1

SHOWN_USERS = 3


def add_parser(subparsers):
    """Adds the subcommand ``interests``, which takes any RecBole setting as ``--key=value``."""
    parser = subparsers.add_parser(
        "interests",
        help="build the interests of a dataset (Stage 1) and show them",
        description="Builds the interests of a dataset's training split, with any setting of the run "
        "script as --key=value, for example --dataset=ml-100k --interest_k_max=6.",
        allow_abbrev=False,
    )
    parser.add_argument("--rebuild", action="store_true", help="build again what is there already")
    parser.set_defaults(takes_settings=True)
    return parser


def run(args):
    """Builds the interests unless they are there, and shows the K histogram and a few users.

    Args:
        args (argparse.Namespace): ``rebuild`` and ``settings``.

    Returns:
        int: 0.

    Raises:
        RecBoleSAMError: one sentence on what is wrong.
    """
    config = configuration.make_config(configuration.parse_words(args.settings))
    if not registry.uses_interests(config["model"]):
        raise SettingError(f"{config['model']} reads no interests: name a model that does, such as SAM.")
    path = store_location.path(config)
    if args.rebuild or not path.exists():
        stage1.build(config)
    store = InterestStore.open(path)
    print("\n".join(describe(store)))
    return 0


def describe(store):
    """Lines that show a store: where it is, its K histogram, the phrases of a few users.

    Args:
        store (InterestStore): the open store.

    Returns:
        list of str: the lines.
    """
    counts = store.offsets[1:] - store.offsets[:-1]
    lines = [f"{store.path}: {store.n_users:,} users, {store.n_phrases:,} phrases, width {store.width}"]
    for k in range(int(counts.max(initial=0)) + 1):
        users = int((counts == k).sum())
        if users:
            lines.append(f"  K={k:<3} {users:>9,} users  {'#' * round(50 * users / len(counts))}")
    shown = [row for row in range(store.n_users) if counts[row]][:SHOWN_USERS]
    for row in shown:
        lines.append(f"  user {store.users[row]}")
        lines += [f"    - {phrase}" for phrase in store.phrases_of(row)]
    return lines
