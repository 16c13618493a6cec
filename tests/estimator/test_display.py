"""How classifiers and the encoder look in a notebook."""

import html
import inspect
import pickle
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder, load
from tests.conftest import fast, fast_by_name

CARD = re.compile(r"<summary>Fit</summary>(.*?)</table>", re.DOTALL)
ROW = re.compile(r"<td[^>]*>([^<]*)</td><td>([^<]*)</td>")
VOID = {"input", "br", "img", "meta", "link", "hr"}


class Reader(HTMLParser):
    """Fails where a tag closes another one than the last that was opened."""

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag


def card(estimator):
    """Names and texts of the one card in the HTML of an estimator, {} without one."""
    text = estimator._repr_mimebundle_()["text/html"]
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert all("/sklearn." in link for link in reader.links)  # of its own estimators
    cards = CARD.findall(text)
    assert len(cards) <= 1
    rows = ROW.findall(cards[0]) if cards else []
    return {html.unescape(name): html.unescape(value) for name, value in rows}


@pytest.fixture(scope="module")
def model():
    X = pd.DataFrame({"<b>site</b>": ["a", "b", "b", "c"] * 75, "age": [1.0, 2.0, 3.0] * 100})
    y = [0, 1, 1, 0] * 75
    return fast(early_stopping=True).fit(X, y)


def test_what_is_shown_of_a_fit(model):
    found = card(model)
    assert list(found) == [
        *("fields", "levels", "embedding table", "rows that are zero", "other weights"),
        *("best step", "time"),
    ]
    assert found["fields"] == "2 (1 of levels, 1 of numbers)"
    assert found["levels"] == "6 (<b>site</b> 3, age 3)"
    assert found["embedding table"] == "10 rows × 4, 0.00 MB"
    assert found["rows that are zero"] == "0 (0%)"
    assert found["best step"].startswith(f"{model.best_step_} of {model.n_iter_}: valid logloss ")
    assert found["best step"].endswith(f"AUC {model.history_['valid_auc'].max():.4f}")
    seconds = float(found["time"].removesuffix(" s"))
    assert seconds == pytest.approx(model.fit_seconds_, rel=0.1, abs=0.01)
    assert "<b>site" not in model._repr_html_()


def test_time_includes_more_than_training(model):
    assert model.fit_seconds_ > model.history_["seconds"].sum()


def test_the_card_is_open_and_comes_before_the_attributes(model):
    text = model._repr_html_()
    assert "<details open>\n                <summary>Fit</summary>" in text
    places = [
        text.index(f"<summary>{name}<") for name in ("Parameters", "Fit", "Fitted attributes")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("cls", [DynIntClassifier, BaselineClassifier, FieldEncoder])
def test_tooltips_without_links(cls):
    text = cls()._repr_html_()
    names = list(inspect.signature(cls).parameters)
    assert text.count('class="param-doc-description"') == len(names)
    for name in names:
        assert re.search(rf'<a class="param-doc-link"\s+style="[^"]*">\s+{name}\s', text)
    assert card(cls()) == {}
    assert "sk-estimator-doc-link" in text  # the "i" of fitted or not
    assert not re.search(r"\?<span>Documentation", text)


def test_links_once_there_are_pages(monkeypatch, model):
    page = "https://api.example/{estimator_name}.html"
    monkeypatch.setattr(DynIntClassifier, "_doc_link_template", page)
    text = model._repr_html_()
    assert 'href="https://api.example/DynIntClassifier.html"' in text
    assert 'href="https://api.example/DynIntClassifier.html#:~:text=lr,-float' in text
    assert 'href="https://api.example/DynIntClassifier.html#:~:text=best_step_,-int' in text


def test_unfitted():
    assert card(fast()) == {}
    assert "Fitted attributes" not in fast()._repr_html_()


@pytest.mark.parametrize("part", [make_pipeline, FrozenEstimator])
def test_in_other_estimators(model, part):
    assert card(part(model)) == card(model)


def test_in_a_search_and_an_ensemble(clicks):
    X, y = clicks
    search = GridSearchCV(fast(), {"lr": [0.1]}, cv=2)
    assert card(search) == {}
    search.fit(X, y)
    assert card(search) == card(search.best_estimator_)
    codes = X.apply(lambda column: column.astype("category").cat.codes)
    bagging = BaggingClassifier(fast(encoder=FieldEncoder()), n_estimators=2).fit(codes, y)
    assert card(bagging) == {}  # what is shown is not what was fitted


def test_with_an_encoder_as_a_parameter(clicks):
    X, y = clicks
    model = fast(encoder=FieldEncoder(min_count=3)).fit(X, y)
    assert card(model)["fields"].startswith(f"{X.shape[1]} (")


def test_saved_and_pickled(model, tmp_path):
    model.save(tmp_path / "model")
    for copy in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert copy.fit_seconds_ == model.fit_seconds_
        assert card(copy) == card(model)


def test_a_model_of_an_earlier_version_has_no_time(model):
    copy = pickle.loads(pickle.dumps(model))
    del copy.fit_seconds_
    assert list(card(copy)) == list(card(model))[:-1]


@pytest.mark.parametrize("name", ["lr", "dcnv2", "dgp"])
def test_members_and_classes(clicks, name):
    X, y = clicks
    model = fast_by_name(name, n_members=3, early_stopping=False).fit(X, y)
    found = card(model)
    n, dim = model.net_.module_.members[0].embedding.weight.shape
    assert found["embedding table"].startswith(f"3 × {n:,} rows × {dim}, ")
    assert re.fullmatch(r"(\d+) of \1: train loss \d\.\d{4}", found["best step"])
    y = y + (X.iloc[:, 0] == X.iloc[0, 0])
    assert card(fast_by_name(name).fit(X, y))["fields"] == found["fields"]


def test_partial_fit(clicks):
    X, y = clicks
    model = fast().partial_fit(X, y, classes=[0, 1])
    first = model.fit_seconds_
    model.partial_fit(X, y)
    assert model.fit_seconds_ != first
    assert "train loss" in card(model)["best step"]


def test_an_encoder_of_another_kind(model):
    encoder = model.encoder_

    class Other:
        cardinalities_ = encoder.cardinalities_

    copy = pickle.loads(pickle.dumps(model))
    copy.encoder_ = Other()
    assert card(copy)["fields"] == "2"
    assert card(copy)["levels"] == "6 (0 3, 1 3)"


def test_nothing_is_computed_for_the_encoder(clicks, monkeypatch):
    """Levels of a large table take seconds to list."""
    encoder = FieldEncoder().fit(clicks[0])

    def fail(self):
        raise AssertionError

    monkeypatch.setattr(FieldEncoder, "levels_", property(fail))
    text = encoder._repr_html_()
    assert "cardinalities_" in text
    assert "levels_</a>" not in text
    assert card(encoder) == {}
