"""Finds the phrases of phrases.toml in all that people read: docs, comments, messages, and the names of tests.

    python3 tests/words/check.py            # every file that git tracks
    python3 tests/words/check.py README.md  # only these
    python3 tests/words/check.py --count    # how many there are, by phrase

It reads the comments and strings of Rust, TypeScript and Python, the names of their tests, and the whole of every other file. Of the
code blocks in documentation it reads the comments and strings. Names in code, and what is between backticks, are left alone. A line may be excused
with a reason: `words: allow (reason)`. `test_check.py` has an example of each.
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
# Generated files, licences, what the compiler says, and these phrases.
SKIPPED = re.compile(r"(^|/)(LICENSE|node_modules/|[\w-]*\.lock$|package-lock\.json$)|\.(svg|link|snap|stderr)$|^tests/words/")
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


# A comment or a literal of Rust or TypeScript, whichever comes first. Characters and lifetimes come before strings, so the quote in
# `'"'` opens none.
CODE = r"""
    (?P<comment> // [^\n]* (?: \n [\t ]* // [^\n]* )* | /\* .*? \*/ )
  | (?P<character> %s )
  | (?P<raw> \b b? r (?P<hashes> \#* ) " (?P<raw_text> .*? ) " (?P=hashes) (?! \#) )
  | (?P<text> " (?: \\ . | [^"\\] )* " | ` (?: \\ . | [^`\\] )* ` )
  | (?P<test> \#\[ (?: \w+ :: )? test \b [^\]]* \] (?: \s | \#\[ [^\]]* \] )* (?: async \s+ )? fn \s+ (?P<test_name> \w+ ) )
"""
CHARACTER = r"' (?: \\ [^\n] [^'\n]{0,8} | [^'\\\n] ) '"
SINGLE_QUOTED = r"' (?: \\ . | [^'\\\n] )* '"
RUST = re.compile(CODE % CHARACTER, re.VERBOSE | re.DOTALL)
TYPESCRIPT = re.compile(CODE % SINGLE_QUOTED, re.VERBOSE | re.DOTALL)


def of_code(source: str, pattern: re.Pattern[str], first_line: int = 1) -> Iterator[Text]:
    for match in pattern.finditer(source):
        line = first_line + source.count("\n", 0, match.start())
        if match["comment"]:
            lines = (re.sub(r"^\s*(/\*+|//[/!]?|\*+/?)|\*/$", "", text) for text in match["comment"].split("\n"))
            yield from of_prose("\n".join(lines), line)
        elif match["test"]:
            yield Text(line + match[0].count("\n"), match["test_name"].replace("_", " "))
        elif match["character"] is None or pattern is TYPESCRIPT:
            words = match["raw_text"] if match["raw"] else match[0][1:-1]
            # Of a line break that is escaped, the space before it stays, so that the lines can be counted.
            yield Text(line, re.sub(r"\\(\n)[ \t]*|\\[nt]", r" \1", words))


def of_python(source: str, first_line: int = 1) -> Iterator[Text]:
    comment: list[str] = []
    begin = first_line
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        yield from of_prose(source, first_line)
        return
    for token in tokens:
        line = first_line + token.start[0] - 1
        if token.type == tokenize.COMMENT:
            if not comment or line != begin + len(comment):
                yield from of_prose("\n".join(comment), begin)
                comment, begin = [], line
            comment.append(token.string.lstrip("# "))
        elif token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            yield from of_prose(token.string, line)
        elif token.type == tokenize.NAME and token.string.startswith("test_"):
            yield Text(line, token.string.replace("_", " "))
    yield from of_prose("\n".join(comment), begin)


# What begins a paragraph: a phrase may span a line break, but not two paragraphs, rows of a table or items of a list.
BEGINS = re.compile(r"\s*([-*|#>]\s|[|>]|\d+\.\s|```)")
FENCE = re.compile(r"\s*```(?P<language>\w*)")


def of_prose(source: str, first_line: int = 1) -> Iterator[Text]:
    paragraph: list[str] = []
    begin = first_line
    fence: list[str] | None = None
    language = ""
    for number, line in enumerate([*source.split("\n"), ""], first_line):
        if fence is not None:
            if FENCE.match(line):
                yield from of_block(language, "\n".join(fence), number - len(fence))
                fence = None
            else:
                fence.append(line)
            continue
        if paragraph and (not line.strip() or BEGINS.match(line)):
            yield from of_paragraph(paragraph, begin)
            paragraph = []
        if opens := FENCE.match(line):
            fence, language = [], opens["language"]
        elif line.strip():
            if not paragraph:
                begin = number
            paragraph.append(line)
    if fence:
        yield from of_block(language, "\n".join(fence), first_line + source.count("\n") + 1 - len(fence))


def of_paragraph(lines: list[str], begin: int) -> Iterator[Text]:
    if lines[0].lstrip().startswith("|"):
        # The `|` of a closure or a type is between backticks, or escaped.
        yield from (Text(begin, cell) for cell in re.split(r"(?<!\\)\|", lines[0]))
    else:
        yield Text(begin, "\n".join(lines))


def of_block(language: str, source: str, first_line: int) -> Iterator[Text]:
    """A code block of documentation. One without a language is Rust, as in rustdoc."""
    if language in ("text", "console", "markdown"):
        yield from of_prose(source, first_line)
    elif language in ("ts", "typescript", "js", "javascript"):
        yield from of_code(source, TYPESCRIPT, first_line)
    elif language in ("python", "py"):
        yield from of_python(source, first_line)
    elif language in ("sh", "bash", "toml", "yaml", "yml", "json"):
        for number, line in enumerate(source.split("\n"), first_line):
            if comment := re.search(r"(?:^|\s)#\s(.*)", line):
                yield Text(number, comment[1])
    else:
        yield from of_code(source, RUST, first_line)


def texts(path: Path, source: str) -> Iterator[Text]:
    if path.suffix == ".rs":
        return of_code(source, RUST)
    if path.suffix in (".ts", ".mts", ".mjs", ".js"):
        return of_code(source, TYPESCRIPT)
    if path.suffix == ".py":
        return of_python(source)
    return of_prose(source)


def plain(words: str) -> str:
    """In lower case, and without the names between backticks and the addresses: `x` keeps their place."""
    return re.sub(r"`[^`\n]*`|https?://[^\s)>]*", lambda name: "x" * len(name[0]), words).lower().replace("\n", " ")


def findings(path: Path, source: str, phrases: list[Phrase]) -> Iterator[Finding]:
    lines = source.split("\n")
    for text in texts(path, source):
        # With one space for each break and its indentation, a phrase is found over the lines.
        lined = re.sub(r"[ \t]*\n[ \t]*", "\n", text.words)
        words = plain(lined)
        for phrase in phrases:
            for match in phrase.find.finditer(words):
                line = text.line + lined.count("\n", 0, match.start())
                if EXCUSE not in lines[line - 1]:
                    around = lined[max(0, match.start() - 30) : match.end() + 30].replace("\n", " ").strip()
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
