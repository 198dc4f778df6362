"""One sum by Flower's SecAgg+: what each stage costs the server and a client; then one by ours.

    OMP_NUM_THREADS=1 python3 bench/peers/flower_secagg.py 100 100000 31 21 0.1

Needs `cargo build --release -p bench --example secagg_plus`; without it, Flower's side alone. Our
degree and threshold are computed, for a tenth of corrupt owners; Flower's are the arguments.

The stages of Flower's own workflow (`SecAggPlusWorkflow`) run against its own client module
(`secaggplus_mod`), joined by a grid that calls the module for each message in this process. A
share of the clients fails when masked vectors are collected. Training is a stub that returns a
stored vector, and is not counted; nor is any transport. The sum is checked.
"""

import argparse
import json
import logging
import os
import pathlib
import random
import statistics
import subprocess
import time
from collections import defaultdict

import numpy as np
from measure import machine, note, spread

import flwr
import flwr.compat.common.recorddict_compat as compat
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.client.mod.secure_aggregation.secaggplus_mod import secaggplus_mod
from flwr.common import (
    Code,
    FitRes,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.server.client_manager import SimpleClientManager
from flwr.server.client_proxy import ClientProxy
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.server_config import ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from flwr.server.workflow.secure_aggregation.secaggplus_workflow import (
    SecAggPlusWorkflow,
    WorkflowState,
)
from flwr.supercore.task_identity import TaskIdentity

STAGES = ["setup", "share_keys", "collect_masked_vectors", "unmask"]
MASKING = "collect_masked_vectors"
CONFIGS = "secaggplus_configs"
KEYS = ("server_s", "client_ms", "upload_bytes")


class Proxy(ClientProxy):
    """A client that is never called: the grid answers in its place."""

    def __init__(self, node_id: int) -> None:
        super().__init__(str(node_id))
        self.node_id = node_id

    def _unused(self, *_args, **_kwargs) -> None:
        raise NotImplementedError

    get_properties = get_parameters = fit = evaluate = reconnect = _unused


def payload_bytes(record: RecordDict) -> int:
    """Bytes of a message's values, names and frames left out."""
    size = lambda value: len(value) if isinstance(value, (bytes, str)) else 8
    configs = (value for config in record.config_records.values() for value in config.values())
    flat = (part for value in configs for part in (value if isinstance(value, list) else [value]))
    arrays = (array for arrays in record.array_records.values() for array in arrays.values())
    return sum(map(size, flat)) + sum(len(array.data) for array in arrays)


class Grid:
    """Calls the clients' module where a network would be, and keeps the accounts."""

    def __init__(self, vectors: dict[int, np.ndarray], dropped: set[int]) -> None:
        self.vectors, self.dropped = vectors, dropped
        self.contexts = {
            node: Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={})
            for node in vectors
        }
        self.client_s, self.upload = defaultdict(float), defaultdict(int)
        self.answers = defaultdict(int)
        self.inside_s = 0.0

    def send_and_receive(self, messages, timeout=None):
        began = time.process_time()
        answers = [self.answer(message) for message in messages]
        self.inside_s += time.process_time() - began
        return answers

    def answer(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        stage = str(message.content.config_records[CONFIGS]["stage"])
        if stage == MASKING and node in self.dropped:
            return Message(Error(code=1, reason="dropped out"), reply_to=message)
        configs = {k: ConfigRecord(dict(v)) for k, v in message.content.config_records.items()}
        copy = RecordDict({**configs, **dict(message.content.array_records.items())})
        received = Message(copy, dst_node_id=node, message_type="train", group_id="1")
        training_s = 0.0

        def trained(received: Message, _context: Context) -> Message:
            nonlocal training_s
            began = time.process_time()
            parameters = ndarrays_to_parameters([self.vectors[node]])
            result = FitRes(Status(Code.OK, ""), parameters, 10, {})
            answer = Message(compat.fitres_to_recorddict(result, False), reply_to=received)
            training_s = time.process_time() - began
            return answer

        began = time.process_time()
        answer = secaggplus_mod(received, self.contexts[node], trained)
        self.client_s[stage] += time.process_time() - began - training_s
        self.upload[stage] += payload_bytes(answer.content)
        self.answers[stage] += 1
        return Message(answer.content, reply_to=message)


def server_context(nodes: list[int], length: int) -> LegacyContext:
    manager = SimpleClientManager()
    for node in nodes:
        manager.register(Proxy(node))
    strategy = FedAvg(
        fraction_fit=1.0, min_fit_clients=len(nodes), min_available_clients=len(nodes)
    )
    state = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
    context = LegacyContext(state, ServerConfig(1), strategy, manager)
    zeros = ndarrays_to_parameters([np.zeros(length, np.float32)])
    context.state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(zeros, True)
    rounds = ConfigRecord({Key.CURRENT_ROUND: 1, Key.START_TIME: 0.0})
    context.state.config_records[MAIN_CONFIGS_RECORD] = rounds
    return context


def secagg(arguments: argparse.Namespace, seed: int) -> dict:
    """One sum; what each stage cost, in CPU seconds and bytes."""
    random.seed(seed)
    draw = np.random.default_rng(seed)
    nodes = list(range(1, arguments.clients + 1))
    dropped = set(random.sample(nodes, round(arguments.drop * len(nodes))))
    vectors = {node: draw.uniform(-1, 1, arguments.length).astype(np.float32) for node in nodes}
    grid, context = Grid(vectors, dropped), server_context(nodes, arguments.length)
    workflow = SecAggPlusWorkflow(
        num_shares=arguments.shares,
        reconstruction_threshold=arguments.threshold,
        max_weight=10.0,
    )
    state, server_s = WorkflowState(), {}
    for stage in STAGES:
        inside_s, began = grid.inside_s, time.process_time()
        if not getattr(workflow, f"{stage}_stage")(grid, context, state):
            raise RuntimeError(f"Flower gave up in {stage}")
        server_s[stage] = time.process_time() - began - (grid.inside_s - inside_s)
    record = context.state.array_records[MAIN_PARAMS_RECORD]
    (mean,) = parameters_to_ndarrays(compat.arrayrecord_to_parameters(record, True))
    expected = np.mean([vectors[node] for node in nodes if node not in dropped], axis=0)
    error = float(np.max(np.abs(mean - expected)))
    if error > 1e-4:
        raise RuntimeError(f"the mean is off by {error}")
    share = lambda total, stage: total[stage] / grid.answers[stage]
    return {
        "server_s": server_s,
        "client_ms": {stage: 1e3 * share(grid.client_s, stage) for stage in STAGES},
        "upload_bytes": {stage: round(share(grid.upload, stage)) for stage in STAGES},
        "error": error,
    }


def ours(arguments: argparse.Namespace) -> list[dict]:
    """The same sum by our program, as often."""
    dropped = round(arguments.drop * arguments.clients)
    numbers = [arguments.clients, arguments.length, dropped, arguments.repeat]
    command = [arguments.program, "--json", *map(str, numbers)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clients", type=int, nargs="?", default=100)
    parser.add_argument("length", type=int, nargs="?", default=100_000)
    parser.add_argument("shares", type=int, nargs="?", default=31)
    parser.add_argument("threshold", type=int, nargs="?", default=21)
    parser.add_argument("drop", type=float, nargs="?", default=0.1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--program", default="target/release/examples/secagg_plus")
    arguments = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        note("OMP_NUM_THREADS is not 1: idle threads of numpy may be counted")
    logging.getLogger("flwr").setLevel(logging.ERROR)
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    note(machine())
    runs = []
    for seed in range(1, arguments.repeat + 1):
        runs.append(secagg(arguments, seed))
        note(json.dumps(runs[-1]))
    report(arguments, runs)


def report(arguments: argparse.Namespace, runs: list[dict]) -> None:
    print(
        f"Flower {flwr.__version__}, {arguments.clients} clients, {arguments.length} values, "
        f"{arguments.threshold} of {arguments.shares} shares, {arguments.drop:.0%} drop out; "
        f"median [least, most] of {arguments.repeat}\n"
    )
    print("| stage | server, CPU s | a client, CPU ms | its upload, bytes |\n|---|---|---|---|")
    for stage in STAGES:
        print(row(stage, [{key: run[key][stage] for key in KEYS} for run in runs]))
    totals = [{key: sum(run[key].values()) for key in KEYS} for run in runs]
    print(row("all", totals))
    if pathlib.Path(arguments.program).exists():
        compared = ours(arguments)
        print(row("`secagg_plus`", compared))
        ratios = [median(totals, key) / median(compared, key) for key in KEYS]
        print("| ratio of medians |", " | ".join(f"{ratio:.1f}x" for ratio in ratios), "|")


def median(runs: list[dict], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def row(name: str, runs: list[dict]) -> str:
    server, client, _ = (spread([run[key] for run in runs]) for key in KEYS)
    return f"| {name} | {server} | {client} | {median(runs, KEYS[2]):,.0f} |"


if __name__ == "__main__":
    main()
