"""Pictures of the dynamics: Lyapunov spectra and eigenvalues of recurrent weights."""

from pathlib import Path

import numpy as np

from recurra.inspection.lyapunov import LyapunovSpectrum
from recurra.inspection.pictures.style import COLOURS, GREY, finish, panels, save
from recurra.inspection.pictures.values import Curve, Picture, Values
from recurra.inspection.spectra import RecurrentSpectrum

__all__ = ["draw_lyapunov", "draw_recurrent_spectra"]

_LOWEST = -8.0  # exponents below it are plotted there: the direction is lost within a step


def draw_lyapunov(spectra: tuple[LyapunovSpectrum, ...], path: Path) -> Picture:
    """The exponents of each layer, from the largest down."""
    figure, (ax,) = panels(1, width=8, height=3.6)
    curves = []
    for colour, spectrum in zip(COLOURS * len(spectra), spectra, strict=False):
        shown = np.maximum(spectrum.exponents, _LOWEST)
        indices = np.arange(1, len(shown) + 1)
        label = f"{spectrum.name}: largest {spectrum.largest:+.3f}"
        ax.fill_between(
            indices, shown - spectrum.spread, shown + spectrum.spread, color=colour, alpha=0.15, linewidth=0
        )
        ax.plot(indices, shown, color=colour, marker="o" if len(shown) < 60 else None, markersize=2.5, label=label)
        curves += [
            Curve(f"{spectrum.name} (1/step)", spectrum.exponents, colour),
            Curve(f"{spectrum.name}, deviation over sequences", spectrum.spread),
        ]
    ax.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    finish(ax, "Lyapunov exponents", "index", "growth of a small change (1/step)")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    indices = np.arange(1, max(len(spectrum.exponents) for spectrum in spectra) + 1)
    return save(figure, path, {ax: Values([f"exponent {index}" for index in indices], indices, curves)})


def draw_recurrent_spectra(spectra: tuple[RecurrentSpectrum, ...], path: Path) -> Picture:
    """The eigenvalues of the recurrent weights in the complex plane, a panel a layer, a colour a gate."""
    names = list(dict.fromkeys(spectrum.name for spectrum in spectra))
    figure, axes = panels(len(names), across=4, width=max(5.0, 3.3 * min(4, len(names))), height=3.5)
    angles = np.linspace(0, 2 * np.pi, 200)
    reach = 1.1 * max(1.0, *(spectrum.radius for spectrum in spectra))
    values = {}
    for ax, name in zip(axes, names, strict=True):
        here = [spectrum for spectrum in spectra if spectrum.name == name]
        values[ax] = _eigenvalues(here)
        ax.plot(np.cos(angles), np.sin(angles), color=GREY, linewidth=0.8, linestyle=":")
        for colour, spectrum in zip(COLOURS, here, strict=False):
            numbers = spectrum.eigenvalues
            label = f"{spectrum.gate}: radius {spectrum.radius:.2f}"
            ax.scatter(np.real(numbers), np.imag(numbers), s=18, color=colour, alpha=0.85, linewidth=0, label=label)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        finish(ax, name, "real part", "imaginary part")
        ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return save(figure, path, values)


def _eigenvalues(spectra: list[RecurrentSpectrum]) -> Values:
    points = [s.gate for s in spectra for _ in s.eigenvalues]
    numbers = np.concatenate([spectrum.eigenvalues for spectrum in spectra])
    real, imaginary = np.real(numbers), np.imag(numbers)
    curves = Curve("real part", real), Curve("imaginary part", imaginary), Curve("absolute value", np.abs(numbers))
    return Values(points, real, curves, imaginary, heading=f"{spectra[0].name}: eigenvalue of gate ")
