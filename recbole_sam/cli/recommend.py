"""``python -m recbole_sam recommend``: what should this person see?"""

import sys
from pathlib import Path

from recbole_sam.errors import SettingError, UnknownNameError

WHOM = ("user", "users", "items", "sessions", "all")


def add_parser(subparsers, help):
    """Adds the subcommand ``recommend``."""
    parser = subparsers.add_parser(
        "recommend",
        help=help,
        description="Answers from a bundle. Without --output it prints a table.",
        allow_abbrev=False,
    )
    parser.add_argument("bundle", help="a folder made by `python -m recbole_sam bundle`")
    whom = parser.add_argument_group("for whom (one of these)")
    whom.add_argument("--user", action="append", metavar="USER", help="a known user; may be repeated")
    whom.add_argument("--users", metavar="FILE", help="known users, one a line")
    whom.add_argument("--items", metavar="A,B", help="a new person's history, oldest first")
    whom.add_argument("--sessions", metavar="FILE", help="CSV, Parquet or JSONL: session, item, maybe time")
    whom.add_argument("--all", action="store_true", help="everybody; needs --output; can be resumed")
    what = parser.add_argument_group("what")
    add = what.add_argument
    add("--top-k", type=int, default=10, metavar="K", help="items a person (default: %(default)s)")
    add("--history", default="full", metavar="PART",
        help="known users' history: full, valid (as in test) or train (default: %(default)s)")  # fmt: skip
    add("--include-seen", action="store_true", help="also items of the history")
    add("--among", metavar="FILE", help="the only candidates: one item a line, or a table with item")
    add("--without", metavar="FILE", help="items that are no candidates")
    add("--new-items", metavar="FILE", help="a table with item and title, scored by their titles")
    add("--new-interests", default="live", metavar="HOW",
        help="of new people: live, or default, which is none (default: %(default)s)")  # fmt: skip
    add_steering(parser)
    add("--strict", action="store_true", help="refuse unknown users and items instead of counting them")
    add("--output", metavar="FILE", help="ends in .parquet, .csv or .jsonl")
    add("--overwrite", action="store_true", help="replace the output")
    add("--index", type=int, nargs="?", const=32, metavar="LISTS",
        help="search a FAISS index instead of scoring every item, LISTS of its lists a person: quicker, less "
             "exact (%(const)s lists if not given)")  # fmt: skip
    add("--engine", default="local", metavar="ENGINE",
        help="of --all: local, or ray, blocks of users on a Ray cluster (default: %(default)s)")  # fmt: skip
    add(
        "--workers", type=int, default=2, metavar="N", help="processes of --engine=ray (default: %(default)s)"
    )
    return parser


def add_steering(parser):
    """Adds what changes recommendations by words, to this command and to ``explain``."""
    add = parser.add_argument_group("steer").add_argument
    add("--steer", action="append", metavar="PHRASE", help="what is wanted, in words; may be repeated")
    add("--strength", type=float, default=1.0, help="of the phrases, 0 is none (default: %(default)s)")
    add("--without-interest", type=int, action="append", default=[], metavar="N",
        help="leave out interest N, from 1; may be repeated")  # fmt: skip


def steering(args):
    """The arguments of :func:`add_steering` as a bundle takes them (dict)."""
    return {"steer": args.steer, "strength": args.strength, "without_interests": args.without_interest}


def run(args):
    """Answers.

    Args:
        args (argparse.Namespace): as :func:`add_parser` defines it.

    Returns:
        int: 0.

    Raises:
        RecBoleSAMError: one sentence on what is wrong.
    """
    given = [name for name in WHOM if getattr(args, name)]
    if len(given) != 1:
        raise SettingError("Say for whom, by one of --user, --users, --items, --sessions and --all.")
    if args.all and not args.output:
        raise SettingError("--all writes a table: give it --output=FILE, such as top.parquet.")
    if args.all and (args.steer or args.without_interest):
        raise SettingError("--steer and --without-interest are for single people, not for --all.")
    if args.engine != "local" and not args.all:
        raise SettingError("--engine is for --all: leave it out.")
    from recbole_sam.serving import table_files
    from recbole_sam.serving.bundle import Bundle

    if args.output and not args.all:
        table_files.check_free(args.output, args.overwrite)
    bundle = Bundle(args.bundle)
    if args.new_items:
        titles = table_files.read(args.new_items, ("item", "title"))
        new = dict(zip(titles["item"], titles["title"], strict=True))
        bundle = bundle.with_items(new, strict=args.strict)
    if args.index is not None:
        bundle = _indexed(bundle, args)
    chosen = {
        "k": args.top_k,
        "history": args.history,
        "exclude_seen": not args.include_seen,
        "among": table_files.items(args.among) if args.among else None,
        "without": table_files.items(args.without) if args.without else None,
        "strict": args.strict,
    }
    if args.all:
        return _everybody(bundle, args, chosen)
    frame = bundle.recommend(
        **_people(args, table_files), **chosen, **steering(args), new_interests=args.new_interests
    )
    if frame.empty:
        raise UnknownNameError(
            "There is nothing to recommend: no user or item you gave is in the bundle, or no candidate is "
            "left."
        )
    if args.output:
        table_files.write(frame, args.output)
        print(f"{frame['user'].nunique():,} people, {len(frame):,} rows: {args.output}")
    else:
        print(table_files.shown(frame if frame["user"].nunique() != 1 else frame.drop(columns="user")))
    return 0


def _indexed(bundle, args):
    """The bundle with its index, after saying what it finds."""
    bundle = bundle.with_index(args.index)
    share, people = bundle.index_recall(args.top_k)
    print(f"index: {share:.1%} of the exact top {args.top_k} of {people:,} people found", file=sys.stderr)
    return bundle


def _people(args, table_files):
    if args.user:
        return {"users": args.user}
    if args.users:
        users = table_files.lines(args.users)
        if not users:
            raise SettingError(f"{args.users} names no user: write one a line.")
        return {"users": users}
    if args.items:
        items = [item.strip() for item in args.items.split(",") if item.strip()]
        if not items:
            raise SettingError("--items names no item: give item tokens with commas between them.")
        return {"histories": {"session": items}}
    return {"histories": table_files.sessions(args.sessions)}


def _everybody(bundle, args, chosen):
    from tqdm import tqdm

    with tqdm(unit=" users", disable=None, smoothing=0.1) as bar:

        def progress(done, total):
            bar.total = total
            bar.update(done - bar.n)

        users = bundle.recommend_all(
            Path(args.output), **chosen, overwrite=args.overwrite, progress=progress, engine=args.engine,
            workers=args.workers,
        )  # fmt: skip
    print(f"{users:,} users: {args.output}")
    return 0
