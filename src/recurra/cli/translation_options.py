"""Options that commands on a run of translation share."""

from jsonargparse import ArgumentParser, Namespace

from recurra.cli.parsing import names
from recurra.tasks.translate import Search

__all__ = ["add_search_options", "search_of"]


def add_search_options(parser: ArgumentParser) -> None:
    """The options of `Search`, and `--ensemble`."""
    parser.add_class_arguments(Search)
    parser.add_argument(
        "--ensemble", type=names, default=(), help="other runs, comma-separated, to average probabilities with"
    )


def search_of(options: Namespace) -> Search:
    """The search that options ask for."""
    return Search(**{name: getattr(options, name) for name in Search.__dataclass_fields__})
