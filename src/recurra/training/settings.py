"""How to train, as options."""

from typing import Literal, get_args

from recurra.errors import ParameterError
from recurra.options import Options, Range, option

__all__ = ["CLIPPINGS", "OPTIMIZERS", "PRECISIONS", "SCHEDULES", "TrainingSettings"]

_WITH_BETAS = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax")
_WITH_MOMENTUM = ("RMSprop", "SGD")
_BETAS = (0.9, 0.999)

# Not LBFGS, which evaluates the loss several times a step, nor Rprop, which needs the gradient of all data, nor
# SparseAdam and Muon, which are for some parameters only.
Optimizer = Literal[
    "Adam",
    "AdamW",
    "NAdam",
    "RAdam",
    "Adamax",
    "Adafactor",
    "Adagrad",
    "Adadelta",
    "ASGD",
    "RMSprop",
    "SGD",
]
Schedule = Literal["constant", "OneCycleLR", "CosineAnnealingLR", "LinearLR", "ReduceLROnPlateau"]
Clipping = Literal["none", "norm", "value", "adaptive", "percentile", "zscore"]
Precision = Literal["float32", "bfloat16", "float16"]
PrunedWeights = Literal["both", "input", "recurrent"]
BlockMagnitude = Literal["mean", "max"]

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
CLIPPINGS: tuple[Clipping, ...] = get_args(Clipping)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_PRUNING = ("initial_sparsity", "pruning_begin", "pruning_end", "pruning_every", "pruning_by", "pruned_weights")


