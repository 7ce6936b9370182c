"""The house rules: imports point downwards, rooms stay small, names mean one thing (docs/architecture.md)."""

import ast
import graphlib
from collections import Counter

import pytest
from conftest import ROOT

LAYERS = ("errors", "files", "folders", "page", "database", "version", "compat", "config", "llm", "prepare",
          "encoders", "data", "generators", "models", "registry", "when_imported", "interests", "serving",
          "evaluation", "run", "cli", "__main__")  # fmt: skip
"""From the ground up: a room may import what stands before it."""
NO_RECBOLE = ("files", "folders", "page", "database", "llm", "prepare", "encoders", "config.yaml_files",
              "evaluation.statistics")  # fmt: skip
MOST_FILES, MOST_SHARE = 14, 0.15


@pytest.fixture(scope="module")
def modules():
    """Module -> syntax tree."""
    found = {}
    for path in sorted((ROOT / "recbole_sam").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def imports(modules):
    """Module -> the modules of ours that it imports, also inside functions."""
    found = {}
    for name, tree in modules.items():
        of_module = found.setdefault(name, set())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "recbole_sam":
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    of_module.add(inner if inner in modules else node.module)
            elif isinstance(node, ast.Import):
                of_module.update(alias.name for alias in node.names if alias.name in modules)
    return found


def room(module):
    return module.split(".")[1] if "." in module else None


def test_no_import_runs_in_a_circle(imports):
    graphlib.TopologicalSorter({name: used - {name} for name, used in imports.items()}).prepare()


def test_no_import_runs_upwards(imports):
    upwards = [
        f"{name} imports {other}"
        for name, used in imports.items()
        for other in used
        if None not in (room(name), room(other)) and LAYERS.index(room(other)) > LAYERS.index(room(name))
    ]
    assert not upwards


def test_the_lower_rooms_know_nothing_of_recbole(modules):
    for name, tree in modules.items():
        if not name.removeprefix("recbole_sam.").startswith(NO_RECBOLE):
            continue
        for node in ast.walk(tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert "recbole" not in [one.partition(".")[0] for one in names], name


def test_rooms_are_small():
    lines, files = Counter(), Counter()
    for path in (ROOT / "recbole_sam").rglob("*.py"):
        lines[path.parent] += len(path.read_text(encoding="utf-8").splitlines())
        files[path.parent] += 1
    assert max(files.values()) <= MOST_FILES, files.most_common(1)
    assert max(lines.values()) <= MOST_SHARE * lines.total(), lines.most_common(1)


def test_a_files_name_means_one_thing():
    """A subcommand is called as what it calls."""
    rest = [path for path in (ROOT / "recbole_sam").rglob("*.py") if path.parent.name != "cli"]
    names = Counter(path.name for path in rest if path.name != "__init__.py")
    assert not {name for name, count in names.items() if count > 1}


def test_a_model_reads_in_a_sitting():
    assert len((ROOT / "recbole_sam/models/sam.py").read_text(encoding="utf-8").splitlines()) < 200
