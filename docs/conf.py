"""The documentation's settings; `make docs` builds it into build/docs."""

import sys
from pathlib import Path

import recurra

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "Recurra"
author = "The Recurra developers"
project_copyright = author
version = release = recurra.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "option_tables",
    "public_names",
]
exclude_patterns = ["extensions"]
default_role = "py:obj"  # of names between single backticks in docstrings
smartquotes = False  # would turn the hyphens of --option into a dash
highlight_language = "none"  # of code blocks that name no language: shell commands and their output

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
python_maximum_signature_line_length = 88
add_module_names = False
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]

html_theme = "furo"
html_title = f"Recurra {release}"
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["recurra.css"]