class TrainingSettings(Options):
    """How to train: length, optimiser, schedule, clipping, averaging, pruning and validation."""

    max_steps: int = option(default=1000, at_least=1, help="optimiser steps at most", group="training", main=True)
    optimizer: Optimizer = option(default="AdamW", help="name of an optimiser of torch.optim", group="training")
    learning_rate: float = option(
        default=2e-3,
        above=0,
        help="highest learning rate, where a schedule varies it",
        group="training",
        main=True,
        search=Range(3e-4, 3e-2, log=True),
    )
    momentum: float = option(default=0.0, at_least=0, below=1, help="momentum of SGD and RMSprop", group="training")
    betas: tuple[float, float] = option(
        default=_BETAS,
        at_least=0,
        below=1,
        help="decay of the running means of gradients and of their squares, for Adam and its variants",
        group="training",
    )
    weight_decay: float = option(
        default=0.0,
        at_least=0,
        help="weight decay, not applied to biases, scales of normalisation and per-unit parameters",
        group="training",
        search=Range(0, 0.1),
    )
    schedule: Schedule = option(
        default="OneCycleLR", help='"constant", or the name of a schedule of torch.optim.lr_scheduler', group="training"
    )
    warmup_steps: int = option(
        default=0,
        at_least=0,
        help="steps over which the learning rate rises linearly before the schedule begins",
        group="training",
    )
    clipping: Clipping = option(
        default="norm",
        help="gradient clipping: by global norm, by value, adaptive to each unit's weights (AGC), by a running "
        "percentile of the norm (AutoClip) or by its z-score (ZClip)",
        group="clipping",
    )
    max_grad_norm: float = option(
        default=1.0,
        at_least=0,
        help='global norm that gradients are scaled down to (clipping "norm"); 0: no limit',
        group="clipping",
    )
    clip_value: float = option(
        default=1.0, above=0, help='largest absolute value of a gradient (clipping "value")', group="clipping"
    )
    clip_factor: float = option(
        default=0.01,
        above=0,
        help='largest ratio of the norm of a unit\'s gradient to that of its weights (clipping "adaptive")',
        group="clipping",
    )
    clip_percentile: float = option(
        default=10.0,
        at_least=0,
        at_most=100,
        help='percentile of past norms that gradients are scaled down to (clipping "percentile")',
        group="clipping",
    )
    clip_zscore: float = option(
        default=2.5,
        above=0,
        help='standard deviations above the mean that make a norm a spike (clipping "zscore")',
        group="clipping",
    )
    accumulation: int = option(default=1, at_least=1, help="batches whose gradients make one step", group="training")
    max_skipped: int = option(
        default=10,
        at_least=0,
        help="consecutive steps with a loss or gradient that is not finite that are skipped before training stops",
        group="training",
    )
    averaging: float = option(
        default=0.99,
        at_least=0,
        below=1,
        help="decay of the exponential moving average of the weights, which is validated and saved; 0: no average",
        group="averaging",
    )
    triggered_averaging: int = option(
        default=0,
        at_least=0,
        help="n of NT-ASGD (Merity et al. 2017): the weights are averaged once the validation loss is worse than the "
        "best one more than n validations before; 0: never",
        group="averaging",
    )
    activation_penalty: float = option(
        default=0.0,
        at_least=0,
        help="weight in the loss of the squared outputs of the last recurrent layer",
        group="training",
    )
    temporal_activation_penalty: float = option(
        default=0.0,
        at_least=0,
        help="weight in the loss of the squared changes of these outputs from step to step",
        group="training",
    )
    sparsity: float = option(
        default=0.0,
        at_least=0,
        below=1,
        help="fraction of the blocks of 16 by 16 weights of recurrent layers that are zero at the end of training, and "
        "that inference skips (gradual pruning, Zhu and Gupta 2017); 0: no pruning",
        group="pruning",
    )
    initial_sparsity: float = option(
        default=0.0, at_least=0, below=1, help="fraction of blocks that the first pruning sets to zero", group="pruning"
    )
    pruning_begin: float = option(
        default=0.1, at_least=0, below=1, help="fraction of the steps after which pruning begins", group="pruning"
    )
    pruning_end: float = option(
        default=0.6,
        above=0,
        at_most=1,
        help="fraction of the steps after which the sparsity is reached; the weights that are left train further",
        group="pruning",
    )
    pruning_every: int = option(default=20, at_least=1, help="steps between two prunings", group="pruning")
    pruning_by: BlockMagnitude = option(
        default="mean", help="whether blocks of the smallest mean or largest magnitude are pruned", group="pruning"
    )
    pruned_weights: PrunedWeights = option(
        default="both", help="whether input weights, recurrent weights or both are pruned", group="pruning"
    )
    precision: Precision = option(
        default="float32", help="float32, or bfloat16 or float16 for mixed precision", group="training"
    )
    compile: bool = option(default=False, help="compile the network with torch.compile", group="training")
    validate_every: int = option(default=100, at_least=1, help="steps between validations", group="validation")
    patience: int = option(
        default=0,
        at_least=0,
        help="validations without a better loss after which training stops; 0: training never stops early",
        group="validation",
    )
    keep: int = option(default=2, at_least=1, help="latest checkpoints that stay, beside the best", group="validation")
    health_every: int = option(
        default=10,
        at_least=0,
        help="steps between the figures of gradient health in the log; 0: none",
        group="training",
    )
    seed: int = option(default=0, at_least=0, help="seed of every random generator", group="training", main=True)

    def check(self) -> None:
        """Refuse an option that another makes useless: no option is ignored silently."""
        if self.momentum and self.optimizer not in _WITH_MOMENTUM:
            hint = f"{' and '.join(_WITH_MOMENTUM)} have a momentum."
            raise ParameterError("momentum", f"0 with {self.optimizer}", self.momentum, hint)
        if self.betas != _BETAS and self.optimizer not in _WITH_BETAS:
            expected = f"the default with {self.optimizer}, which has none"
            raise ParameterError("betas", expected, self.betas, f"{', '.join(_WITH_BETAS)} have betas.")
        if self.warmup_steps and self.schedule == "OneCycleLR":
            expected = "0 with OneCycleLR, which warms up itself"
            raise ParameterError("warmup_steps", expected, self.warmup_steps, "Or choose another schedule.")
        if self.warmup_steps and self.schedule == "ReduceLROnPlateau":
            expected = "0 with ReduceLROnPlateau, which changes the rate at validations only"
            raise ParameterError("warmup_steps", expected, self.warmup_steps, "Or choose another schedule.")
        if self.max_steps and self.warmup_steps >= self.max_steps:
            raise ParameterError("warmup_steps", f"less than max_steps = {self.max_steps}", self.warmup_steps)
        if self.triggered_averaging and self.averaging:
            expected = f"0 with averaging = {self.averaging}"
            raise ParameterError("triggered_averaging", expected, self.triggered_averaging, "Set averaging to 0.")
        for name in _PRUNING:
            if not self.sparsity and getattr(self, name) != type(self).settings()[name].default:
                raise ParameterError(name, "its default with sparsity = 0", getattr(self, name), "Set a sparsity.")
        if self.initial_sparsity > self.sparsity:
            raise ParameterError("initial_sparsity", f"at most sparsity = {self.sparsity}", self.initial_sparsity)
        if self.pruning_begin >= self.pruning_end:
            expected = f"less than pruning_end = {self.pruning_end}"
            raise ParameterError("pruning_begin", expected, self.pruning_begin)
