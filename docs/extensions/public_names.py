"""How the API reference shows names: types link to where they are public, and long signatures of options are short."""

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

from recurra.options import Options


def _short_signature(
    app: Sphinx, what: str, name: str, found: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """The dozens of options of an estimator stand in its table, not in its signature."""
    if what == "class" and issubclass(found, Options):
        return "(**options)", None
    return None


def _public_target(
    app: Sphinx, env: BuildEnvironment, reference: pending_xref, text: nodes.TextElement
) -> nodes.reference | None:
    """Annotations name the module that defines a type; the reference documents the package that offers it."""
    target = reference.get("reftarget", "")
    if reference.get("refdomain") != "py" or not target.startswith("recurra."):
        return None
    domain = env.domains.python_domain
    package, name = target.split(".")[:2], target.rpartition(".")[2]
    documented = domain.objects.get(".".join([*package, name]))
    if documented is None:
        return None
    return make_refnode(app.builder, reference["refdoc"], documented.docname, documented.node_id, text, target)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect both to Sphinx's events."""
    app.connect("autodoc-process-signature", _short_signature)
    app.connect("missing-reference", _public_target)
    return {"version": "1", "parallel_read_safe": True}
