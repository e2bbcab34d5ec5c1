"""Between docs/ as it stands on GitHub and the site.

Links that leave docs/: the files of the repository that they name become pages of the site.
On the site there is nothing above docs/, so `../benchmarks/NOTES.md` is shown under `repository/`:
Markdown as a page, other text as code, anything else as it is. A file that is not there is a dead
link, and fails the build.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<=\]\()(?!#|/|[a-z]+:)([^)#\s]+)")
IMAGE = re.compile(r'(<a [^>]*>)?<img [^>]*src="([^"]+)"[^>]*>')
LANGUAGES = {
    "": "text",
    ".cff": "yaml",
    ".csv": "text",
    ".json": "json",
    ".py": "python",
    ".sh": "bash",
    ".toml": "toml",
    ".txt": "text",
    ".yaml": "yaml",
    ".yml": "yaml",
}
NOT_SEARCHED = "---\nsearch:\n  exclude: true\n---\n"


def replace_links(markdown: str, replace: Callable[[str], str]) -> str:
    """Return `markdown` with `replace` of every relative link's target, outside blocks of code."""
    lines, in_code = [], False
    for line in markdown.split("\n"):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        lines.append(line if in_code else LINK.sub(lambda found: replace(found[1]), line))
    return "\n".join(lines)


def links_of(markdown: str) -> list[str]:
    """Return the targets that `replace_links` would replace."""
    found: list[str] = []

    def keep(link: str) -> str:
        found.append(link)
        return link

    replace_links(markdown, keep)
    return found


def named_file(link: str, source: Path) -> Path:
    """Return the file that `link` in the file `source` names; of a folder, its README."""
    path = Path(os.path.normpath(source.parent / unquote(link)))
    return path / "README.md" if path.is_dir() else path


def place(path: Path, docs: Path) -> str:
    """Return where the site has the file `path` of the repository, as one of its sources."""
    if path.is_relative_to(docs):
        return path.relative_to(docs).as_posix()
    shown = f"repository/{path.relative_to(ROOT).as_posix()}"
    return f"{shown}.md" if path.suffix in LANGUAGES else shown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files that pages link to, and those that these link to."""
    docs = Path(config.docs_dir)
    open_sources = [Path(str(page.abs_src_path)) for page in files.documentation_pages()]
    while open_sources:
        source = open_sources.pop()
        for path in (named_file(link, source) for link in links_of(source.read_text())):
            inside = path.is_relative_to(ROOT) and not path.is_relative_to(docs)
            if not inside or not path.is_file() or files.get_file_from_path(place(path, docs)):
                continue
            files.append(_shown(path, place(path, docs), config))
            if path.suffix == ".md":
                open_sources.append(path)
    return files


def _shown(path: Path, source: str, config: MkDocsConfig) -> File:
    """Return the file `path` of the repository as a file of the site."""
    name = path.relative_to(ROOT).as_posix()
    hidden = InclusionLevel.NOT_IN_NAV
    for_whom = f"*For those who want what a page rests on: `{name}`, a file of the repository.*"
    if path.suffix == ".md":
        title, _, rest = path.read_text().partition("\n")
        text = f"{NOT_SEARCHED}{title}\n\n{for_whom}\n{rest}"
    elif path.suffix in LANGUAGES:
        code = f"````{LANGUAGES[path.suffix]}\n{path.read_text().rstrip()}\n````\n"
        text = f"{NOT_SEARCHED}# {name}\n\n{for_whom}\n\n{code}"
    else:
        return File.generated(config, source, abs_src_path=str(path), inclusion=hidden)
    return File.generated(config, source, content=text, inclusion=hidden)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    docs = Path(config.docs_dir)
    here = page.file.src_uri
    source = docs / here
    if here.startswith("repository/"):
        source = ROOT / here.removeprefix("repository/")

    def on_site(link: str) -> str:
        path = named_file(link, source)
        if not path.is_relative_to(ROOT):
            return link
        return quote(os.path.relpath(place(path, docs), os.path.dirname(here)))

    return replace_links(markdown, on_site)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let a click on a figure show it in full size, and the search find no source code."""
    source = 'class="mkdocstrings-source"'
    html = html.replace(source, f"{source} data-search-exclude")
    return IMAGE.sub(lambda found: found[0] if found[1] else _linked(found), html)


def _linked(image: re.Match[str]) -> str:
    """Return an image as a link to itself."""
    return f'<a href="{image[2]}">{image[0]}</a>'
