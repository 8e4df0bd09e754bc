"""The check of links finds what is broken, and only that: python3 -m unittest discover tests/links"""

import tempfile
import unittest
from pathlib import Path

import check


class Markdown(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.page = Path(folder.name).resolve() / "page.md"
        self.page.write_text("# One `word`, twice\n\n# One `word`, twice\n\n```sh\n# no heading\n```\n")
        (self.page.parent / "other.md").write_text("## The other\n")

    def test_links_are_found_where_they_are_written(self) -> None:
        text = "[a](b.md) ![picture](c.svg) [`code`](d.md#e) `[no](link)`\n\n```\n[no](link)\n```\n\n[x]: f.md\n"
        self.assertEqual(list(check.markdown_links(text)), ["b.md", "c.svg", "d.md#e", "f.md"])

    def test_what_is_there_is_no_fault(self) -> None:
        for link in ("other.md", "other.md#the-other", "#one-word-twice", "#one-word-twice-1", ".", "https://docs.rs/x#y", "mailto:a@b.c"):
            self.assertIsNone(check.fault_of_markdown(self.page, link), link)

    def test_what_is_missing_is_a_fault(self) -> None:
        for link in ("another.md", "other.md#another", "#no-heading", "#one-word-twice-2", "https://nowhere", "gopher://x.y"):
            self.assertIsNotNone(check.fault_of_markdown(self.page, link), link)


class Rendered(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.page = Path(folder.name).resolve() / "index.html"
        self.page.write_text('<a href="guide/index.html#here">x</a><img src="p.svg"><h2 id="top"></h2><h3 id="impl-A%3CT%3E"></h3>')
        (self.page.parent / "guide").mkdir()
        (self.page.parent / "guide" / "index.html").write_text('<h2 id="here"></h2>')

    def test_links_and_pictures_are_found(self) -> None:
        self.assertEqual(check.page(self.page).links, ["guide/index.html#here", "p.svg"])

    def test_what_is_there_is_no_fault(self) -> None:
        for link in ("guide/index.html", "guide/", "guide/index.html#here", "#top", "#impl-A%3CT%3E", "https://docs.rs/"):
            self.assertIsNone(check.fault_of_page(self.page, link), link)

    def test_what_is_missing_is_a_fault(self) -> None:
        for link in ("other/index.html", "guide/index.html#there", "#bottom"):
            self.assertIsNotNone(check.fault_of_page(self.page, link), link)


if __name__ == "__main__":
    unittest.main()
