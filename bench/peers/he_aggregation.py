"""Sums of encrypted updates: TenSEAL at NVFlare's settings and `nexus-he`, in turn, processor time.

    cargo build --release -p bench --example he_aggregation --features paillier
    python3 bench/peers/he_aggregation.py target/release/examples/he_aggregation

A million parameters, one thread on both sides. TenSEAL: CKKS, degree 8192, primes of 60, 40 and 40
bits, scale 2^40, public key, 4096 numbers in a vector; its sums are approximate. Ours: integers of 16
bits, room for 1,024 clients, exact. Adding is memory to memory on both sides; writing and reading are
apart.
"""

import argparse
import json
import random
import statistics
import subprocess
import time

import tenseal as ts

from measure import machine

SLOTS = 4096


def timed(work):
    before = time.process_time()
    done = work()
    return done, 1e3 * (time.process_time() - before)


def tenseal_run(values: int) -> dict:
    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, -1, [60, 40, 40], n_threads=1)
    context.global_scale = 2**40
    draw = random.Random(1)
    parts = [
        [draw.uniform(-1, 1) for _ in range(min(SLOTS, values - at))]
        for at in range(0, values, SLOTS)
    ]
    plain = [ts.plain_tensor(part) for part in parts]
    sealed, encrypt = timed(lambda: [ts.ckks_vector(context, part) for part in plain])
    sums = [ts.ckks_vector(context, part) for part in plain]
    add = statistics.median(
        timed(lambda: [sum.add_(own) for sum, own in zip(sums, sealed)])[1] for _ in range(3)
    )
    written, write = timed(lambda: [own.serialize() for own in sealed])
    _, read = timed(lambda: [ts.ckks_vector_from(context, own) for own in written])
    _, decrypt = timed(lambda: [sum.decrypt() for sum in sums])
    return {
        "encrypt_ms": encrypt,
        "write_ms": write,
        "read_ms": read,
        "add_ms": add,
        "decrypt_ms": decrypt,
        "bytes_per_value": sum(map(len, written)) / values,
    }


def our_run(program: str, values: int) -> dict:
    command = [program, str(values)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {it["scheme"]: it for it in map(json.loads, out.splitlines())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", default="target/release/examples/he_aggregation")
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    pairs = []
    for _ in range(arguments.repeat):
        theirs = tenseal_run(arguments.values)
        ours = our_run(arguments.program, arguments.values)
        pairs.append((theirs, ours))
        print(json.dumps({"tenseal": theirs, "nexus": ours}))
    for scheme in ("ring", "shared", "threshold"):
        for name in ("encrypt_ms", "add_ms", "bytes_per_value"):
            ratios = [theirs[name] / ours[scheme][name] for theirs, ours in pairs]
            median = statistics.median(ratios)
            own = statistics.median(ours[scheme][name] for _, ours in pairs)
            print(f"{scheme} {name} {own:.2f}: {min(ratios):.1f}x to {max(ratios):.1f}x,"
                  f" median {median:.1f}x")
    taken = [
        (theirs["read_ms"] + theirs["add_ms"])
        / (ours["ring"]["read_ms"] + ours["ring"]["add_ms"])
        for theirs, ours in pairs
    ]
    print(f"ring, what a server does with an upload, read and add: {min(taken):.1f}x to"
          f" {max(taken):.1f}x")
    many = [theirs["add_ms"] / ours["ring"]["add_many_ms"] for theirs, ours in pairs]
    print(f"ring, eight added at once: {min(many):.1f}x to {max(many):.1f}x a client")
    if "paillier" in pairs[0][1]:
        own = pairs[0][1]["paillier"]
        print("paillier, scaled from a few values:", json.dumps(own))
    share, combine = (
        statistics.median(ours["threshold"][f"{name}_ms"] for _, ours in pairs)
        for name in ("share", "combine")
    )
    print(f"three of five open: share {share:.1f} ms each, combine {combine:.1f} ms")


if __name__ == "__main__":
    main()
