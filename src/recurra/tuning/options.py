"""How to search, as options."""

from typing import Literal

from recurra.options import Options, option

__all__ = ["TuningOptions"]


class TuningOptions(Options):
    """How to search for options: how long, in how many processes, by which pruner, and where trials are recorded."""

    trials: int = option(
        default=40, at_least=1, help="trials in all, those of an interrupted search included", group="search", main=True
    )
    seconds: float | None = option(
        default=None,
        above=0,
        help="seconds after which this command begins no trial and saves those under way; by default no limit",
        group="search",
        main=True,
    )
    jobs: int = option(
        default=1,
        at_least=0,
        help="processes that train a trial each; the cores are divided among them; 0: trials run in this process",
        group="search",
        main=True,
    )
    pruner: Literal["median", "hyperband", "none"] = option(
        default="median",
        help="stops trials whose validation loss is worse than the median at the same part of training, or by "
        "Hyperband (Li et al. 2018)",
        group="search",
        main=True,
    )
    sampler_seed: int = option(
        default=0, at_least=0, help="seed of the sampler; `seed` is that of every training", group="search"
    )
    storage: str | None = option(
        default=None,
        help="URL of an Optuna storage for several machines, such as postgresql://HOST/DB; by default a journal file "
        "in the folder",
        group="search",
    )
    study: str | None = option(
        default=None, help="name of the study in the storage; by default that of the folder", group="search"
    )
