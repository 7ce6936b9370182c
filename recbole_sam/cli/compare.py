"""``python -m recbole_sam compare``: many models, many seeds, one split, one table."""

import importlib.util
import shlex
import sys
from pathlib import Path

from recbole_sam.config import mistakes, yaml_files
from recbole_sam.errors import DataError, SettingError
from recbole_sam.evaluation import comparison, entries, json_file, plan, tuning
from recbole_sam.evaluation.ranking import protocols
from recbole_sam.evaluation.run_folder import RunFolder
from recbole_sam.evaluation.split import make_split
from recbole_sam.evaluation.statistics import groups, metrics, tables

FAILED = 1
NEEDED = ("rich", "matplotlib", "pyarrow")
SEEDS = "3"
TRAINING = ("models", "ablation", "seeds", "jobs", "devices", "tune", "ranges", "kept_in")
"""Options that say nothing to a run that is only drawn again."""


def add_parser(subparsers, help):
    """Adds the subcommand ``compare``, which takes any RecBole setting for all models as ``--key=value``."""
    parser = subparsers.add_parser(
        "compare",
        help=help,
        description="Trains every model with every seed through RecBole, ranks the same test items in the "
        "same candidate lists, and writes tables, plots and a page. Any setting of the run script, as "
        "--key=value, goes to all models. The same command goes on where it was stopped; with more models or "
        "seeds it adds them.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--models", help=f"names, or NAME:key=value for a setting of one (default: {entries.DEFAULT})")
    add(
        "--ablation",
        action="store_true",
        default=None,
        help="SAM against SAM without one part after another, in place of --models",
    )
    add("--seeds", metavar="N", help=f"how many, or which: 2020,2021 or 2020, (default: {SEEDS})")
    add(
        "--protocol",
        metavar="LIST",
        help="what is shown, and by what the best epoch is chosen, the first of full and masked "
        "(default: full,masked,uni100)",
    )
    add("--jobs", type=int, metavar="N", help="processes at a time (default: one a device)")
    add("--devices", metavar="LIST", help="GPU numbers such as 0,1, or cpu (default: what RecBole takes)")
    add("--tune", type=int, metavar="N", help="search each model's settings first, N trials on validation")
    add(
        "--ranges",
        metavar="FOLDER",
        help="own search ranges, FOLDER/MODEL.hyper (default: properties/tuning)",
    )
    add("--metric", metavar="M", help="of plots and group tables (default: the valid_metric)")
    add("--user-groups", metavar="N,N", help="largest histories of the user groups (default: quartiles)")
    add(
        "--item-groups",
        metavar="N,N",
        help="largest popularities of the item groups (default: head 20 %% and tail)",
    )
    add(
        "--run",
        dest="kept_in",
        metavar="FOLDER",
        help="where everything is kept (default: saved/compare/DATASET-KEY)",
    )
    add("--from", dest="redraw", metavar="FOLDER", help="tables and plots of a finished run, no training")
    add("--add", metavar="MODELS", help="with --from: train these too, under the settings of that run")
    parser.set_defaults(takes_settings=True)
    return parser


def run(args):
    """Compares, or redraws.

    Args:
        args (argparse.Namespace): as :func:`add_parser` defines it, and ``settings``.

    Returns:
        int: 0; 1 when a model that was asked for failed, which the tables then name with its reason.

    Raises:
        RecBoleSAMError: one sentence on what is wrong, before anything is trained.
    """
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise DataError(
                f"compare needs {package}, which is not installed: pip install {' '.join(NEEDED)}."
            )
    args.protocol = protocols.parse(args.protocol) if args.protocol is not None else None
    edges = {
        "users": groups.parse_edges(args.user_groups, "--user-groups") if args.user_groups else None,
        "items": groups.parse_edges(args.item_groups, "--item-groups") if args.item_groups else None,
    }
    if args.tune is not None and args.tune < 1:
        raise SettingError(f"--tune is the number of trials a model, from 1, not {args.tune}.")
    if args.redraw and (hindered := RunFolder(args.redraw).catch_up()):
        say(f"newer trials are left out: {hindered}")
    if args.redraw and not args.add:
        _check_redraw(args)
        return show(RunFolder(args.redraw), args, edges)
    if args.add:
        folder, given, chosen, seeds, trials = _finished(args)
    else:
        folder, given, trials = None, args.settings, args.tune
        if args.ablation and args.models:
            raise SettingError("--ablation says which models: leave out --models, or name them all there.")
        named = entries.DEFAULT if args.models is None else args.models
        models = entries.ABLATION if args.ablation else named
        chosen, seeds = entries.parse(models), plan.parse_seeds(args.seeds or SEEDS)
    folder = train(folder, given, chosen, seeds, trials, args)
    return show(folder, args, edges, {(entry.label, seed) for entry in chosen for seed in seeds})


