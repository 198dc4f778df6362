"""Differentially private training on one thread: Opacus and `nexus-learning`, in turn.

    cargo build --release -p bench --examples
    python3 bench/peers/private_training.py target/release/examples/private_throughput

Both sides sample rows by independent coins (Poisson) at a rate that gives batches of 256 on
average, clip every row's gradient to 1, add Gaussian noise of deviation 1.1 and take a step of
plain SGD; one pass to warm up, one timed. Models and data are those of `training.py`. Opacus runs
as its users run it, `PrivacyEngine.make_private` with a DataLoader over tensors in memory, in the
modes `hooks` (its default), `ew` and `ghost`. Ours: `plain` is training without privacy, `float` adds
noise in floats, as Opacus does, `exact` discrete Gaussian noise on the grid of a secure sum;
`padded` computes the same number of rows in every step, so that time does not tell how many were
drawn, which Opacus does not.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402 (threads are counted when it is imported)
from torch import nn  # noqa: E402

from measure import machine, note, spread  # noqa: E402
from training import BATCH, RATE, data, network  # noqa: E402

warnings.filterwarnings("ignore")
from opacus import PrivacyEngine  # noqa: E402

SIGMA, CLIP = 1.1, 1.0
THEIRS = {"mlp": {"ghost": 15_360, "hooks": 2_560}, "cnn": {"ghost": 2_560, "hooks": 2_560, "ew": 2_560}}
OURS = ["plain", "float", "float-padded", "exact-padded"]
OUR_SAMPLES = {"mlp": 60_160, "cnn": 15_360}


def opacus_run(name: str, mode: str, samples: int) -> dict:
    """One timed epoch."""
    torch.manual_seed(1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data(samples)), BATCH)
    model = network(name)
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    settings = {"noise_multiplier": SIGMA, "max_grad_norm": CLIP, "grad_sample_mode": mode}
    loss, engine = nn.CrossEntropyLoss(), PrivacyEngine()
    if mode == "ghost":
        model, optimiser, loss, loader = engine.make_private(
            module=model, optimizer=optimiser, data_loader=loader, criterion=loss, **settings
        )
    else:
        model, optimiser, loader = engine.make_private(
            module=model, optimizer=optimiser, data_loader=loader, **settings
        )

    def epoch() -> int:
        seen = 0
        for x, y in loader:
            optimiser.zero_grad()
            loss(model(x), y).backward()
            optimiser.step()
            seen += len(x)
        return seen

    epoch()
    wall, cpu = time.perf_counter(), time.process_time()
    seen = epoch()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"samples": seen, "wall_s": wall, "cpu_s": cpu}


def our_run(program: str, name: str, mode: str) -> dict:
    command = [program, name, mode, str(OUR_SAMPLES[name])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", default="target/release/examples/private_throughput")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=list(THEIRS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    note(machine())
    print(f"{machine()}, torch {torch.__version__}, one thread each; samples per second of")
    print("processor time, which is wall time on an idle machine;")
    print(f"median [least, most] of {arguments.repeat} runs in turn\n")
    print("| model | side | samples/s | times the fastest Opacus mode |\n|---|---|---|---|")
    for name in arguments.models:
        speeds: dict[str, list[float]] = {}
        for _ in range(arguments.repeat):
            runs = [(f"Opacus {mode}", opacus_run(name, mode, n)) for mode, n in THEIRS[name].items()]
            runs += [(f"ours {mode}", our_run(arguments.program, name, mode)) for mode in OURS]
            for side, run in runs:
                speeds.setdefault(side, []).append(run["samples"] / run["cpu_s"])
                note(f"{name} {side}: {speeds[side][-1]:,.0f}/s, {run['cpu_s'] / run['wall_s']:.0%} of a CPU")
        best = max(statistics.median(all_) for side, all_ in speeds.items() if "Opacus" in side)
        for side, all_ in speeds.items():
            ratio = statistics.median(all_) / best
            print(f"| {name} | {side} | {spread(all_, ',.0f')} | {ratio:.2f}x |")


if __name__ == "__main__":
    main()
