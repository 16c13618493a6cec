"""The files of pinned versions agree with the bounds in pyproject.toml."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LINES = {line for part in (PROJECT["dependencies"], *EXTRAS.values()) for line in part}
BOUNDS = {r.name: r.specifier for r in map(Requirement, LINES) if r.name != PROJECT["name"]}
NOT_LOWEST = {"torch"}  # constraints-lowest.txt says why
TOOLS = {Requirement(line).name for extra in ("bench", "docs") for line in EXTRAS[extra]}
"""Used with the versions of constraints.txt only."""


def read_pins(name):
    """Return the pinned version of each package."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if "==" in line]
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-lowest.txt"])
def test_pins_are_within_the_bounds(name):
    pins = read_pins(name)
    assert [p for p in BOUNDS.keys() & pins if not BOUNDS[p].contains(pins[p])] == []


def test_lowest_pins_are_the_bounds():
    pins = read_pins("constraints-lowest.txt")
    needed = BOUNDS.keys() - TOOLS - NOT_LOWEST
    lowest = {
        name: Version(bound.version)
        for name in needed
        for bound in BOUNDS[name]
        if bound.operator == ">="
    }
    assert {name: Version(pins[name]) for name in needed & pins.keys()} == lowest
