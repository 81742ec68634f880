"""Reservoirs beside published errors: NARMA-10, and the Mackey-Glass series 84 steps ahead.

NARMA-10: from random inputs to the outputs of a nonlinear system of order 10, step by step (Atiya and Parlos 2000). The
sizes of the data are those of Rodan and Tino (2011): 2,000 steps to fit, 3,000 to validate with, 3,000 to test, the
first 200 of each left out. The figure is the mean squared error over the variance of the target.

Mackey-Glass: the chaotic series of delay 17 as in Jaeger (2001), section 6: tanh(y - 1) of its values, one a unit of
time; 3,000 steps, the first 1,000 left out, to fit the next value; then 1,000 steps read and 84 run freely, 50 times.
The figure is the root of the mean squared error at step 84 over the variance, in the units of y.

Settings are chosen by the mean over seeds on validation data. Each seed has a reservoir and data of its own.
"""

import argparse
import time
from dataclasses import dataclass
from itertools import product
from statistics import mean, stdev

import numpy as np
import torch
from torch import Tensor

from benchmarks._report import Table
from recurra.layers import EchoState, Reservoir
from recurra.models import RidgeReadout, RidgeSums, solve_ridge

NARMA_STATES = [
    EchoState(spectral_radius=radius, input_scale=scale)
    for radius in (0.7, 0.8, 0.9, 0.95)
    for scale in (0.05, 0.1, 0.3)
]
MACKEY_STATES = [
    EchoState(spectral_radius=0.95, leak=leak, input_scale=scale) for leak in (0.5, 0.7, 1.0) for scale in (0.5, 1.0)
]
MACKEY_PENALTIES = (1e-12, 1e-11, 1e-10, 1e-9)
WASHOUT, FREE, RUNS = 1000, 84, 50


@dataclass
class Result:
    """Errors by seed, and the seconds to make, run and fit a reservoir."""

    validation: list[float]
    test: list[float]
    seconds: list[float]


