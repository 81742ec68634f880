"""Texts of the page, as templates: each is whole, and its fields are filled in.

The name of a template begins with the section or the finding that it belongs to.
"""

from typing import NamedTuple

import numpy as np

from recurra.inspection.decay import Decay

__all__ = [
    "ATTRIBUTION",
    "ATTRIBUTION_HERE",
    "BEATEN",
    "CHAOTIC",
    "DEAD",
    "EXPLODING",
    "FORGETTING",
    "FORGETTING_HERE",
    "GATES",
    "GATES_HERE",
    "GATES_NONE_STUCK",
    "GATES_ONE_STUCK",
    "GATES_STUCK",
    "INCOMPLETE",
    "JACOBIANS",
    "JACOBIANS_HERE",
    "LABELLED_STEP",
    "LARGER_BIAS",
    "LEGEND_FITS",
    "LYAPUNOV",
    "LYAPUNOV_HERE",
    "LYAPUNOV_SHADING",
    "MANY_DEAD",
    "NOT_RECORDED",
    "NOT_TRACED",
    "NO_FINDINGS",
    "ONE_DEAD",
    "REACH",
    "REACH_BEYOND",
    "REACH_FITS",
    "REACH_MEASURED",
    "REACH_SEQUENCE",
    "REACH_SEQUENCES",
    "SEE_ABOVE",
    "SMALLER_BIAS",
    "SPECTRA",
    "SPECTRA_HERE",
    "STATES",
    "STATES_ALIVE",
    "STATES_DEAD",
    "STATES_ONE_DEAD",
    "STEP",
    "STUCK_AT_BOTH_ENDS",
    "STUCK_AT_ONE_END",
    "SUBSET",
    "TRY_BIAS",
    "TRY_CHAOTIC",
    "TRY_DEAD",
    "TRY_EXPLODING",
    "TRY_GATED_CELL",
    "TRY_GATED_OR_ORTHOGONAL",
    "TRY_INCOMPLETE",
    "TRY_STUCK",
    "TRY_TO_BEAT",
    "TRY_UNUSED",
    "UNROLLED",
    "UNROLLED_ATTENTION",
    "UNROLLED_HERE",
    "UNROLLED_WIDE",
    "UNUSED",
    "VALIDATION",
    "VALUE",
    "VALUE_IN_UNITS",
    "VANISHING",
    "DecayTexts",
]


class DecayTexts(NamedTuple):
    """A template for each case of a fitted decay."""

    fitted: str
    growing: str
    unfitted: str
    no_gradient: str

    def of(self, decay: Decay, track: str) -> str:
        """The text of a decay, the track being the layer that it was fitted to."""
        if np.isnan(decay.factor):
            return self.no_gradient.format(track=track)
        if not decay.is_fitted:
            return self.unfitted.format(track=track, r_squared=decay.r_squared)
        if decay.factor >= 1:
            return self.growing.format(track=track, growth=100 * (decay.factor - 1))
        horizon, constant = _steps(decay.horizon), _steps(decay.time_constant)
        return self.fitted.format(track=track, horizon=horizon, constant=constant)


def _steps(steps: float) -> str:
    """A number of steps, to three digits below 1,000."""
    return f"{steps:.3g}" if steps < 1000 else f"{steps:,.0f}"


BEATEN = "The model is worse than {baseline} by {score}."
TRY_TO_BEAT = (
    "Train for more steps (max_steps), on more data, or with another learning rate. Until then {baseline} is the "
    "better choice, and this page describes a network that has learned little."
)
VALIDATION = "The best validation score of the run was {score}."
SUBSET = (
    "These scores are of all the data, as the command evaluate computes them. The sections look at the examples that "
    "the next table names."
)
NO_FINDINGS = "Nothing unusual was found in the network."
SEE_ABOVE = "Nothing else stands out. Mend what the scores above show first."
NOT_RECORDED = "This page does not show {layer} ({kind}), because its steps cannot be recorded: {reason}."
NOT_TRACED = (
    "This page does not show the gates of {layer}, because the equations of its cell cannot be traced. {reason}"
)

