"""Follows every link inside of this repository: of its Markdown files, and of the rendered documentation.

    python3 tests/links/check.py                # the Markdown files that git tracks
    python3 tests/links/check.py target/doc     # and the pages below it, as `make docs` renders them

A link must lead to a file that is there, and its fragment to a heading or an id in it. What leads outside is only checked for its form.
"""

import html.parser
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Iterator
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent
# Pages of the rustdoc link to items, which rustdoc resolves itself; `[words]: file` at the end is for readers of the repository.
GUIDE = Path("src/docs")
INLINE = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
FENCE = re.compile(r"^(\s*)(```+|~~~+)[^\n]*\n.*?^\1\2\s*$", re.MULTILINE | re.DOTALL)


def markdown_links(text: str) -> Iterator[str]:
    text = re.sub(r"`[^`\n]*`", "``", FENCE.sub("", text))
    for pattern in (INLINE, DEFINITION):
        yield from pattern.findall(text)


def slug(heading: str) -> str:
    """The id that GitHub gives a heading."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@cache
def markdown_ids(path: Path) -> frozenset[str]:
    text = FENCE.sub("", path.read_text())
    ids: set[str] = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in HEADING.findall(text):
        plain = slug(heading)
        number = 0
        while (unique := plain if number == 0 else f"{plain}-{number}") in ids:
            number += 1
        ids.add(unique)
    return frozenset(ids)


class Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.add(values["id"] or "")
        for name in ("href", "src"):
            if values.get(name) and tag in ("a", "img"):
                self.links.append(values[name] or "")


@cache
def page(path: Path) -> Page:
    return Page(path.read_text())


def is_outside(link: str) -> bool:
    return bool(urlsplit(link).scheme or link.startswith("//"))


def fault_of_outside(link: str) -> str | None:
    parts = urlsplit(link)
    if parts.scheme in ("mailto", "data", "javascript"):
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "." not in parts.hostname:
        return "is not an address on the web"
    return None


def fault_of_markdown(source: Path, link: str) -> str | None:
    if is_outside(link):
        # An item's path, such as `crate::Bulk`: rustdoc resolves it.
        return None if re.match(r"\w+::", link) else fault_of_outside(link)
    parts = urlsplit(link)
    target = source if not parts.path else (source.parent / unquote(parts.path)).resolve()
    if not target.exists():
        return "leads to a file that is not there"
    if parts.fragment and target.suffix == ".md" and unquote(parts.fragment) not in markdown_ids(target):
        return "leads to a heading that is not there"
    return None


def fault_of_page(source: Path, link: str) -> str | None:
    parts = urlsplit(link)
    if parts.path and not parts.path.endswith((".html", "/")) or "::" in link:
        # Docs that rustdoc copies from other crates refer to items of those.
        return fault_of_outside(link) if parts.scheme in ("http", "https") else None
    if is_outside(link):
        return fault_of_outside(link)
    target = source if not parts.path else (source.parent / unquote(parts.path)).resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return "leads to a page that is not there"
    fragment = parts.fragment
    # Lines of a source, `#12-30`, are made by a script.
    if fragment and target.suffix == ".html" and not re.fullmatch(r"[\d\-,]+", fragment) and not {fragment, unquote(fragment)} & page(target).ids:
        return "leads to a section that is not there"
    return None


def tracked_markdown() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard", "*.md"], cwd=ROOT, check=True, capture_output=True
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def rendered(folder: Path) -> list[Path]:
    """The pages of the crates, without rustdoc's own, which link to an index of all crates that may not be there."""
    skipped = {"src", "static.files", "trait.impl", "type.impl", "help.html", "settings.html"}
    pages = [path for path in folder.rglob("*.html") if not skipped & set(path.relative_to(folder).parts)]
    assert pages, f"{folder} has no pages: run `make docs`"
    return pages


def main(arguments: list[str]) -> int:
    links = 0
    faults = []
    for path in tracked_markdown():
        in_guide = path.relative_to(ROOT).is_relative_to(GUIDE)
        for link in markdown_links(path.read_text()):
            # In the guide, items and pages (`[x](Bulk)`, `[x](faq#why)`) and sections (`#…`) are rustdoc's.
            if in_guide and ("::" in link or re.fullmatch(r"[\w!()]*(#.*)?", link)):
                continue
            links += 1
            if fault := fault_of_markdown(path, link):
                faults.append(f"{path.relative_to(ROOT)}: {link} {fault}")
    for folder in arguments:
        for path in rendered(Path(folder).resolve()):
            for link in page(path).links:
                links += 1
                if fault := fault_of_page(path, link):
                    faults.append(f"{path}: {link} {fault}")
    print(*sorted(set(faults)), sep="\n")
    print(f"{links} links followed, {len(set(faults))} broken")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