def _check_redraw(args):
    given = [f"--{name.replace('kept_in', 'run')}" for name in TRAINING if getattr(args, name) is not None]
    for word in [*given, *(word for word in args.settings if not word.startswith("--topk="))]:
        raise SettingError(
            f"{word} cannot change a finished run: --from only draws it again, and --add trains."
        )


def _finished(args):
    """Folder, settings, entries, seeds and tuning of --add: those of the run, but for its models."""
    if not args.redraw:
        raise SettingError("--add extends a finished run: name it with --from=FOLDER.")
    twice = {"models": "--add", "ablation": "--add", "kept_in": "--from", "tune": "--from"}
    for name, instead in twice.items():
        if getattr(args, name) is not None:
            word = name.replace("kept_in", "run")
            raise SettingError(f"--{word} does not go with --add: {instead} says it already.")
    folder = RunFolder(args.redraw)
    before = folder.run()
    default = ("topk", plan.DEFAULTS["topk"])  # not a wish of the user's, so that he may have one
    words = [f"--{name}={value}" for name, value in before["given"].items() if (name, value) != default]
    for word in args.settings:
        name, _, value = word.removeprefix("--").partition("=")
        if before["given"].get(name, value) != value and (name, before["given"][name]) != default:
            raise SettingError(
                f"{word} cannot change a finished run: it has {name}={before['given'][name]}, which --add "
                "keeps."
            )
    seeds = {trial["seed"] for trial in folder.trials()}
    if not seeds and not args.seeds:
        raise SettingError(f"{folder.path} holds no trial that says which seeds: give --seeds=N.")
    seeds = plan.parse_seeds(args.seeds) if args.seeds else sorted(seeds)
    return folder, [*words, *args.settings], entries.parse(args.add), seeds, before["budget"]["tuning"]


def train(folder, words, chosen, seeds, trials, args):
    """Does everything of a comparison that is not done yet, and gathers it.

    Args:
        folder (RunFolder or None): None for ``--run``, or a folder whose name differs with the settings.
        words (list of str): settings for all.
        chosen (list of Entry): what is compared.
        seeds (list of int): training seeds.
        trials (int or None): tuning trials an entry.
        args (argparse.Namespace): for processes, devices and search ranges.

    Returns:
        RunFolder: with everything gathered.
    """
    where = comparison.workers(args.jobs, args.devices)
    ranges = _ranges(chosen, args.ranges) if trials else None
    before = folder.run().get("chosen_by") if args.add else None
    made, config = plan.make_plan(words, trials, before or protocols.chooser(args.protocol or ()))
    if args.metric:
        _check_metric(args.metric, made.topk)
    comparison.check(made, chosen)
    split = make_split(config)
    mistakes.check_topk(config, len(split.item_tokens))
    plan.check_validation(made, split)
    folder = folder or RunFolder(args.kept_in or Path("saved") / "compare" / f"{made.dataset}-{made.key}")
    labels, numbers = ", ".join(entry.label for entry in chosen), ", ".join(map(str, seeds))
    with folder.locked():
        say(f"comparing {labels} on {made.dataset}, seeds {numbers}; kept in {folder.path}")
        folder.begin(plan.describe(made, config, split, command()), split)
        failed = comparison.prepare_interests(made, chosen, say)
        tuned = {}
        try:
            if trials:
                able = [entry for entry in chosen if entry.label not in failed]
                tuned, untuned = comparison.tune(folder, made, able, seeds[0], trials, ranges, where, say)
                failed |= untuned
            for entry in chosen:
                if entry.label in failed:
                    say(f"{entry.label}: FAILED: {failed[entry.label]}")
                    comparison.fail(folder, entry, seeds, failed[entry.label])
            able = [entry for entry in chosen if entry.label not in failed]
            comparison.run_trials(folder, made, able, seeds, tuned, where, say)
        except KeyboardInterrupt:
            say("interrupted: finished trials are kept, and the same command goes on from here")
            raise
        finally:
            folder.gather()  # also after Ctrl-C: what is done can be looked at
    return folder


