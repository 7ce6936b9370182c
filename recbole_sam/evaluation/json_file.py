"""JSON files that are there whole or not at all."""

import json


def write(path, content):
    """Writes a JSON file all at once, so that whoever finds it may believe it.

    Args:
        path (Path): replaced when it is there.
        content: what JSON can hold.
    """
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
