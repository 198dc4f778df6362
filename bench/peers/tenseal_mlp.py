"""A network on encrypted rows: TenSEAL and `nexus-inference`, in turn, processor time.

    cargo build --release -p bench --example encrypted_mlp
    python3 bench/peers/tenseal_mlp.py target/release/examples/encrypted_mlp

Both sides compute 784-64(square)-10 on one row, and one output from 30 numbers. TenSEAL as its
tutorials do: CKKS, degree 8192, primes of 40, 31, 31, 31 and 40 bits, scale 2^31, keys for all powers
of two, `mm` and `dot`. Weights and rows are drawn, not the same on both sides; times do not depend on
them. TenSEAL's time is from the ciphertext to the encrypted answer; ours is from the bytes of
the question to the bytes of the answer, so reading, checking and writing them is in it.

Many rows at once: ours is N/2 rows in a question. TenSEAL's is the faster of two ways: the packed one
above, row after row, and `CKKSTensor` in its batched form, N/2 rows in as many ciphertexts as a row
has numbers. A full batch takes it minutes, so `mm` is timed with one of 64 hidden units, and one
output from all of them, and multiplied by their numbers; its time is known to be linear in them.
"""

import argparse
import json
import random
import statistics
import subprocess
import time

import tenseal as ts

from measure import machine


def tenseal_run() -> dict:
    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, -1, [40, 31, 31, 31, 40], n_threads=1)
    context.global_scale = 2**31
    context.generate_galois_keys()
    draw = random.Random(1)
    matrix = lambda rows, columns, size: [
        [draw.gauss(0, size) for _ in range(columns)] for _ in range(rows)
    ]
    first, second = matrix(784, 64, 0.05), matrix(64, 10, 0.1)
    row = [draw.random() for _ in range(784)]
    before = time.process_time()
    sealed = ts.ckks_vector(context, row)
    question = time.process_time() - before
    before = time.process_time()
    answer = sealed.mm(first)
    answer.square_()
    answer = answer.mm(second)
    mlp = time.process_time() - before
    hidden = [sum(a * row[i] for i, a in enumerate(column)) ** 2 for column in zip(*first)]
    clear = [sum(a * b for a, b in zip(column, hidden)) for column in zip(*second)]
    error = max(abs(a - b) for a, b in zip(answer.decrypt(), clear))
    few, weights = ts.ckks_vector(context, row[:30]), [draw.gauss(0, 0.2) for _ in range(30)]
    times = []
    for _ in range(7):
        before = time.process_time()
        few.dot(weights)
        times.append(time.process_time() - before)
    return {
        "question_ms": 1e3 * question,
        "mlp_ms": 1e3 * mlp,
        "logistic_ms": 1e3 * statistics.median(times),
        "question_bytes": len(sealed.serialize()),
        "key_bytes": len(context.serialize(save_secret_key=False)),
        "error": error,
    }


def tenseal_batched() -> dict:
    """Seconds of the parts that a batch of 4096 rows is made of, and rows per second."""
    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, -1, [40, 31, 31, 31, 40], n_threads=1)
    context.global_scale = 2**31
    draw = random.Random(2)
    slots = 4096
    rows = [[[draw.random() for _ in range(784)]] for _ in range(slots)]

    def timed(work):
        before = time.process_time()
        result = work()
        return result, time.process_time() - before

    def column(height, size):
        return ts.plain_tensor([[draw.gauss(0, size)] for _ in range(height)])

    few = ts.ckks_tensor(context, ts.plain_tensor([[row[0][:30]] for row in rows]), batch=True)
    _, logistic = timed(lambda: few.mm(column(30, 0.2)))
    sealed = ts.ckks_tensor(context, ts.plain_tensor(rows), batch=True)
    unit, first = timed(lambda: sealed.mm(column(784, 0.05)))
    square, squared = timed(lambda: unit.square())
    _, term = timed(lambda: square.mm(column(1, 0.1)))
    whole = 64 * first + 64 * squared + 640 * term
    return {
        "mlp_batch_s": whole,
        "mlp_rows_per_s": slots / whole,
        "logistic_rows_per_s": slots / logistic,
        "scaled": "first layer x 64, square x 64, second layer x 640",
    }


def our_run(program: str) -> dict:
    out = subprocess.run([program, "20"], check=True, capture_output=True, text=True).stdout
    return {it["network"]: it for it in map(json.loads, out.splitlines())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", default="target/release/examples/encrypted_mlp")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    pairs = []
    batched = tenseal_batched()
    for _ in range(arguments.repeat):
        theirs, ours = tenseal_run(), our_run(arguments.program)
        pairs.append((theirs, ours))
        print(json.dumps({"tenseal": theirs, "nexus": ours}))
    for name in ("mlp", "logistic"):
        ratios = [theirs[f"{name}_ms"] / ours[name]["answer_ms"] for theirs, ours in pairs]
        print(f"{name}: {min(ratios):.0f}x to {max(ratios):.0f}x, median {statistics.median(ratios):.0f}x")


    print(json.dumps({"tenseal_batched": batched}))
    for name in ("mlp", "logistic"):
        packed = max(1e3 / theirs[f"{name}_ms"] for theirs, _ in pairs)
        best = max(packed, batched[f"{name}_rows_per_s"])
        whole = [ours[f"{name}_batched"] for _, ours in pairs]
        rates = [1e3 * it["rows"] / it["answer_ms"] for it in whole]
        rate, size = statistics.median(rates), whole[0]
        print(
            f"{name}, many rows at once: {rate:.0f} rows/s, TenSEAL {best:.2f} "
            f"({'packed' if best == packed else 'CKKSTensor'}): {rate / best:.0f}x; "
            f"{size['question_bytes'] / size['rows']:.0f} bytes a row, keys {size['key_bytes']} bytes"
        )


if __name__ == "__main__":
    main()