def _ranges(chosen, own):
    """The text of each entry's search ranges, by label."""
    if own is not None and not Path(own).is_dir():
        raise SettingError(f"--ranges is a folder of <Model>.hyper files; {own} is none.")
    ranges = {}
    for entry in chosen:
        candidates = [Path(own) / f"{entry.model}.hyper"] if own else []
        candidates.append(yaml_files.tuning_file(entry.model))
        file = next((file for file in candidates if file.is_file()), None)
        if file is None:
            raise SettingError(
                f"there are no search ranges for {entry.model} ({candidates[0]} is missing): write them as "
                "RecBole's params_file and name their folder with --ranges=FOLDER, or leave out --tune."
            )
        try:
            ranges[entry.label] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"cannot read the search ranges in {file}: {error}.") from error
        tuning.open_ranges(file)  # now, and not in the process of the search
    return ranges


def show(folder, args, edges, wanted=()):
    """Tables on the terminal, files beside the run.

    Args:
        folder (RunFolder): gathered.
        args (argparse.Namespace): what is shown.
        edges (dict): of the groups, as ``--user-groups`` and ``--item-groups`` give them.
        wanted (collection of tuple): label and seed of the trials that were asked for.

    Returns:
        int: 1 when one of those failed, else 0.
    """
    from recbole_sam.evaluation import report
    from recbole_sam.evaluation.results import Results

    about, trials, ranks = folder.shown()
    if not len(ranks):
        reasons = "; ".join(f"{trial['model']}: {trial['reason']}" for trial in trials[:3])
        raise DataError(f"no trial in {folder.path} gave a result ({reasons}).")
    if args.redraw and not args.add and args.settings:
        about["topk"] = plan.parse_lengths(args.settings)
    chosen_by = about.get("chosen_by", protocols.DEFAULT)
    shown = _kept(args.protocol or protocols.in_order(chosen_by), ranks, folder)
    metric = args.metric or _main_metric(about)
    _check_metric(metric, about["topk"])
    ranks = ranks[ranks.protocol.isin(shown)]
    parts = [
        groups.everyone(ranks),
        *groups.user_groups(ranks, edges["users"]),
        *groups.item_groups(ranks, about["head_from"], edges["items"]),
    ]
    made = Results(
        about, trials, tables.summary(ranks, about["topk"], parts), tables.costs(trials), shown, metric
    )
    if hasattr(sys.stdout, "reconfigure"):  # a notebook's has not
        sys.stdout.reconfigure(errors="replace")  # a terminal without ± shows a ? instead of a traceback
    report.terminal.show(made)
    with json_file.writing(folder.path):
        files = report.write_all(made, folder.path)
    say(f"{len(files)} files in {folder.path}, among them {folder.path / 'report.html'}")
    failed = {(trial["model"], trial["seed"]) for trial in trials if trial["status"] == "failed"}
    return FAILED if failed & set(wanted) else 0


def _kept(asked, ranks, folder):
    """The protocols of those asked for of which there are ranks; says what is missing."""
    kept = set(ranks.protocol)
    for name in asked:
        if name not in kept:
            say(f"{folder.path} holds no ranks of the protocol {name}: its models were trained before those "
                "were kept, or it leaves every user out")  # fmt: skip
    shown = tuple(name for name in asked if name in kept)
    if not shown:
        raise DataError(f"nothing is left to show: name another --protocol, of {', '.join(sorted(kept))}.")
    return shown


def _main_metric(about):
    """The validation metric, at the longest list of --topk where it is not at another one's length."""
    metric = about["valid_metric"]
    shown = metric in metrics.names(about["topk"])
    return metric if shown else f"{metric.partition('@')[0]}@{max(about['topk'])}"


def _check_metric(metric, topk):
    names = metrics.names(topk)
    if metric not in names:
        raise SettingError(
            f"--metric is one of {', '.join(names)}, not '{metric}'; --topk says at which lengths."
        )


def command():
    """What the user typed, as one line that can be typed again."""
    return shlex.join(["python", "-m", "recbole_sam", *sys.argv[1:]])


def say(line):
    """One line of progress on standard output."""
    print(f"compare: {line}", flush=True)
