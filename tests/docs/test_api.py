"""The pages of the API list exactly the public names, and each of them has a docstring."""

import importlib
import inspect
import pkgutil
import re
import sys
from types import FunctionType

import pytest

import sk_dynint
from tests.docs.conftest import DOCS, text_of

from constants import constant_docs  # isort: skip, on the path since the line above

PACKAGE = DOCS.parent / "sk_dynint"
MODULES = [
    "sk_dynint",
    *(
        f"sk_dynint.{module.name}"
        for module in pkgutil.iter_modules(sk_dynint.__path__)
        if module.ispkg and not module.name.startswith("_")
    ),
]
PUBLIC = [(module, name) for module in MODULES for name in importlib.import_module(module).__all__]


def listed_names():
    """Module and name of each entry of docs/api/index.rst, and of those that it only refers to."""
    sections = re.split(r"^\.\. module:: ", text_of(DOCS / "api" / "index.rst"), flags=re.M)[1:]
    for section in sections:
        module, _, rest = section.partition("\n")
        for name in re.findall(r"^   (\w+)$", rest, flags=re.M):
            yield module, name
        for name, _target in re.findall(r":obj:`(\w+) <([\w.]+)>`", rest):
            yield module, name


CONSTANTS = constant_docs(PACKAGE)


def test_the_api_pages_list_the_public_names():
    assert sorted(listed_names()) == sorted(PUBLIC), "docs/api/index.rst, and __all__"


def test_names_that_stand_elsewhere_are_the_same_objects():
    text = text_of(DOCS / "api" / "index.rst")
    for name, target in re.findall(r":obj:`(\w+) <([\w.]+)>`", text):
        module, _, attribute = target.rpartition(".")
        assert attribute == name
        assert (module, name) in PUBLIC


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_public_names_have_docstrings(module, name):
    thing = getattr(importlib.import_module(module), name)
    if isinstance(thing, type) or inspect.isroutine(thing):
        assert thing.__doc__
    else:
        assert name in CONSTANTS, "write a string below the assignment"


CLASSES = [pair for pair in PUBLIC if isinstance(getattr(sys.modules[pair[0]], pair[1]), type)]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_public_methods_have_docstrings(module, name):
    """One that overrides a method may rely on its docstring."""
    cls = getattr(sys.modules[module], name)
    methods = [
        attribute
        for attribute, value in vars(cls).items()
        if not attribute.startswith("_") and isinstance(value, FunctionType | property)
    ]
    documented = {a for base in cls.__mro__ for a, v in vars(base).items() if v.__doc__}
    assert not set(methods) - documented
