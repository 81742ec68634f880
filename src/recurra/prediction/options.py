"""How tables are predicted piece by piece, as options."""

from typing import Literal

from recurra.errors import ParameterError
from recurra.options import Options, option

__all__ = ["TableOptions"]


class TableOptions(Options):
    """How the tables of a folder, a pattern or a URL are predicted piece by piece."""

    engine: Literal["local", "ray"] = option(
        default="local",
        help="local: pieces are predicted by this process; ray: by the workers of Ray (extra ray); naming it also "
        "predicts a single file piece by piece",
        main=True,
    )
    keep: tuple[str, ...] = option(
        default=(), help="columns of the tables that stand beside the predictions of texts, such as id", main=True
    )
    text_column: str | None = option(
        default=None, help="column of the texts; by default text, or what the run was trained with"
    )
    piece_rows: int = option(
        default=10_000, at_least=1, help="rows that are read, predicted and written together, at most"
    )
    workers: int | None = option(
        default=None,
        at_least=1,
        help="workers of Ray, each with the run in its memory; by default one a CPU",
        main=True,
    )
    threads: int = option(
        default=1, at_least=1, help="threads of this process, or of each worker; other numbers may round otherwise"
    )
    address: str | None = option(
        default=None, help="of a Ray cluster, as ray.init takes it; by default Ray is started on this machine"
    )

    def check(self) -> None:
        for name in ("workers", "address"):
            if self.engine == "local" and getattr(self, name) is not None:
                raise ParameterError(name, "an engine with workers beside it", getattr(self, name), "Use --engine ray.")
