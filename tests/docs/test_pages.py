"""The pages: links that lead somewhere, code that is run, names that exist."""

import inspect
import re
from urllib.parse import unquote

import pytest

from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder
from sk_dynint._names import HINTS
from tests.docs.conftest import DOCS, PAGES, ROOT, name_of, text_of

EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=name_of)


def blocks_of(text):
    """Language, code and the text before each fenced block."""
    pattern = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for match in pattern.finditer(text):
        yield match[1], match[2], text[: match.start()].rstrip()


def without_code(text):
    """A page without its fenced blocks and code in lines."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`", "code", text)


def anchors_of(path):
    """Anchors of the headings of a Markdown page."""
    text = re.sub(r"^```.*?^```$", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links_of(page):
    """Targets of the links of a page that stay in the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(page)))
    return [unquote(t) for t in targets if not re.match(r"[a-z]+:", t)]


@EVERY_PAGE
def test_links_lead_somewhere(page):
    for target in links_of(page):
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors_of(path), target


def test_links_are_found():
    assert len(links_of(ROOT / "README.md")) > 15
    assert "a-kernel" in anchors_of(DOCS / "extending.md")


def test_pages_for_language_models_exist():
    targets = re.findall(r"\]\((.+?)\.html\)", text_of(DOCS / "llms.txt"))
    sources = {p.relative_to(DOCS).with_suffix("").as_posix() for p in PAGES if p != PAGES[0]}
    assert len(targets) == len(set(targets))
    assert set(targets) - {"api/index", "gallery/index"} <= sources
    assert sources - set(targets) == {"index", "evidence", "development"}


@EVERY_PAGE
def test_code_is_run_or_says_that_it_is_not(page):
    """`>>>` blocks are doctests; others are commands of a shell, or the text says "not run"."""
    for language, code, before in blocks_of(text_of(page)):
        if language.startswith("{"):
            continue
        if language == "python":
            assert code.startswith(">>>")
            assert code.endswith("\n\n"), "a blank line ends what doctest expects"
        elif language == "bash" or (language in ("", "text") and code.startswith("python -m ")):
            continue
        else:
            assert language == "text"
            assert "not run" in before.rpartition("\n\n")[2], code


def test_blocks_of_readme_that_ci_runs():
    """`.ci/run` runs the first two as they are."""
    shell = [
        code for language, code, _ in blocks_of(text_of(ROOT / "README.md")) if language == "bash"
    ]
    assert "pip install" in shell[0]
    assert "examples/01_quickstart.py" in shell[0]
    assert '".[test]"' in shell[1]
    assert "pytest" in shell[1]


# ------------------------------------------------------------------------ names of other libraries


def rows_of(page):
    """Cells of the first two columns of the tables of a page."""
    for line in text_of(page).splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("| ").split("|")[:2]]


PAIRS = list(rows_of(DOCS / "coming_from.md"))
PARAMETERS = {
    *inspect.signature(DynIntClassifier).parameters,
    *inspect.signature(BaselineClassifier).parameters,
}
FIT = set(inspect.signature(DynIntClassifier.fit).parameters)
ENCODER = {f"encoder__{name}" for name in inspect.signature(FieldEncoder).parameters}
METHODS = {name for name in dir(DynIntClassifier) if not name.startswith("_")}
FITTED = set(re.findall(r"^    (\w+_) : ", DynIntClassifier.__doc__, re.MULTILINE))


THEIR_METHODS = {"save_model", "load_model"}


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_our_names_exist(theirs, ours):
    names = re.findall(r"`([^`]+)`", re.sub(r"{py:\w+}`.+?`", "", ours))
    for name in names:
        if arguments := re.fullmatch(r"fit\((.+)\)", name):
            assert {a.strip().rstrip("=") for a in arguments[1].split(",")} <= FIT
        else:
            assert name in PARAMETERS | ENCODER | METHODS | FITTED | {"DynIntClassifier"}, name


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_their_parameters_are_answered(theirs, ours):
    """Whoever gives one to our classifiers is told what it is called."""
    if ours in ("—", "") or ours.startswith("{py"):
        return
    for name in re.findall(r"`([^`]+)`", theirs):
        given = re.fullmatch(r"fit\((\w+)=\)", name)
        name = given[1] if given else name
        is_parameter = re.fullmatch(r"[a-z_0-9]+[a-z0-9]", name) and name not in THEIR_METHODS
        if is_parameter and name not in PARAMETERS:
            assert name in HINTS, f"{name}: add it to sk_dynint/_names.py"
