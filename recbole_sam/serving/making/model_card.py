"""``README.md`` of a bundle: a model card as Hugging Face reads it."""

import yaml

_USE = """\
## Use

With recbole-sam and pyarrow installed:

```python
import recbole_sam

bundle = recbole_sam.load("{folder}")
bundle.recommend(histories=[[{example}]], k=10)
```

    python -m recbole_sam recommend {folder} --items={words}

Loading reads no dataset, unpickles nothing and runs no code from this folder."""


def text(facts, items, folder):
    """The card.

    Args:
        facts (dict): of ``bundle.json``.
        items (sequence of str): item tokens for the example.
        folder (str): the bundle's name.

    Returns:
        str: YAML, then Markdown.
    """
    dataset, metrics = facts["dataset"], facts["metrics"]
    results = [
        {"type": name.lower().replace("@", "_at_"), "name": name, "value": value}
        for name, value in metrics["values"].items()
    ]
    head = {
        "library_name": "recbole-sam",
        "pipeline_tag": "other",
        "tags": ["recommendation", "sequential-recommendation", "recbole", facts["model"].lower()],
        "model-index": [
            {
                "name": f"{facts['model']} on {dataset['name']}",
                "results": [
                    {
                        "task": {"type": "sequential-recommendation", "name": "Next item"},
                        "dataset": {"type": dataset["name"], "name": dataset["name"], "split": "test"},
                        "metrics": results,
                    }
                ],
            }
        ],
    }
    parts = [
        "---\n" + yaml.safe_dump(head, sort_keys=False, allow_unicode=True) + "---",
        f"# {facts['model']} on {dataset['name']}",
        f"A sequential recommender, trained with recbole-sam {facts['versions']['recbole_sam']} for RecBole "
        f"{facts['versions']['recbole']}.",
        _rows("Data", _data(facts)),
        _rows("Result", _result(metrics)),
        _rows("Interests", _interests(facts.get("interests"))),
        _privacy(facts),
        _USE.format(folder=folder, example=", ".join(f'"{item}"' for item in items), words=",".join(items)),
        _rows("Versions", {name: str(version) for name, version in facts["versions"].items()}),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows(title, rows):
    if not rows:
        return ""
    return f"## {title}\n\n" + "\n".join(f"- **{name}**: {value}" for name, value in rows.items())


def _data(facts):
    dataset = facts["dataset"]
    rows = {
        "Dataset": dataset["card"] or dataset["name"],
        "Users, items": f"{dataset['users']:,} users, {dataset['items']:,} items",
        "Split": f"`{facts['settings']['eval_args'].get('split')}`, newest items held out",
    }
    if dataset["synthetic"]:
        rows["Synthetic"] = "made-up data: no number here is a result"
    return rows


def _result(metrics):
    rows = {name: f"{value:.4f}" for name, value in metrics["values"].items()}
    rows["Protocol"] = f"{metrics['samples']:,} test items, each ranked among all items"
    rows["Seed, epochs"] = f"{metrics['seed']}, best of {metrics['epochs']} epochs on validation"
    return rows


def _interests(made):
    if made is None:
        return None
    generator = made["generator"] or {}
    rows = {"Generator": generator.get("name", "unknown")}
    if generator.get("model"):
        rows["Language model"] = generator["model"]
    rows["Cost"] = made["cost"] or "nothing: no language model was asked"
    if made["encoder"]:
        rows["Text encoder"] = made["encoder"].get("model") or made["encoder"]["name"]
    return rows


def _privacy(facts):
    if facts["users"]:
        return (
            f"## Personal data\n\nThis bundle holds {facts['users']['count']:,} users with their whole "
            "histories: **do not publish it.** Without `--with-users` a bundle holds no users."
        )
    return (
        "## Personal data\n\nThis bundle holds no users: neither tokens, histories nor interests, and "
        "vectors of users are replaced by their mean."
    )
