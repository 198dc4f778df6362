"""Integer noise by OpenDP and by `nexus-privacy`: do the two samples come from one distribution?

    python3 bench/peers/samplers.py target/release/examples/samplers

Chi-square of two samples over cells of about equal mass, given in deviations from what equal
distributions give: above 5 the exit code is 1. Our seeds are fixed; OpenDP draws from the system. A
third sample of ours, a twentieth wider, shows what the test
sees.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import opendp.prelude as dp

from measure import machine, note

CELLS, LIMIT, WIDER = 200, 5.0, 1.05

# Kind of ours, width.
SAMPLES = [("gaussian", 6), ("gaussian", 1000), ("fast", 1000), ("fast", 1_000_000), ("laplace", 50)]


def ours(program: str, kind: str, width: float, count: int, seed: int) -> dict:
    command = [program, kind, str(width), str(count), str(seed)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def theirs(kind: str, width: float, count: int) -> tuple[list[int], float]:
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T=int))
    if kind == "laplace":
        noise = dp.m.make_laplace(domain, dp.l1_distance(T=int), scale=width)
    else:
        noise = dp.m.make_gaussian(domain, dp.l2_distance(T=int), scale=width)
    start = time.process_time()
    values = noise([0] * count)
    return values, time.process_time() - start


def deviations(first: np.ndarray, second: np.ndarray) -> float:
    """Chi-square of two samples of one size, standardised."""
    pooled = np.sort(np.concatenate([first, second]))
    edges = np.unique(pooled[:: len(pooled) // CELLS])[1:]
    counts = [np.bincount(np.searchsorted(edges, sample, "right")) for sample in (first, second)]
    a, b = (np.pad(count, (0, len(edges) + 1 - len(count))).astype(float) for count in counts)
    freedom = len(a) - 1
    return float((((a - b) ** 2 / (a + b)).sum() - freedom) / np.sqrt(2 * freedom))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", default="target/release/examples/samplers")
    parser.add_argument("--count", type=int, default=200_000)
    arguments = parser.parse_args()
    note(machine())
    print(f"{machine()}; OpenDP {dp.__version__ if hasattr(dp, '__version__') else ''}\n")
    print("| sample | deviations | a wider one | CPU ns a draw, OpenDP | ours |\n|---|---|---|---|---|")
    worst = 0.0
    for seed, (kind, width) in enumerate(SAMPLES):
        mine = ours(arguments.program, kind, width, arguments.count, seed)
        wider = ours(arguments.program, kind, WIDER * width, arguments.count, seed)
        values, seconds = theirs(kind, mine["width"], arguments.count)
        samples = (np.array(found) for found in (mine["values"], values, wider["values"]))
        first, second, third = samples
        found, seen = deviations(first, second), deviations(third, second)
        worst = max(worst, found)
        costs = (1e9 * s / arguments.count for s in (seconds, mine["seconds"]))
        cells = [f"{kind}, width {mine['width']:g}", f"{found:.2f}", f"{seen:.1f}"]
        print("| " + " | ".join([*cells, *(f"{cost:,.0f}" for cost in costs)]) + " |", flush=True)
    if worst > LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
