"""``python -m recbole_sam explain``: why this item?"""

import json
import shutil

from recbole_sam.cli.recommend import add_steering, steering
from recbole_sam.errors import SettingError


def add_parser(subparsers, help):
    """Adds the subcommand ``explain``."""
    parser = subparsers.add_parser(
        "explain", help=help, description="Shows why an item is recommended.", allow_abbrev=False
    )
    add = parser.add_argument
    add("bundle", help="a folder made by `python -m recbole_sam bundle`")
    add("--user", metavar="USER", help="a known user")
    add("--items", metavar="A,B", help="a new person's history, oldest first")
    add("--item", action="append", required=True, metavar="ITEM", help="to explain; may be repeated")
    add("--history", default="full", metavar="PART",
        help="a known user's history: full, valid (as in test) or train (default: %(default)s)")  # fmt: skip
    add("--new-interests", default="live", metavar="HOW",
        help="of new people: live, or default, which is none (default: %(default)s)")  # fmt: skip
    add_steering(parser)
    add("--json", action="store_true", help="print JSON")
    return parser


def run(args):
    """Prints explanations.

    Args:
        args (argparse.Namespace): as :func:`add_parser` defines it.

    Returns:
        int: 0.

    Raises:
        RecBoleSAMError: one sentence on what is wrong.
    """
    if (args.user is None) == (args.items is None):
        raise SettingError("Say for whom, by one of --user and --items.")
    from recbole_sam.serving.bundle import Bundle
    from recbole_sam.serving.reasons import told

    session = None
    if args.items is not None:
        session = [item.strip() for item in args.items.split(",") if item.strip()]
    found = Bundle(args.bundle).explain(
        user=args.user,
        history=session,
        items=args.item,
        part=args.history,
        new_interests=args.new_interests,
        **steering(args),
    )
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        width = shutil.get_terminal_size((110, 24)).columns
        print("\n\n".join(told.shown(each, width) for each in found))
    return 0
