"""The main job, once by Flower's simulation and once by `nexus run`, several times in turn.

    python3 bench/peers/federated.py target/release/nexus

Both sides: ten owners, handwritten digits, MLP 64-64-10, FedAvg, 5 rounds of 5 local epochs, SGD
with rate 0.1 and momentum 0.9, batches of 32, updates in the clear. Flower's clients are written
in numpy, the lightest way to write them. A fifth of the 1,797 rows is kept for testing on both
sides, but not the same fifth, so accuracies differ by chance.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

from measure import machine, measured, note, spread

OWNERS, ROUNDS, EPOCHS, BATCH, RATE, MOMENTUM = 10, 5, 5, 32, 0.1, 0.9

JOB = f"""
[data]
builtin = "digits"
owners = {OWNERS}
[model]
kind = "mlp"
hidden = [64]
[training]
rounds = {ROUNDS}
local_epochs = {EPOCHS}
batch_size = {BATCH}
learning_rate = {RATE}
momentum = {MOMENTUM}
[aggregation]
suite = "clear"
"""


def flower_child(seed: int) -> None:
    """Runs the job in Flower 1.42 and prints the accuracy of its last round."""
    import numpy as np
    from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    def rows():
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(x))
        return (x[order] / 16).astype(np.float32), y[order]

    def initial():
        random = np.random.default_rng(seed + 1)
        shapes = [((64, 64), 64), ((64,), 64), ((64, 10), 64), ((10,), 64)]
        limits = [(shape, 1 / np.sqrt(fan_in)) for shape, fan_in in shapes]
        return [random.uniform(-l, l, shape).astype(np.float32) for shape, l in limits]

    def forward(p, x):
        hidden = np.maximum(x @ p[0] + p[1], 0)
        return hidden, hidden @ p[2] + p[3]

    def gradient(p, x, y):
        hidden, logits = forward(p, x)
        logits -= logits.max(axis=1, keepdims=True)
        delta = np.exp(logits)
        delta /= delta.sum(axis=1, keepdims=True)
        delta[np.arange(len(y)), y] -= 1
        delta /= len(y)
        back = (delta @ p[2].T) * (hidden > 0)
        return [x.T @ back, back.sum(axis=0), hidden.T @ delta, delta.sum(axis=0)]

    client_app, server_app = ClientApp(), ServerApp()

    @client_app.train()
    def train(message, context):
        x, y = rows()
        part = np.array_split(np.arange(1437), OWNERS)[context.node_config["partition-id"]]
        p = message.content["arrays"].to_numpy_ndarrays()
        velocity = [np.zeros_like(each) for each in p]
        random = np.random.default_rng([seed, int(part[0]), message.content["config"]["server-round"]])
        for _ in range(EPOCHS):
            order = random.permutation(part)
            for at in range(0, len(order), BATCH):
                batch = order[at : at + BATCH]
                for v, w, g in zip(velocity, p, gradient(p, x[batch], y[batch])):
                    v *= MOMENTUM
                    v += g
                    w -= RATE * v
        metrics = MetricRecord({"num-examples": len(part)})
        content = RecordDict({"arrays": ArrayRecord(p), "metrics": metrics})
        return Message(content=content, reply_to=message)

    @server_app.main()
    def main(grid, context):
        x, y = rows()
        x, y = x[1437:], y[1437:]

        def accuracy(_round, arrays):
            _, logits = forward(arrays.to_numpy_ndarrays(), x)
            return MetricRecord({"accuracy": float((logits.argmax(axis=1) == y).mean())})

        strategy = FedAvg(fraction_evaluate=0.0, min_available_nodes=OWNERS)
        result = strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(initial()),
            num_rounds=ROUNDS,
            train_config=ConfigRecord({}),
            evaluate_fn=accuracy,
        )
        last = result.evaluate_metrics_serverapp[ROUNDS]["accuracy"]
        print(json.dumps({"accuracy": last}), flush=True)

    backend = {"init_args": {"num_cpus": 2}, "client_resources": {"num_cpus": 1, "num_gpus": 0}}
    run_simulation(server_app, client_app, num_supernodes=OWNERS, backend_config=backend)


def flower(seed: int) -> dict:
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    cost, text = measured([sys.executable, __file__, "--child", str(seed)], quiet)
    last = [line for line in text.splitlines() if line.startswith('{"accuracy"')][-1]
    return {**vars(cost), **json.loads(last)}


def nexus(program: str, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as runs:
        job = pathlib.Path(runs, "job.toml")
        job.write_text(JOB)
        command = [program, "run", str(job), "--no-baselines", "--json", "-q"]
        cost, text = measured([*command, "--seed", str(seed), "--runs", runs])
    summary = json.loads(text)
    # A process of some ten milliseconds is over before its pages are counted from outside.
    own = summary["peak_rss_bytes"] / 2**20
    accuracy = summary["metrics"]["test_accuracy"]
    return {**vars(cost), "peak_pss_mib": max(cost.peak_pss_mib, own), "accuracy": accuracy}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nexus", nargs="?", default="target/release/nexus")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        flower_child(arguments.child)
        return
    note(machine())
    sides = {"Flower 1.42": [], "nexus run": []}
    for seed in range(1, arguments.repeat + 1):
        sides["Flower 1.42"].append(flower(seed))
        sides["nexus run"].append(nexus(arguments.nexus, seed))
        for name, runs in sides.items():
            note(name, json.dumps(runs[-1]))
    rows = [
        ("wall, s", "wall_s"),
        ("processor, s", "cpu_s"),
        ("peak memory, MiB", "peak_pss_mib"),
        ("processes", "processes"),
        ("test accuracy", "accuracy"),
    ]
    print(f"{machine()}; median [least, most] of {arguments.repeat} runs in turn\n")
    print("| | Flower 1.42 | nexus run | ratio of medians |\n|---|---|---|---|")
    for label, key in rows:
        theirs, ours = ([run[key] for run in runs] for runs in sides.values())
        ratio = f"{statistics.median(theirs) / statistics.median(ours):.1f}x"
        ratio = "" if key in ("accuracy", "processes") else ratio
        print(f"| {label} | {spread(theirs)} | {spread(ours)} | {ratio} |")


if __name__ == "__main__":
    main()
