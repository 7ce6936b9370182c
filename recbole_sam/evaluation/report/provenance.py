"""Where the numbers come from: what every output of a comparison carries."""

from recbole_sam.evaluation.ranking.protocols import CHOOSING, NAMES
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
    told += [(name, text) for name, text in protocols(results).items() if name in results.protocols]
    told += [
        ("Seeds", seeds(results)),
        ("Budget", budget(results)),
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
    drawn = ", drawn by a fixed seed (eval_users)" if run.get("given", {}).get("eval_users") else ""
    return f"{run['split']}; {window}; {run['test_users']:,} test users{drawn}"


def protocols(results):
    """What each protocol ranks, a dict of str."""
    run, chosen = results.run, f"the model is the one that was best on validation in {chooser(results)}"
    left_out = f"{results.left_out():,} of {run['test_users']:,} targets"
    told = {
        "full": f"the target among all {run['items']:,} items; RecBole masks no seen item here",
        "masked": f"the target among all {run['items']:,} items but those of the user's whole history, for "
        f"every model; {left_out} repeat such an item and are left out",
        "uni100": "the target among 100 uniform negatives, drawn once by RecBole's sampler, the same for "
        f"all models and seeds; {chosen}. Not comparable with full ranking",
    }
    for name in CHOOSING:
        if name != results.chosen_by():
            told[name] += f"; {chosen}"
    return told


def chooser(results):
    """The ranking that chose the best epochs, in words (str)."""
    return NAMES[results.chosen_by()]


def seeds(results):
    """Which training seeds there are; and that one seed says little."""
    numbers = ", ".join(map(str, sorted({trial["seed"] for trial in results.done()})))
    alone = f"one seed each ({numbers}): how much training varies is not known"
    return numbers if _several(results) else alone


def budget(results):
    """What training every model was allowed."""
    run, allowed = results.run, results.run["budget"]
    masked = ""
    if results.chosen_by() == "masked":
        repeated, count = run["repeats"]["validation"]
        masked = f" in masked ranking ({repeated:,} of {count:,} targets left out)"
    every = "after every epoch" if allowed["eval_step"] == 1 else f"every {allowed['eval_step']} epochs"
    own = "each model's own YAML, not tuned here"
    tuned = f"{allowed['tuning']} tuning trials a model on validation" if allowed["tuning"] else own
    return (
        f"the same for all: at most {allowed['epochs']} epochs, validation {every} on "
        f"{run['valid_metric'].upper()}{masked} with patience {allowed['stopping_step']}; {tuned}"
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
