"""Finds the phrases of phrases.toml in all that people read: docs, comments, messages, and the names of tests.

    python3 tests/words/check.py            # every file that git tracks
    python3 tests/words/check.py README.md  # only these
    python3 tests/words/check.py --count    # how many there are, by phrase

Names in code, and what stands between backticks, are left alone. A line may be excused with its reason: `words: allow (reason)`.
"""

import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from pathlib import Path
from typing import Iterator, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Generated files, licences, and the history of what was released.
SKIPPED = re.compile(r"(^|/)(LICENSE|node_modules/|[\w-]*\.lock$|package-lock\.json$)|\.(svg|link|snap)$|^tests/words/")
EXCUSE = "words: allow ("


class Text(NamedTuple):
    """A stretch of prose, and the line that it begins in."""

    line: int
    words: str


class Phrase(NamedTuple):
    find: re.Pattern[str]
    instead: str
    bad: list[str]
    good: list[str]


class Finding(NamedTuple):
    path: Path
    line: int
    words: str
    phrase: Phrase


# A comment or a literal of Rust or TypeScript, whichever comes first. Characters and lifetimes come before texts, so that a quote in
# `'"'` opens none.
CODE = re.compile(
    r"""
    (?P<comment> // [^\n]* (?: \n [\t ]* // [^\n]* )* | /\* .*? \*/ )
  | (?P<character> ' (?: \\ [^\n] [^'\n]{0,8} | [^'\\\n] ) ' )
  | (?P<raw> \b b? r (?P<hashes> \#* ) " (?P<raw_text> .*? ) " (?P=hashes) (?! \#) )
  | (?P<text> " (?: \\ . | [^"\\] )* " | ` (?: \\ . | [^`\\] )* ` )
  | (?P<name> \b (?: fn | test ) [ ] (?P<test_name> \w+ ) )
    """,
    re.VERBOSE | re.DOTALL,
)
SINGLE_QUOTED = re.compile(r"' (?: \\ . | [^'\\\n] )* '", re.VERBOSE)


def of_code(source: str, single_quotes: bool) -> Iterator[Text]:
    pattern = CODE
    if single_quotes:
        # A text, not a character.
        pattern = re.compile(
            CODE.pattern.replace(r"""' (?: \\ [^\n] [^'\n]{0,8} | [^'\\\n] ) '""", SINGLE_QUOTED.pattern), CODE.flags
        )
    for match in pattern.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        if match["comment"]:
            lines = (re.sub(r"^\s*(/\*+|//[/!]?|\*+/?)|\*/$", "", text) for text in match["comment"].split("\n"))
            yield from of_prose("\n".join(lines), line)
        elif match["test_name"]:
            yield Text(line, match["test_name"].replace("_", " "))
        elif match["name"] is None:
            words = match["raw_text"] if match["raw"] else match[0][1:-1]
            yield Text(line, re.sub(r"\\\n\s*|\\[nt]", " ", words))


def of_python(source: str) -> Iterator[Text]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], token.string.lstrip("# "))
        elif token.type == tokenize.STRING:
            yield from of_prose(token.string, token.start[0])
        elif token.type == tokenize.NAME and token.string.startswith("test_"):
            yield Text(token.start[0], token.string.replace("_", " "))


def of_prose(source: str, first_line: int = 1) -> Iterator[Text]:
    """The paragraphs: a phrase may span a line break, but not two paragraphs, rows of a table or items of a list."""
    paragraph: list[str] = []
    begin = first_line
    for number, line in enumerate([*source.split("\n"), ""], first_line):
        begins = not line.strip() or re.match(r"\s*([-*|#>]|\d+\.|```)", line)
        if begins and paragraph:
            yield Text(begin, "\n".join(paragraph))
            paragraph = []
        if line.strip():
            if not paragraph:
                begin = number
            paragraph.append(line)


def texts(path: Path, source: str) -> Iterator[Text]:
    if path.suffix == ".rs":
        return of_code(source, single_quotes=False)
    if path.suffix in (".ts", ".mts", ".mjs", ".js"):
        return of_code(source, single_quotes=True)
    if path.suffix == ".py":
        return of_python(source)
    return of_prose(source)


def plain(words: str) -> str:
    """In lower case, and without the names between backticks: `x` keeps their place."""
    return re.sub(r"`[^`\n]*`", lambda name: "x" * len(name[0]), words).lower().replace("\n", " ")


def findings(path: Path, source: str, phrases: list[Phrase]) -> Iterator[Finding]:
    lines = source.split("\n")
    for text in texts(path, source):
        words = plain(text.words)
        for phrase in phrases:
            for match in phrase.find.finditer(words):
                line = text.line + text.words.count("\n", 0, match.start())
                if EXCUSE not in lines[line - 1]:
                    around = text.words[max(0, match.start() - 30) : match.end() + 30].replace("\n", " ").strip()
                    yield Finding(path, line, around, phrase)


def read_phrases() -> list[Phrase]:
    rules = tomllib.loads((HERE / "phrases.toml").read_text())["phrase"]
    phrases = [Phrase(re.compile(rule["find"]), rule["instead"], rule["bad"], rule["good"]) for rule in rules]
    for phrase in phrases:
        for sentence in phrase.bad:
            assert phrase.find.search(plain(sentence)), f"{phrase.find.pattern} does not find {sentence!r}"
        for sentence in phrase.good:
            assert not phrase.find.search(plain(sentence)), f"{phrase.find.pattern} finds {sentence!r}"
    return phrases


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    return [name for name in listed.stdout.decode().split("\0") if name and not SKIPPED.search(name)]


def main(arguments: list[str]) -> int:
    phrases = read_phrases()
    names = [argument for argument in arguments if argument != "--count"] or tracked()
    found: list[Finding] = []
    read = 0
    for name in names:
        try:
            source = (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        read += 1
        found += findings(Path(name), source, phrases)
    if "--count" in arguments:
        for phrase, count in Counter(finding.phrase.instead for finding in found).most_common():
            print(f"{count:5}  instead: {phrase}")
    else:
        for finding in found:
            print(f"{finding.path}:{finding.line}: … {finding.words} …\n    instead: {finding.phrase.instead}")
    print(f"{len(found)} phrases to say in plain English, in {read} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
