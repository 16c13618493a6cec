"""examples/paper: pictures and pages are made from the CSV file alone."""

import re

import experiments
import figures
import numpy as np
import pytest
import report
import results
from published import NAMES, NEWER, PUBLISHED

from tests.examples.conftest import ROOT, make_up

PAGE = ROOT / "docs" / "reproduction.md"


def test_all_figures_redraw_from_a_csv(runs, tmp_path, capsys):
    path = tmp_path / "runs.csv"
    runs[list(results.COLUMNS)].to_csv(path, index=False, lineterminator="\n")
    figures.main([str(path), "--out", str(tmp_path / "pictures")])
    drawn = sorted(file.name for file in (tmp_path / "pictures").iterdir())
    assert drawn == [f"{name}_synthetic_quick.png" for name in sorted(experiments.EXPERIMENTS)]
    assert capsys.readouterr().out.count(".png") == len(drawn)
    for file in (tmp_path / "pictures").iterdir():
        assert file.read_bytes().startswith(b"\x89PNG")


def test_runs_made_for_another_experiment_make_none():
    runs = make_up(("table1",))
    complete = [name for name, *_ in results.made(runs)]
    assert complete == ["table1", "figure4"]  # which looks at one of Table 1's runs
    some = runs[runs["model"].isin(["lr", "fm", "dnn"])]
    assert not list(results.made(some))


def test_models_are_compared_split_by_split(runs):
    counting = results.chosen(runs, "table1", "synthetic", "quick")
    ax = figures.differences(counting).axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    means = counting.groupby("group")["auc"].mean().sort_values(ascending=False)
    reference = report.REFERENCE
    assert names == [f"{name} (reference)" if name == reference else name for name in means.index]
    assert len(names) == len(NAMES) + len(NEWER)
    points = [bar.lines[0].get_xdata()[0] for bar in ax.containers]
    assert points == pytest.approx(list(means - means[reference]))


def test_points_of_one_value_stand_side_by_side(runs):
    counting = results.chosen(runs, "table3", "synthetic", "quick")
    ax = figures.curves(counting, "number of layers", mean_of_groups=True).axes[0]
    first = [bar.lines[0].get_xdata()[0] for bar in ax.containers]
    assert len(set(first)) == 4
    assert np.mean(first) == pytest.approx(0)


def test_convergence_ends_where_the_first_run_ends(runs):
    counting = results.chosen(runs, "figure7", "synthetic", "quick")
    steps, mean = figures.convergence(counting["history"], 2)
    assert steps.tolist() == [10, 20, 30]
    assert (np.diff(mean) > 0).all()


def test_an_average_needs_all_variants(runs):
    whole = results.chosen(runs, "table3", "synthetic", "quick")
    means = results.averaged(whole)
    assert len(means) == 6 * 2
    first = whole[(whole["x"] == 0) & (whole["seed"] == 0)]
    assert means["auc"].iloc[0] == pytest.approx(first["auc"].mean())
    lacking = runs[~((runs["model"] == "dwp") & (runs["seed"] == 1))]
    part = results.chosen(lacking, "table3", "synthetic", "quick")
    assert set(results.averaged(part)["seed"]) == {0}


def test_markdown_has_the_paper_s_figures_beside_ours(runs):
    text = report.to_markdown("table1", runs.assign(data="criteo"), "criteo", "quick")
    (line,) = [line for line in text.splitlines() if line.startswith("| DynInt-DWP")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert (cells[1], cells[3], cells[5]) == (".8132", ".4393", "2")
    assert cells[2].startswith(".7")
    assert " ± ." in cells[2]
    assert "A30" in text


def test_differences_are_taken_seed_by_seed(runs):
    text = report.to_markdown("table1", runs, "synthetic", "quick")
    cells = {
        line.split("|")[1].strip(): line.split("|")[-2].strip() for line in text.splitlines()[2:20]
    }
    best = results.chosen(runs, "table1", "synthetic", "quick")
    aucs = best.pivot(index="seed", columns="group", values="auc")
    difference = (aucs["LR"] - aucs["xDeepInt"]).mean()
    assert cells["xDeepInt"] == ""
    number, low, high = re.findall(r"[+−]\.\d{4}", cells["LR"])
    assert float(number.replace("−", "-")) == pytest.approx(difference, abs=6e-5)
    assert float(low.replace("−", "-")) < difference < float(high.replace("−", "-"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_are_those_of_the_tables(name):
    assert set(PUBLISHED[name]) in ({"criteo", "avazu", "ipinyou"}, {"criteo"})
    for table in PUBLISHED[name].values():
        aucs, loglosses = zip(*table.values(), strict=True)
        assert all(0.75 < auc < 0.82 for auc in aucs)
        assert all(0.005 < logloss < 0.46 for logloss in loglosses)


def test_page_is_filled_between_its_markers(runs):
    page = PAGE.read_text(encoding="utf-8")
    for name in experiments.EXPERIMENTS:
        assert page.count(f"<!-- begin {name} -->\n") == page.count(f"<!-- end {name} -->") == 1
    filled = report.fill(page, runs)
    assert report.fill(filled, runs) == filled
    assert "no runs yet" not in filled
    assert "| DynInt-DGP | — | .7" in filled
    assert report.fill(filled, report.EMPTY) == report.fill(page, report.EMPTY)
    for text in page.split("<!-- begin")[0].splitlines():
        assert text in filled


def test_a_ranking_has_the_best_first_with_intervals(runs):
    page = "<!-- begin ranking synthetic quick -->\nold\n<!-- end ranking synthetic quick -->\n"
    assert report.fill(page, report.EMPTY) == page
    lines = report.fill(page, runs).splitlines()
    counting = results.chosen(runs, "table1", "synthetic", "quick")
    groups = counting.groupby("group")["auc"]
    assert len(lines) == 2 + 2 + len(groups)
    best = groups.mean().idxmax()
    low, high = sorted(groups.get_group(best))
    half = 12.7062 * (high - low) / 2  # two seeds: deviation / √2 is half their distance
    mean = f"{(low + high) / 2:.4f} ± {half:.4f}".replace("0.", ".")
    assert lines[3].startswith(f"| {best} | {mean} | 2 |")
    assert report.fill("\n".join(lines), runs).splitlines() == lines
    assert report.fill(page, runs[runs["model"] != "pin"]) == page


def test_command_fills_a_page(runs, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- begin table3 -->\nold\n<!-- end table3 -->\nbelow\n")
    csv = tmp_path / "runs.csv"
    runs[list(results.COLUMNS)].to_csv(csv, index=False, lineterminator="\n")
    report.main([str(csv), "--page", str(page)])
    text = page.read_text()
    assert text.startswith("above\n<!-- begin table3 -->\n**Table 3")
    assert text.endswith("<!-- end table3 -->\nbelow\n")
    assert "old" not in text
