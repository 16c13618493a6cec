"""How estimators look in a notebook: scikit-learn's diagram, with tooltips and what `fit` made."""

from __future__ import annotations

import html
import re
from types import SimpleNamespace
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._repr_html.fitted_attributes import AttrsDict
from sklearn.utils._repr_html.params import ParamsDict

API_PAGES = ""
"""Address of the page of a class, with "{estimator_name}" in it.

It is empty as long as there are no such pages: names then have tooltips, and no links.
"""

_NO_PAGE = "no-page"
_LINK = re.compile(r'\s+rel="noreferrer"\s+target="_blank"\s+href="no-page[^"]*"')

Summary = list[tuple[str, str]]


class DisplayMixin:
    """Mixin, before `BaseEstimator`, whose private hooks it extends."""

    _doc_link_module = "sk_dynint"
    _doc_link_template = API_PAGES

    def _summary(self) -> Summary:
        """Return what `fit` has made: names and texts, in the order to show them in."""
        return []

    def _get_params_html(self, deep: bool = True, doc_link: str = "") -> ParamsDict:
        made = super()._get_params_html(deep, doc_link)  # type: ignore[misc]
        return _Params(
            params=made.data,
            non_default=made.non_default,
            estimator_class=type(self),
            doc_link=doc_link,
        )

    def _get_fitted_attr_html(self, doc_link: str = "") -> AttrsDict:
        """Return the attributes that are there: properties can take seconds to compute."""
        stored = SimpleNamespace(**vars(self))
        made = BaseEstimator._get_fitted_attr_html(stored, doc_link)
        attributes = _Attributes(
            fitted_attrs=made.data, estimator_class=type(self), doc_link=doc_link
        )
        is_fitted = getattr(self, "__sklearn_is_fitted__", lambda: bool(made))
        attributes.summary = self._summary() if is_fitted() else []
        return attributes


class _Params(ParamsDict):
    """Parameters, each with its documentation as a tooltip, linked or not."""

    def _html_repr(self) -> str:
        return _with_tooltips(self, ParamsDict._html_repr)


class _Attributes(AttrsDict):
    """Fitted attributes, likewise, after a summary of the fit."""

    summary: Summary

    def _html_repr(self) -> str:
        card = _card(self.summary) if self.summary else ""
        return card + _with_tooltips(self, AttrsDict._html_repr)


def _with_tooltips(table: Any, render: Any) -> str:
    """Render a table of scikit-learn, which has tooltips for names with a link only."""
    link = table.doc_link
    try:
        table.doc_link = link or _NO_PAGE
        rendered: str = render(table)
    finally:
        table.doc_link = link
    return rendered if link else _LINK.sub("", rendered)


def _card(summary: Summary) -> str:
    """Return an open table of names and texts, in the style of scikit-learn's."""
    rows = "\n".join(
        f'<tr class="default"><td class="param" style="padding: .5em">{html.escape(name)}</td>'
        f"<td>{html.escape(text)}</td></tr>"
        for name, text in summary
    )
    return f"""
        <div class="estimator-table">
            <details open>
                <summary>Fit</summary>
                <table class="parameters-table">
                    <tbody>
                        {rows}
                    </tbody>
                </table>
            </details>
        </div>
    """
