"""Sphinx configuration.  Build with `python -m sphinx -W --keep-going docs build/docs`."""

import os
import sys
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TQDM_DISABLE", "1")

# The gallery imports the names that examples use, also where it does not run them.
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

from sk_dynint import __version__

project = "sk_dynint"
author = "the sk_dynint developers"
copyright = f"{author}, BSD-3-Clause"
release = version = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    # Our own, in docs/_ext.
    "mathml",
    "names",
]
exclude_patterns = ["_build", "_ext", "_templates", "gallery/*.py", "gallery/*.ipynb"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [
    # Classes of other packages: no inventory is downloaded, so that a build needs no network.
    (r"py:.*", r"(torch|numpy|pandas|sklearn|skorch|polars|shap|matplotlib|safetensors)\..*"),
]

# -- Markdown

myst_enable_extensions = ["colon_fence", "dollarmath", "attrs_inline"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# -- API

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    # Members of these classes, and of what they inherit from, are documented by their packages.
    "inherited-members": "BaseEstimator,ClassifierMixin,TransformerMixin,Module,NeuralNet,"
    "Optimizer,Protocol,Callback,tuple,object,dict",
    # scikit-learn's, whose docstrings refer to its own pages.
    "exclude-members": "get_metadata_routing,set_fit_request,set_inverse_transform_request,"
    "set_output,set_partial_fit_request,set_score_request,set_transform_request",
}
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

# -- Examples

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "filename_pattern": r"/\d\d_",
    "ignore_pattern": r"/(?!\d\d_)[^/]*\.py$",
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 3600,  # times of the machine that built the site say little
    "plot_gallery": "True",
    "download_all_examples": False,
}

# -- HTML

html_theme = "pydata_sphinx_theme"
html_title = "sk_dynint"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["llms.txt"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "index": [],
    "install": [],
    "quickstart": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _strip_code(app, doctree):
    """Drop the blank line that ends what doctest expects."""
    for node in doctree.findall(nodes.literal_block):
        code = node.astext().rstrip()
        node.rawsource = code
        node.children = [nodes.Text(code)]


def setup(app):
    """Connect what is not worth an extension."""
    app.connect("doctree-read", _strip_code)