def narma(steps: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Inputs and outputs (steps, 1, 1) of the system of order 10, anew if they diverge, as they rarely do."""
    while True:
        u, y = random.uniform(0, 0.5, steps), np.zeros(steps)
        for t in range(9, steps - 1):
            y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * y[t - 9 : t + 1].sum() + 1.5 * u[t - 9] * u[t] + 0.1
        if np.abs(y).max() < 2:
            return torch.from_numpy(u)[:, None, None], torch.from_numpy(y)[:, None, None]


def mackey_glass(steps: int, random: np.random.Generator, delay: int = 17, per_step: int = 10) -> np.ndarray:
    """The series (steps,), after 1,000 steps, by the Runge-Kutta method of order 4 with 10 steps a unit of time."""
    back, size = delay * per_step, 1 / per_step
    values = np.empty(back + 1 + (steps + 1000) * per_step)
    values[: back + 1] = 1.2 + 0.2 * (random.random() - 0.5)

    def change(now: float, then: float) -> float:
        return 0.2 * then / (1 + then**10) - 0.1 * now

    for t in range(back, len(values) - 1):
        now, first, last = values[t], values[t - back], values[t - back + 1]
        between = (first + last) / 2
        a = change(now, first)
        b = change(now + size / 2 * a, between)
        c = change(now + size / 2 * b, between)
        d = change(now + size * c, last)
        values[t + 1] = now + size / 6 * (a + 2 * b + 2 * c + d)
    return values[back + 1 :: per_step][1000:]


def sums_of(features: Tensor, targets: Tensor) -> RidgeSums:
    """The sums of features (T, B, F) and targets (T, B, 1)."""
    sums = RidgeSums(features.shape[2], 1)
    sums.add(features.flatten(0, 1), targets.flatten(0, 1))
    return sums


def narma_result(state: EchoState, size: int, seeds: int) -> Result:
    result = Result([], [], [])
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        parts = [narma(steps + 10, random) for steps in (2000, 3000, 3000)]
        torch.manual_seed(seed)
        began = time.perf_counter()
        reservoir = Reservoir(state, 1, size, dtype=torch.float64)
        sums = [sums_of(torch.cat([reservoir(u)[0], u], 2)[200:], y[200:]) for u, y in parts]
        readout = solve_ridge(sums[0], sums[1])
        result.seconds.append(time.perf_counter() - began)
        for part, errors, (_, y) in (("validation", sums[1], parts[1]), ("test", sums[2], parts[2])):
            error = errors.errors(readout.weight, readout.bias) / y[200:].var(unbiased=False)
            getattr(result, part).append(float(error))
    return result


def free_error(reservoir: Reservoir, readout: RidgeReadout, series: Tensor, variance: float) -> float:
    """The error 84 steps after the first 1,000 of series (1084, B, 1)."""
    output, state = reservoir(series[:WASHOUT])
    value = series[WASHOUT - 1 : WASHOUT]
    for step in range(FREE):
        value = readout.predict(torch.cat([output[-1], value[0]], 1)).unsqueeze(0)
        if step < FREE - 1:
            output, state = reservoir(value, state)
    # In the units of the series; a run that diverged counts as one that reached the ends of tanh.
    wrong = value[0].clamp(-0.9999, 0.9999).atanh() - series[-1].atanh()
    return float((wrong.square().mean() / variance).sqrt())


def mackey_data(seed: int) -> tuple[Tensor, Tensor, Tensor, float]:
    """Steps to fit (3001, 1, 1), runs to validate and to test with (1084, B, 1), and the variance of the series."""
    steps = WASHOUT + FREE
    raw = mackey_glass(3001 + (20 + RUNS) * steps, np.random.default_rng(seed))
    series = torch.from_numpy(np.tanh(raw - 1))
    runs = series[3001:].view(-1, steps).T.unsqueeze(2)
    return series[:3001, None, None], runs[:, :20], runs[:, 20:], float(raw.var())


def mackey_result(
    state: EchoState, size: int, penalty: float, data: list[tuple[Tensor, Tensor, Tensor, float]], test: bool
) -> Result:
    result = Result([], [], [])
    for seed, (series, validation, tests, variance) in enumerate(data):
        torch.manual_seed(seed)
        began = time.perf_counter()
        reservoir = Reservoir(state, 1, size, dtype=torch.float64)
        features = torch.cat([reservoir(series[:-1])[0], series[:-1]], 2)
        readout = solve_ridge(sums_of(features[WASHOUT:], series[WASHOUT + 1 :]), penalties=[penalty])
        result.seconds.append(time.perf_counter() - began)
        result.validation.append(free_error(reservoir, readout, validation, variance))
        if test:
            result.test.append(free_error(reservoir, readout, tests, variance))
    return result


def shown(state: EchoState) -> str:
    return f"radius {state.spectral_radius}, input {state.input_scale}, leak {state.leak}"


def spread(values: list[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="of NARMA-10 (10); of Mackey-Glass half as many")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 400], help="units, of NARMA-10")
    parser.add_argument("--mackey-sizes", type=int, nargs="+", default=[400, 1000], help="units, of Mackey-Glass")
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread")
    columns = {
        "units": "4.0f",
        "chosen": "38s",
        "validation": ".3g",
        "test": ".3g",
        "deviation": ".2g",
        "seconds": ".2f",
    }
    table = Table("NARMA-10: squared error over variance", columns, options.markdown)
    for size in options.sizes:
        tried = [(narma_result(state, size, options.seeds), state) for state in NARMA_STATES]
        best, state = min(tried, key=lambda one: mean(one[0].validation))
        table.add(size, shown(state), mean(best.validation), mean(best.test), spread(best.test), mean(best.seconds))
    data = [mackey_data(seed) for seed in range(max(1, options.seeds // 2))]
    first = options.mackey_sizes[0]
    grid = [
        (mackey_result(state, first, penalty, data, test=False), state, penalty)
        for state, penalty in product(MACKEY_STATES, MACKEY_PENALTIES)
    ]
    # The geometric mean: errors spread over powers of ten.
    _, state, penalty = min(grid, key=lambda one: mean(np.log(one[0].validation)))
    print(f"\nchosen with {first} units: {shown(state)}, penalty {penalty:g} (of {MACKEY_PENALTIES})")
    columns = {"units": "4.0f", "validation": ".2e", "test": ".2e", "log10": ".2f", "worst": ".2e", "seconds": ".2f"}
    table = Table("Mackey-Glass, 84 steps ahead: root of squared error over variance", columns, options.markdown)
    for size in options.mackey_sizes:
        result = mackey_result(state, size, penalty, data, test=True)
        log10 = mean(np.log10(result.test))
        table.add(size, mean(result.validation), mean(result.test), log10, max(result.test), mean(result.seconds))


if __name__ == "__main__":
    main()
