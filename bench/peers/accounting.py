"""Epsilon of subsampled Gaussians, by dp-accounting and by `nexus-privacy`, several times in turn.

    python3 bench/peers/accounting.py target/release/examples/accounting

Both sides: privacy-loss distribution on a grid of 1e-4, connect-the-dots, one row added and one
removed, composed by FFT, epsilon at delta; and the RDP accountant. Processor time of the computation
alone: neither the start of a process nor imports are counted, and each side runs a figure once
before it is timed.
"""

import argparse
import json
import statistics
import subprocess
import time

from dp_accounting import dp_event
from dp_accounting.pld import privacy_loss_distribution
from dp_accounting.rdp import RdpAccountant

from measure import machine, note, spread

GRID = 1e-4

# Rate, sigma, steps, delta.
QUERIES = [
    (0.00426667, 1.1, 2340, 1e-5),
    (0.00426667, 0.6, 2340, 1e-5),
    (0.01, 1.0, 10_000, 1e-5),
    (0.1, 2.0, 1000, 1e-6),
    (1.0, 10.0, 100, 1e-5),
    (0.02, 0.8, 500, 1e-6),
]


def their_pld(rate: float, sigma: float, steps: int, delta: float) -> float:
    loss = privacy_loss_distribution.from_gaussian_mechanism(
        sigma, sampling_prob=rate, value_discretization_interval=GRID
    )
    return loss.self_compose(steps).get_epsilon_for_delta(delta)


def their_rdp(rate: float, sigma: float, steps: int, delta: float) -> float:
    sampled = dp_event.PoissonSampledDpEvent(rate, dp_event.GaussianDpEvent(sigma))
    accountant = RdpAccountant()
    accountant.compose(sampled, steps)
    return accountant.get_epsilon(delta)


def timed(figure, query: tuple) -> tuple[float, float]:
    start = time.process_time()
    epsilon = figure(*query)
    return epsilon, time.process_time() - start


def theirs(query: tuple) -> dict:
    epsilon, pld_s = timed(their_pld, query)
    rdp_epsilon, rdp_s = timed(their_rdp, query)
    return {"epsilon": epsilon, "pld_s": pld_s, "rdp_epsilon": rdp_epsilon, "rdp_s": rdp_s}


def ours(program: str, query: tuple) -> dict:
    command = [program, *map(str, query), "3"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if found["grid"] != GRID:
        note(f"ours used a grid of {found['grid']} for {query}")
    return {**found, **{key: statistics.median(found[key]) for key in ("pld_s", "rdp_s")}}


def report(query: tuple, sides: list[list[dict]], figure: str) -> str:
    epsilon = "epsilon" if figure == "pld" else "rdp_epsilon"
    their_s, our_s = ([1e3 * run[f"{figure}_s"] for run in runs] for runs in sides)
    ratio = statistics.median(their_s) / statistics.median(our_s)
    values = [f"{runs[0][epsilon]:.6f}" for runs in sides]
    rate, sigma, steps, delta = query
    cells = [f"{figure.upper()}: q {rate:.5g}, sigma {sigma}, {steps} steps, delta {delta:g}"]
    return "| " + " | ".join([*cells, *values, spread(their_s), spread(our_s), f"{ratio:.0f}x"]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", default="target/release/examples/accounting")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    note(machine())
    theirs(QUERIES[0])
    found = {query: [[], []] for query in QUERIES}
    for _ in range(arguments.repeat):
        for query, sides in found.items():
            sides[0].append(theirs(query))
            sides[1].append(ours(arguments.program, query))
            note(query, *(f"{1e3 * side[-1]['pld_s']:.3g} ms" for side in sides))
    print(f"{machine()}; median [least, most] of {arguments.repeat} runs in turn\n")
    print("| query | epsilon, dp-accounting | ours | CPU ms, dp-accounting | ours | ratio |")
    print("|---|---|---|---|---|---|")
    for figure in ("pld", "rdp"):
        for query, sides in found.items():
            print(report(query, sides, figure))


if __name__ == "__main__":
    main()
