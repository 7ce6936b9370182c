"""``python -m recbole_sam bundle``: from a checkpoint to a folder that answers without its dataset."""

from pathlib import Path

from recbole_sam.errors import SettingError


def add_parser(subparsers, help):
    """Adds the subcommand ``bundle``."""
    parser = subparsers.add_parser(
        "bundle",
        help=help,
        description="Makes a bundle of a checkpoint: weights, items and titles, text encoder and settings, "
        "without a pickle. The dataset has to be where it was in training. The checkpoint is unpickled, "
        "which can run code: bundle only checkpoints that you trust.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("checkpoint", help="a .pth file of RecBole")
    add("--output", required=True, metavar="FOLDER", help="the bundle")
    add("--with-users", action="store_true",
        help="also users, their whole histories and interests: such a bundle is personal data")  # fmt: skip
    add("--overwrite", action="store_true", help="replace a bundle")
    return parser


def run(args):
    """Makes a bundle and prints what is in it.

    Args:
        args (argparse.Namespace): as :func:`add_parser` defines it.

    Returns:
        int: 0.

    Raises:
        RecBoleSAMError: one sentence on what is wrong.
    """
    for name in ("checkpoint", "output"):
        if not getattr(args, name).strip():
            raise SettingError(f"{name} is empty: give it a value.")
    from recbole_sam.serving.making.write import write_bundle

    output = Path(args.output).expanduser()
    facts = write_bundle(Path(args.checkpoint).expanduser(), output, args.with_users, args.overwrite)
    size = sum(file.stat().st_size for file in output.iterdir())
    users = f"{facts['users']['count']:,} users" if facts["users"] else "no users (see --with-users)"
    values = ", ".join(f"{name} {value:.4f}" for name, value in facts["metrics"]["values"].items())
    print(f"{output}: {facts['model']}, {facts['dataset']['items']:,} items, {users}, {size / 1e6:.1f} MB")
    print(f"test, full ranking: {values}")
    if facts["users"]:
        print("It holds whole histories of users: do not publish it.")
    return 0