UNROLLED = (
    "Columns are steps and rows are layers. Arrows point the way the gradient flows, back from the loss. The thickness "
    "of an arrow shows the norm of its gradient on a logarithmic scale of four decades; thin lines stand for less."
)
UNROLLED_WIDE = (
    "A column stands for {width} steps: arrows along a row show what crosses to the next column, and arrows between "
    "rows show the norm over all steps of the column."
)
UNROLLED_ATTENTION = (
    "The columns of {layers} come after those of the layers whose outputs they attend to. The gradient that reaches "
    "these layers from above comes through attention."
)
UNROLLED_HERE = (
    "The loss is {loss}. The picture shows sequence {index} of {count} (length: {steps}). The gradient along its "
    "thickest arrow has a norm of {largest:.3g}."
)
REACH = (
    "Each curve shows the norm of dL/ds, the derivative of the loss with respect to a layer's state, by how many steps "
    "the state is before the loss. On the logarithmic scale a straight line is exponential decay. The memory horizon "
    "is the lag at which the fitted line has fallen to 1 %."
)
REACH_FITS = DecayTexts(
    fitted="The horizon fitted for {track} lies at lag {horizon}, and the gradient falls to 1/e at lag {constant}.",
    growing="The gradient of {track} grows by {growth:.2f} % a step.",
    unfitted="For {track} no horizon can be fitted (R² {r_squared:.2g}).",
    no_gradient="For {track} no horizon can be fitted, because fewer than two lags have a gradient.",
)
LEGEND_FITS = DecayTexts(
    fitted="fit: horizon {horizon} steps (1/e in {constant})",
    growing="fit: grows by {growth:.2f} % a step",
    unfitted="no horizon can be fitted (R² {r_squared:.2g})",
    no_gradient="fewer than two lags have a gradient",
)
REACH_MEASURED = "The horizon measured for {track} lies at lag {horizon}."
REACH_BEYOND = "The horizon measured for {track} lies beyond the sequence."
REACH_SEQUENCE = "The curves are those of one sequence."
REACH_SEQUENCES = "The curves are means over {count} sequences."

JACOBIANS = (
    "The spectral norm of a Jacobian is the largest factor by which a small change of the whole state can be "
    "stretched, over one step (left) and over k steps (right). Below 1 all changes shrink, and gradients shrink with "
    "them."
)
JACOBIANS_HERE = (
    "In {track} the median of these norms is {one_step:.2g} over one step and {many_steps:.2g} over the longest lag, "
    "{lag}."
)
LYAPUNOV = (
    "Each exponent is the mean logarithmic growth per step of a small change in one direction of the state, along the "
    "trajectory that real inputs produce. If the largest is below 0, the network forgets its beginning; if it is above "
    "0, the network is chaotic; if it is near 0, the network remembers."
)
LYAPUNOV_HERE = "The largest exponent of {layer} is {largest:+.3f}, estimated over {steps} steps."
LYAPUNOV_SHADING = "The exponents are finite-time ones; the shading shows their standard deviation over sequences."
SPECTRA = (
    "The points are the eigenvalues of each gate's recurrent matrix. In a plain recurrent network those outside the "
    "dotted unit circle make gradients grow, and those far inside make them vanish. In a gated network the effect also "
    "depends on the gates."
)
SPECTRA_HERE = "The largest spectral radius is {radius:.2f}, of gate {gate} in {layer}."

GATES = (
    "Each bar shows a unit: the mean of the gate, and the range of the middle 80 % of its values over all steps. In "
    "the shaded ranges (below 0.1 and above 0.9 of a sigmoid, beyond 0.9 of tanh) a gate is saturated and learns "
    "hardly anything."
)
GATES_HERE = "Gate {gate} of {layer} is saturated the most, {saturated:.0f} % of the time."
GATES_NONE_STUCK = "None of the {units} units of all gates is stuck at one end in at least 99 % of the steps."
GATES_ONE_STUCK = "One of the {units} units of all gates is stuck at one end in at least 99 % of the steps."
GATES_STUCK = "{stuck} of the {units} units of all gates are stuck at one end in at least 99 % of the steps."
STATES = (
    "Each bar shows a unit: its mean, standard deviation and range over all steps of all sequences. A unit is dead if "
    "its range is under a thousandth of the layer's largest."
)
STATES_ALIVE = "Every unit moves ({units} in all)."
STATES_ONE_DEAD = "One of the {units} units never moves."
STATES_DEAD = "{dead} of the {units} units never move."

