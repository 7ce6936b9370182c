"""Settings tables from the YAML files, where a page has ``<!-- settings NAME -->``.

Every line of ``properties/model/NAME.yaml`` (or ``properties/NAME.yaml``) reads ``key: value  # (type)
meaning``.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"^<!-- settings (\S+) -->$", re.MULTILINE)
LINE = re.compile(r"^(\w+): +(.*?) +# \(([^)]+)\) (.*)$")


def on_page_markdown(markdown, page, config, files):
    """Puts the tables in."""
    return MARK.sub(lambda found: table(yaml_file(found[1]).read_text(encoding="utf-8")), markdown)


def yaml_file(name):
    """The YAML of a model, or of a part of the plugin (pathlib.Path)."""
    model = ROOT / "properties" / "model" / f"{name}.yaml"
    return model if model.exists() else ROOT / "properties" / f"{name}.yaml"


def table(text):
    """The settings of a YAML file as a Markdown table (str).

    Args:
        text (str): of the file.

    Raises:
        ValueError: a line sets something without saying what it means.
    """
    rows = ["| setting | default | type | meaning |", "|---|---|---|---|"]
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = LINE.match(line)
        if found is None:
            raise ValueError(f"no `key: value  # (type) meaning`: {line}")
        key, value, kind, meaning = (part.replace("|", "\\|") for part in found.groups())
        rows.append(f"| `{key}` | {'none' if value == '~' else f'`{value}`'} | {kind} | {meaning} |")
    return "\n".join(rows) + "\n"
