"""Formulas as MathML, which browsers draw themselves: pages need no script from elsewhere."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)

SAME = {r"\Big": r"\Bigl", r"\dots": r"\ldots", r"\mathrel": ""}
"""Commands that docutils does not know -> what looks the same."""


def _markup(node: nodes.Element, *, as_block: bool) -> str:
    """Return the markup of a formula; one that is not understood is a warning."""
    formula = re.sub(r"\\[A-Za-z]+", lambda m: SAME.get(m[0], m[0]), node.astext())
    try:
        return tex2mathml(formula, as_block=as_block)
    except MathError as error:
        LOGGER.warning("%s in %s", error, formula, location=node)
        return formula


def _visit_inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_markup(node, as_block=False))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_markup(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer, for ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