ATTRIBUTION = (
    "A bar shows what a step adds to the output, compared with the same step at {mean} (integrated gradients). The "
    "bars add up to the whole difference. Dots (gradient x input) that lie away from the bars are a sign of "
    "nonlinearity."
)
ATTRIBUTION_HERE = (
    "Step {step} counts most: it adds {value}. The bars miss {residual:+.2g} of the whole difference, "
    "{difference:+.3g} (completeness residual)."
)
FORGETTING = (
    "All inputs but {nearest} are replaced by {mean}, and the output is computed again. If the curve is at zero, "
    "inputs further away no longer matter, whatever their gradient."
)
FORGETTING_HERE = (
    "Replacing everything changes the output by {effect} on average. Replacing all but the nearest {half} of {steps} "
    "steps makes at most half of that change, and replacing all but the nearest {reach} at most 1 %."
)
STEP = "{index}"
LABELLED_STEP = "{index} ({label})"
VALUE = "{value}"
VALUE_IN_UNITS = "{value} {unit}"

INCOMPLETE = "Integrated gradients miss {fraction:.0f} % of the change of the output that they should add up to."
TRY_INCOMPLETE = "Take the attributions as a rough picture: on the way from the mean to this input the output jumps."
EXPLODING = "The gradient grows by {growth:.0f} % with each step back in {track}: it explodes."
TRY_EXPLODING = (
    "Clip gradients by norm (max_grad_norm), lower the learning rate, or start from orthogonal recurrent weights of a "
    "smaller gain."
)
VANISHING = (
    "The gradient falls to 1 % within {reach} of {steps} steps in {track}: the network learns hardly anything from "
    "what lies further back."
)
TRY_BIAS = (
    "Let its gates remember longer: try chrono initialisation (Tallec and Ollivier 2018) for lags of this length, or "
    "{biases}. If nothing further back matters, shorter sequences do as well and train faster."
)
LARGER_BIAS = "a larger bias of gate {gate}"
SMALLER_BIAS = "a smaller bias of gate {gate}"
TRY_GATED_CELL = (
    "Use a cell with gates, such as a GRU or an LSTM. If nothing further back matters, shorter sequences do as well "
    "and train faster."
)
TRY_GATED_OR_ORTHOGONAL = (
    "Use a GRU or an LSTM, or start from orthogonal recurrent weights. If nothing further back matters, shorter "
    "sequences do as well and train faster."
)
CHAOTIC = (
    "The largest Lyapunov exponent of {layer} is {largest:+.3f} a step: small changes of its state grow by a factor of "
    "e in {steps:.3g} steps."
)
TRY_CHAOTIC = (
    "Outputs far ahead depend on rounding and noise. Smaller or orthogonal recurrent weights, weight decay, or "
    "clipping in training can bring it below zero."
)
STUCK_AT_ONE_END = (
    "Gate {gate} of {layer} is stuck in {stuck} of {units} units ({count} near {end}, in at least 99 % of the steps)."
)
STUCK_AT_BOTH_ENDS = (
    "Gate {gate} of {layer} is stuck in {stuck} of {units} units ({low} near {low_end}, {high} near {high_end}, in at "
    "least 99 % of the steps)."
)
TRY_STUCK = (
    "Such units learn nothing through this gate. Scale the inputs, lower the learning rate, or start with smaller "
    "biases of the gate; layer normalisation (LayerNormLSTM, LayerNormGRU) keeps gates in range."
)
ONE_DEAD = "One of the {units} units of {part} in {layer} never moves (unit {indices})."
DEAD = "{dead} of the {units} units of {part} in {layer} never move (units {indices})."
MANY_DEAD = "{dead} of the {units} units of {part} in {layer} never move (units {indices}, ...)."
TRY_DEAD = (
    "Fewer units (hidden_size) would do the same. If there are many, lower the learning rate or train again with "
    "another seed."
)
UNUSED = (
    "Replacing all inputs but the nearest {reach} of {steps} steps changes the output by less than 1 % of what "
    "replacing everything does."
)
TRY_UNUSED = "A shorter input would do, and train faster; or the network has yet to learn to use what is further away."
