"""The pictures of steps are drawn from the figures that the pages print."""

import re
import sys

import matplotlib as mpl
import pandas as pd
import pytest

from tests.examples.conftest import ROOT

mpl.use("Agg")
sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))

import draw


@pytest.fixture
def figures():
    return pd.read_csv(ROOT / "docs" / "speed.csv")


def test_steps_are_those_of_the_page(figures):
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for levels, part in figures.groupby("levels"):
        table = page.split(f"**{levels:,} levels**")[1].split("**")[0]
        for model, step in zip(part["model"], part["step_ms"], strict=True):
            (printed,) = re.findall(rf"^\| {re.escape(model)} \| (\d+) \|", table, re.MULTILINE)
            assert round(step) == pytest.approx(int(printed), abs=1)


def test_bars_are_sorted_and_no_floor_is_beyond_its_bar(figures):
    shown = draw.chosen(figures)
    assert shown["step_ms"].is_monotonic_increasing
    assert shown["theirs"].sum() == 7
    floors = shown["strict_floor_ms"].dropna()
    assert (floors < shown["step_ms"][floors.index]).all()
    axes = draw.speed(figures)
    assert len(axes.patches) == len(shown)
    assert [text.get_text() for text in axes.get_yticklabels()] == list(shown["model"])
    draw.plt.close(axes.figure)


def test_figures_and_picture_are_written_side_by_side(figures, tmp_path):
    draw.save(figures.assign(more=0), tmp_path / "speed.png")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "speed.csv"), figures)
    percent = pd.read_csv(ROOT / "docs" / "profile.csv").set_index("model")
    assert percent.sum(axis=1).between(99.5, 100.5).all()
    draw.save(percent, tmp_path / "profile.png")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "profile.csv").set_index("model"), percent)
    for name in ("speed.png", "profile.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
