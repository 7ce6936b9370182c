"""``python -m recbole_sam similar``: what is near an item?"""


def add_parser(subparsers, help):
    """Adds the subcommand ``similar``."""
    parser = subparsers.add_parser(
        "similar", help=help, description="Lists the items nearest to an item.", allow_abbrev=False
    )
    add = parser.add_argument
    add("bundle", help="a folder made by `python -m recbole_sam bundle`")
    add("--item", action="append", required=True, metavar="ITEM", help="may be repeated")
    add("--by", default="model", metavar="WHAT", help="model or text (default: %(default)s)")
    add("--top-k", type=int, default=10, metavar="K", help="default: %(default)s")
    add("--output", metavar="FILE", help="ends in .parquet, .csv or .jsonl")
    add("--overwrite", action="store_true", help="replace the output")
    return parser


def run(args):
    """Prints or writes the nearest items.

    Args:
        args (argparse.Namespace): as :func:`add_parser` defines it.

    Returns:
        int: 0.

    Raises:
        RecBoleSAMError: one sentence on what is wrong.
    """
    from recbole_sam.serving import table_files
    from recbole_sam.serving.bundle import Bundle

    if args.output:
        table_files.check_free(args.output, args.overwrite)
    frame = Bundle(args.bundle).similar(args.item, args.top_k, args.by)
    if args.output:
        table_files.write(frame, args.output)
        print(f"{len(frame):,} rows: {args.output}")
    else:
        print(table_files.shown(frame if len(set(args.item)) > 1 else frame.drop(columns="item")))
    return 0
