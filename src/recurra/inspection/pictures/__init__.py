"""Pictures of the results, each from its figures alone: a PNG, and the values that it says where a reader points."""

from recurra.inspection.pictures.attribution import draw_attribution
from recurra.inspection.pictures.dynamics import draw_lyapunov, draw_recurrent_spectra
from recurra.inspection.pictures.memory import draw_forgetting, draw_gradient_by_lag, draw_jacobian_norms
from recurra.inspection.pictures.modules import draw_module_activity
from recurra.inspection.pictures.units import draw_gates, draw_states
from recurra.inspection.pictures.unrolled import draw_unrolled
from recurra.inspection.pictures.values import Picture

__all__ = [
    "Picture",
    "draw_attribution",
    "draw_forgetting",
    "draw_gates",
    "draw_gradient_by_lag",
    "draw_jacobian_norms",
    "draw_lyapunov",
    "draw_module_activity",
    "draw_recurrent_spectra",
    "draw_states",
    "draw_unrolled",
]
