"""Pages and pictures from outside ``docs/`` on the site, and links that work in both places.

Links in Markdown are written for the repository (``../benchmarks/accuracy.md``), so that they work there. The
benchmark pages, CONTRIBUTING.md and CHANGELOG.md are pages of the site too. A link to any other file of the
repository (``../properties/llm.yaml``) becomes its path as text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/*.md", "benchmarks/details/*.md")
PICTURES = ("benchmarks/compare/*/figures/*.png",)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
CODE = re.compile(r"^(?:```.*?^```| {4}[^\n]*)", re.DOTALL | re.MULTILINE)


def on_files(files, config):
    """Adds what :data:`PAGES` and :data:`PICTURES` name, at its path in the repository."""
    for pattern in PAGES + PICTURES:
        for path in sorted(ROOT.glob(pattern)):
            uri = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links of the repository into links of the site."""
    source = page.file.src_uri
    inside = page.file.generated_by is None
    home = posixpath.dirname(posixpath.join("docs", source) if inside else source)
    return outside_code(markdown, lambda text: LINK.sub(lambda found: link(found, home, source, files), text))


def link(found, home, source, files):
    """One link, rewritten.

    Args:
        found (re.Match): of :data:`LINK`.
        home (str): the page's folder in the repository.
        source (str): the page's path on the site.
        files (mkdocs.structure.files.Files): of the site.

    Raises:
        FileNotFoundError: the repository has no such file.
    """
    picture, text, target, anchor = found[1], found[2], found[3], found[4] or ""
    if not target or "://" in target or target.startswith("mailto:"):
        return found[0]
    path = posixpath.normpath(posixpath.join(home, target))
    if not (ROOT / path).exists():
        raise FileNotFoundError(f"{source} links to {target}, which is not in the repository")
    uri = path.removeprefix("docs/")
    if files.get_file_from_path(uri):
        relative = posixpath.relpath(uri, posixpath.dirname(source) or ".")
        return f"{picture}[{text}]({relative}{anchor})"
    return text if path in text else f"{text} (`{path}`)"


def outside_code(markdown, change):
    """The text with ``change`` applied to everything but code blocks."""
    parts, last = [], 0
    for block in CODE.finditer(markdown):
        parts += [change(markdown[last : block.start()]), block[0]]
        last = block.end()
    return "".join([*parts, change(markdown[last:])])
