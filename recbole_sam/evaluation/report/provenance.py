"""Where the numbers come from: what every output of a comparison carries."""

from recbole_sam.prepare.card import card_line

SYNTHETIC = "SYNTHETIC DATA: a made-up sample; no number here is a result."


def lines(results):
    """What was compared, how, where, and how to read it.

    Args:
        results (Results): the comparison.

    Returns:
        list of tuple: a heading and its text, both str.
    """
    run = results.run
    told = [("Data", dataset(run)), ("Split", split(run))]
    told += [(name, text) for name, text in protocols(run).items() if name in results.protocols]
    told += [
        ("Seeds", seeds(results)),
        ("Budget", budget(run)),
        ("Versions", ", ".join(f"{name} {number}" for name, number in run["versions"].items())),
        ("Machine", f"{run['machine']}; {run['date']}"),
        ("How to read", reading(results)),
        ("Command", run["command"]),
    ]
    return [("Attention", SYNTHETIC), *told] if run["synthetic"] else told


def dataset(run):
    """What the data is, in a line: its card, or its counts where it has none."""
    if run["card"]:
        return card_line(run["card"])
    counts = f"{run['users']:,} users, {run['items']:,} items, {run['interactions']:,} interactions"
    return f"{run['dataset']}: {counts}; no card, so where it comes from is unknown"


def split(run):
    """How the data was split, and what the models see of it."""
    window = f"histories of the newest {run['history_length']} items"
    return f"{run['split']}; {window}; {run['test_users']:,} test users"


def protocols(run):
    """What each protocol ranks, a dict of str."""
    return {
        "full": f"the target among all {run['items']:,} items; RecBole masks no seen item here",
        "uni100": "the target among 100 uniform negatives, drawn once by RecBole's sampler, the same for "
        "all models and seeds; the model is the one that was best on validation in full ranking. Not "
        "comparable with full ranking",
    }


def seeds(results):
    """Which training seeds there are; and that one seed says little."""
    numbers = ", ".join(map(str, sorted({trial["seed"] for trial in results.done()})))
    alone = f"one seed each ({numbers}): how much training varies is not known"
    return numbers if _several(results) else alone


def budget(run):
    """What training every model was allowed."""
    allowed = run["budget"]
    every = "after every epoch" if allowed["eval_step"] == 1 else f"every {allowed['eval_step']} epochs"
    own = "each model's own YAML, not tuned here"
    tuned = f"{allowed['tuning']} tuning trials a model on validation" if allowed["tuning"] else own
    return (
        f"the same for all: at most {allowed['epochs']} epochs, validation {every} on "
        f"{run['valid_metric'].upper()} with patience {allowed['stopping_step']}; {tuned}"
    )


def reading(results):
    """How the tables are to be read."""
    several = _several(results)
    deviation = "± is the standard deviation over seeds; " if several else ""
    chance = "by chance of users and of seeds" if several else "by chance of users alone"
    return (
        f"{deviation}intervals are 95 % bootstrap intervals over users; * marks the best model where it is "
        f"significantly better than the next (t-test, {chance}, users paired, Holm-corrected over all "
        "pairs of models, p < .05)."
    )


def _several(results):
    """bool: whether any model has more than one seed."""
    return len(results.done()) > len(results.models())
