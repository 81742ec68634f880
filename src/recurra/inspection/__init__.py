"""Looking inside a trained recurrent network: gradients through time, dynamics, gates, attribution."""

from recurra.inspection.activations import Activation, gate_activations, gate_values
from recurra.inspection.attribution import Attribution, gradient_times_input, integrated_gradients, mean_baselines
from recurra.inspection.decay import Decay, fit_decay
from recurra.inspection.findings import Finding
from recurra.inspection.forgetting import Forgetting, forgetting
from recurra.inspection.gradients import StateGradients, TrackGradients, final_outputs_loss, state_gradients
from recurra.inspection.inspection import Inspection, Words, inspect
from recurra.inspection.lag import GradientByLag, LagCurve, gradient_by_lag
from recurra.inspection.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from recurra.inspection.memory import JacobianNorms, jacobian_norms
from recurra.inspection.module_activity import ModuleActivity, module_activity
from recurra.inspection.page import report_inspection, write_inspection
from recurra.inspection.reading import function_of_inputs
from recurra.inspection.record import Recording, record
from recurra.inspection.saturation import GateSaturation, gate_saturation
from recurra.inspection.segment import Segment, Track
from recurra.inspection.spectra import RecurrentSpectrum, recurrent_spectra
from recurra.inspection.standing import Standing
from recurra.inspection.states import StateStatistics, state_statistics
from recurra.inspection.unroll import Edges, UnrolledGradients, UnrolledRow, unrolled_gradients

__all__ = [
    "Activation",
    "Attribution",
    "Decay",
    "Edges",
    "Finding",
    "Forgetting",
    "GateSaturation",
    "GradientByLag",
    "Inspection",
    "JacobianNorms",
    "LagCurve",
    "LyapunovSpectrum",
    "ModuleActivity",
    "Recording",
    "RecurrentSpectrum",
    "Segment",
    "Standing",
    "StateGradients",
    "StateStatistics",
    "Track",
    "TrackGradients",
    "UnrolledGradients",
    "UnrolledRow",
    "Words",
    "final_outputs_loss",
    "fit_decay",
    "forgetting",
    "function_of_inputs",
    "gate_activations",
    "gate_saturation",
    "gate_values",
    "gradient_by_lag",
    "gradient_times_input",
    "inspect",
    "integrated_gradients",
    "jacobian_norms",
    "lyapunov_spectrum",
    "mean_baselines",
    "module_activity",
    "record",
    "recurrent_spectra",
    "report_inspection",
    "state_gradients",
    "state_statistics",
    "unrolled_gradients",
    "write_inspection",
]
