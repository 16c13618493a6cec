"""The pages of the documentation."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("guide/*.md")])

sys.path.insert(0, str(DOCS / "_ext"))


def text_of(path):
    """Text of a page."""
    return path.read_text(encoding="utf-8")


def name_of(path):
    """Path of a page below the root, for names of tests."""
    return path.relative_to(ROOT).as_posix()
