"""The check finds its phrases wherever people read them, and leaves code alone.

    python3 tests/words/test_check.py
"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import check  # noqa: E402

PHRASES = check.read_phrases()


def lines(name: str, source: str) -> list[int]:
    """The lines in which the check finds something."""
    return sorted({finding.line for finding in check.findings(Path(name), source, PHRASES)})


class Rust(unittest.TestCase):
    def test_doc_comments(self) -> None:
        self.assertEqual(lines("a.rs", "/// Mends the cause.\nfn f() {}\n"), [1])
        self.assertEqual(lines("a.rs", "//! A page.\n//!\n//! It waits for ever.\n"), [3])
        self.assertEqual(lines("a.rs", "fn f() {\n    // The record comes again.\n}\n"), [2])
        self.assertEqual(lines("a.rs", "/* what becomes of it */\n"), [1])

    def test_tables_and_lists_of_doc_comments(self) -> None:
        self.assertEqual(lines("a.rs", "/// | what | is |\n/// |---|---|\n/// | a | no JSON |\n/// | b | is no JSON |\n"), [4])
        self.assertEqual(lines("a.rs", "/// - It is\n/// - no key\n"), [])

    def test_strings(self) -> None:
        self.assertEqual(lines("a.rs", 'fn f() {\n    g("the payload is no JSON");\n}\n'), [2])
        self.assertEqual(lines("a.rs", 'fn f() {\n    g(r#"the "payload" is no JSON"#);\n}\n'), [2])
        self.assertEqual(lines("a.rs", "fn f() {\n    let (quote, text) = ('\"', \"the payload is no JSON\");\n}\n"), [2])

    def test_over_line_breaks(self) -> None:
        self.assertEqual(lines("a.rs", "/// The records behind\n/// the checkpoint become\n/// of no use.\n"), [1])
        self.assertEqual(lines("a.rs", 'f(\n    "the payload is \\\n     no JSON",\n);\n'), [2])
        self.assertEqual(lines("a.rs", 'f(\n    "all of it \\\n     is no JSON",\n);\n'), [3])

    def test_names_of_tests_but_no_other_names(self) -> None:
        self.assertEqual(lines("a.rs", "#[test]\nfn it_is_no_key() {}\n"), [2])
        self.assertEqual(lines("a.rs", "#[tokio::test(start_paused = true)]\nasync fn it_is_no_key() {}\n"), [2])
        self.assertEqual(lines("a.rs", "fn it_is_no_key(behind: Beside) { heed(anew) }\n"), [])

    def test_code_between_backticks(self) -> None:
        self.assertEqual(lines("a.rs", "/// The flag `behind`, and `is no`.\n"), [])

    def test_code_blocks_of_documentation(self) -> None:
        block = "/// ```\n/// // The record comes again.\n/// let Some(behind) = mend else { return };\n/// assert!(ok, \"it waits for ever\");\n/// ```\n"
        self.assertEqual(lines("a.rs", block), [2, 4])
        self.assertEqual(lines("a.rs", "/// ```text\n/// the payload is no JSON\n/// ```\n"), [2])

    def test_an_excuse(self) -> None:
        self.assertEqual(lines("a.rs", "// AWS writes `x` behind it. words: allow (a quotation)\n"), [])


class Others(unittest.TestCase):
    def test_typescript(self) -> None:
        self.assertEqual(lines("a.ts", "/**\n * What becomes of it.\n */\nconst behind = 1;\n"), [2])
        self.assertEqual(lines("a.ts", "test('a queue that is no queue', () => {});\n"), [1])
        self.assertEqual(lines("a.ts", "throw new Error(`${x} is no key`);\n"), [1])
        self.assertEqual(lines("a.ts", "const beside = besides ? mend : 'fine';\n"), [])

    def test_python(self) -> None:
        self.assertEqual(lines("a.py", '"""What becomes of it."""\nbehind = 1\n'), [1])
        self.assertEqual(lines("a.py", "# The record\n# comes again.\nmend(behind)\n"), [2])
        self.assertEqual(lines("a.py", 'x = f"{y} is no key"\n'), [1])
        self.assertEqual(lines("a.py", "def test_it_is_no_key():\n    pass\n"), [1])

    def test_markdown(self) -> None:
        self.assertEqual(lines("a.md", "# What becomes of a record\n\nA line\nthat is\nno key.\n"), [1, 4])
        self.assertEqual(lines("a.md", "| a | b |\n|---|---|\n| it is | no key |\n| it is no key | b |\n"), [4])
        self.assertEqual(lines("a.md", "```sh\nmend behind # the record comes again\n```\n"), [2])
        self.assertEqual(lines("a.md", "[behind](https://example.org/comes-to/behind)\n"), [1])
        self.assertEqual(lines("a.md", "[after](https://example.org/behind)\n"), [])

    def test_configuration(self) -> None:
        self.assertEqual(lines("Makefile", "help: ## What becomes of it\n"), [1])
        self.assertEqual(lines("a.toml", "# The queue behind it.\nname = 'a'\n"), [1])


class Phrases(unittest.TestCase):
    def test_each_has_samples_of_both_kinds(self) -> None:
        # `read_phrases` has tried them.
        self.assertGreater(len(PHRASES), 30)
        for phrase in PHRASES:
            self.assertTrue(phrase.bad and phrase.good, phrase.find.pattern)


if __name__ == "__main__":
    unittest.main()
