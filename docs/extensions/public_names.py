"""How the API reference shows names: types link to where they are public, and options do not swell signatures."""

import inspect
from typing import Annotated, Any, get_args, get_origin

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature
from sphinx.util.nodes import make_refnode

from recurra.options import Options


def _short_signature(
    app: Sphinx, what: str, name: str, found: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """The dozens of options of an estimator stand in its table, not in its signature, nor do the facts of a verb's."""
    if what == "class" and issubclass(found, Options):
        return "(**options)", None
    if what == "method" and callable(found):
        declared = inspect.signature(found)
        parameters = [_without_facts(parameter) for parameter in declared.parameters.values()]
        if parameters != list(declared.parameters.values()):
            shown = inspect.Signature(parameters[1:])  # without self
            return stringify_signature(shown, unqualified_typehints=True), returns
    return None


def _without_facts(parameter: inspect.Parameter) -> inspect.Parameter:
    if get_origin(parameter.annotation) is not Annotated:
        return parameter
    return parameter.replace(annotation=get_args(parameter.annotation)[0])


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
