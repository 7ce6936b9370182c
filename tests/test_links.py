"""Links of the pages lead somewhere, pages keep their limits, and settings tables can be made."""

import importlib.util
import re

import pytest
from conftest import ROOT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "benchmarks/details/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
CODE = re.compile(r"```.*?```|^ {4}.*$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them (set of str)."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_aligned_columns_stand_in_code_blocks(page):
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    assert not re.findall(r"^.*\S {3,}\S.*$", text, re.MULTILINE)


def test_the_readme_is_one_screen():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120 and len(text.split()) < 900


def test_the_changelog_is_short():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = text[text.index("## 0.1.0") :].strip().splitlines()
    assert len(entries) <= 20


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "models").glob("*.md")), ids=lambda page: page.stem)
def test_every_setting_has_a_row(page):
    spec = importlib.util.spec_from_file_location("settings_hook", ROOT / "docs" / "hooks" / "settings.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    for name in hook.MARK.findall(page.read_text(encoding="utf-8")):
        text = hook.yaml_file(name).read_text(encoding="utf-8")
        keys = re.findall(r"^(\w+):", text, re.MULTILINE)
        rows = hook.table(text)
        assert keys and all(f"| `{key}` |" in rows for key in keys)


def test_every_model_has_a_page():
    models = {path.stem for path in (ROOT / "properties" / "model").glob("*.yaml") if "-" not in path.stem}
    assert {name.lower() for name in models} == {
        page.stem for page in (ROOT / "docs" / "models").glob("*.md") if page.stem != "index"
    }
