"""Training speed on one thread: torch and `nexus-learning`, several times in turn.

    cargo build --release -p bench --examples
    python3 bench/peers/training.py target/release/examples/throughput

Both sides train with batches of 256 gathered in random order from the same kind of data (ten
prototypes of 28 x 28 pixels with noise), plain SGD, softmax cross-entropy; one epoch to warm up,
one timed. Models: MLP 784-256-10, and the convolutional network of Opacus' MNIST example (26,010
parameters). torch runs eagerly on tensors in memory, without a DataLoader.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402 (threads are counted when it is imported)
from torch import nn  # noqa: E402

from measure import machine, note, spread  # noqa: E402

BATCH, RATE = 256, 0.05
SAMPLES = {"mlp": 60_160, "cnn": 15_360}
CONTENDED = 0.95


def network(name: str) -> nn.Module:
    if name == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    first = [nn.Conv2d(1, 16, 8, 2, padding=3), nn.ReLU(), nn.MaxPool2d(2, 1)]
    second = [nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Flatten()]
    return nn.Sequential(*first, *second, nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10))


def data(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    prototypes = torch.randn(10, 1, 28, 28, generator=random)
    labels = torch.randint(10, (samples,), generator=random)
    noise = torch.randn(samples, 1, 28, 28, generator=random)
    return prototypes[labels] + noise, labels


def torch_run(name: str) -> dict:
    """One timed epoch."""
    torch.manual_seed(1)
    x, y = data(SAMPLES[name])
    model, loss = network(name), nn.CrossEntropyLoss()
    step = torch.optim.SGD(model.parameters(), lr=RATE)

    def epoch() -> None:
        order = torch.randperm(len(x))
        for at in range(0, len(x), BATCH):
            batch = order[at : at + BATCH]
            step.zero_grad()
            loss(model(x[batch]), y[batch]).backward()
            step.step()

    epoch()
    wall, cpu = time.perf_counter(), time.process_time()
    epoch()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"samples": len(x), "wall_s": wall, "cpu_s": cpu}


def our_run(program: str, name: str) -> dict:
    command = [program, name, str(SAMPLES[name]), str(BATCH)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", default="target/release/examples/throughput")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    note(machine())
    print(f"{machine()}, torch {torch.__version__}, one thread each; samples per second of")
    print("processor time, which is wall time on an idle machine;")
    print(f"median [least, most] of {arguments.repeat} runs in turn\n")
    print("| model | torch | ours | ratio of medians | pairwise |\n|---|---|---|---|---|")
    for name in SAMPLES:
        speeds: dict[str, list[float]] = {"torch": [], "ours": []}
        for _ in range(arguments.repeat):
            for side, run in (("torch", torch_run(name)), ("ours", our_run(arguments.program, name))):
                share = run["cpu_s"] / run["wall_s"]
                warning = "" if share > CONTENDED else "  (another program took the processor)"
                speeds[side].append(run["samples"] / run["cpu_s"])
                note(f"{name} {side}: {speeds[side][-1]:,.0f}/s, {share:.0%} of a CPU{warning}")
        theirs, ours = speeds["torch"], speeds["ours"]
        ratio = statistics.median(ours) / statistics.median(theirs)
        pairs = spread([o / t for o, t in zip(ours, theirs)], ".2f")
        print(f"| {name} | {spread(theirs, ',.0f')} | {spread(ours, ',.0f')} | {ratio:.2f}x | {pairs} |")


if __name__ == "__main__":
    main()
