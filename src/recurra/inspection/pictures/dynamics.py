"""Pictures of the dynamics: Lyapunov spectra and eigenvalues of recurrent weights."""

from pathlib import Path

import numpy as np

from recurra.inspection.lyapunov import LyapunovSpectrum
from recurra.inspection.pictures.style import COLOURS, GREY, finish, panels, save
from recurra.inspection.spectra import RecurrentSpectrum

__all__ = ["draw_lyapunov", "draw_recurrent_spectra"]

_LOWEST = -8.0  # exponents below it are plotted there: the direction is lost within a step


def draw_lyapunov(spectra: tuple[LyapunovSpectrum, ...], path: Path) -> None:
    """The exponents of each layer, from the largest down."""
    figure, (ax,) = panels(1, width=8, height=3.6)
    for colour, spectrum in zip(COLOURS * len(spectra), spectra, strict=False):
        shown = np.maximum(spectrum.exponents, _LOWEST)
        indices = np.arange(1, len(shown) + 1)
        label = f"{spectrum.name}: largest {spectrum.largest:+.3f}"
        ax.fill_between(
            indices, shown - spectrum.spread, shown + spectrum.spread, color=colour, alpha=0.15, linewidth=0
        )
        ax.plot(indices, shown, color=colour, marker="o" if len(shown) < 60 else None, markersize=2.5, label=label)
    ax.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    finish(ax, "Lyapunov exponents", "index", "growth of a small change (1/step)")
    ax.legend(frameon=False, fontsize=8)
    save(figure, path)


def draw_recurrent_spectra(spectra: tuple[RecurrentSpectrum, ...], path: Path) -> None:
    """The eigenvalues of the recurrent weights in the complex plane, a panel a layer, a colour a gate."""
    names = list(dict.fromkeys(spectrum.name for spectrum in spectra))
    figure, axes = panels(len(names), across=4, width=max(5.0, 3.3 * min(4, len(names))), height=3.5)
    angles = np.linspace(0, 2 * np.pi, 200)
    reach = 1.1 * max(1.0, *(spectrum.radius for spectrum in spectra))
    for ax, name in zip(axes, names, strict=True):
        ax.plot(np.cos(angles), np.sin(angles), color=GREY, linewidth=0.8, linestyle=":")
        for colour, spectrum in zip(COLOURS, (s for s in spectra if s.name == name), strict=False):
            values = spectrum.eigenvalues
            label = f"{spectrum.gate}: radius {spectrum.radius:.2f}"
            ax.scatter(np.real(values), np.imag(values), s=9, color=colour, alpha=0.7, linewidth=0, label=label)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        finish(ax, name, "real part", "imaginary part")
        ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    save(figure, path)
