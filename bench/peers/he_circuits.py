"""Random circuits on what TenSEAL encrypted, evaluated by our engine, decrypted by TenSEAL again;
and keys and ciphertexts of ours, used by the SEAL inside TenSEAL.

Build first: cargo build --release -p bench --example he_peer
Arguments: CIRCUITS (for each of three parameter sets; 70 by default) and SEED.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import tenseal
from tenseal import sealapi

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[2] / "target"))
PEER = TARGET / "release" / "examples" / "he_peer"
# Degree, bits of the primes, bits of the scale, tolerance relative to the largest value.
SETS = [
    (4096, [36, 30, 36], 30, 2e-3),
    (8192, [60, 40, 40, 60], 40, 1e-5),
    (8192, [43, 36, 36, 36, 43], 36, 1e-4),
]
STEPS = [1, 2, -1, 16, -128, 512]
VALUES = 8


def circuit(draw, slots, levels, scale_bits, folder, index, inputs):
    """Steps as text, and the numbers that they should give.

    A register is what it should decrypt to, the same without what was added in the clear, its level
    and how it came to its scale. Without a level it is within a product, and never drawn.
    """
    lines, registers = [], []

    def emit(line, value, hidden, level=None, history=None):
        lines.append(line)
        registers.append((value, hidden, level, history))
        return len(registers) - 1

    def plain():
        name = f"plain-{index}-{len(lines)}.txt"
        values = numpy.array([draw.uniform(-1, 1) for _ in range(slots)])
        (folder / name).write_text(" ".join(repr(float(value)) for value in values))
        return name, values

    for which in draw.sample(range(len(inputs)), 2):
        emit(f"load in-{which}.bin", inputs[which], inputs[which], levels, 0)
    for _ in range(draw.randint(3, 9)):
        a = draw.choice([i for i, it in enumerate(registers) if it[2] is not None])
        value, hidden, level, history = registers[a]
        b = draw.choice([i for i, it in enumerate(registers) if it[2:] == (level, history)])
        other, also_hidden = registers[b][:2]
        choices = ["negate", "rotate"]
        # The last level holds a few bits more than the scale.
        small = bool(max(numpy.abs(value).max(), numpy.abs(other).max()) < 2)
        if small:
            # A ciphertext less itself shows that nothing is in it, and is refused.
            choices += ["add_plain"]
            choices += ["add"] * bool(numpy.abs(hidden + also_hidden).max() > 1e-6)
            choices += ["subtract"] * bool(numpy.abs(hidden - also_hidden).max() > 1e-6)
        if level > 1:
            choices += ["product"] * 3 * small + ["plain_product", "drop"]
        what = draw.choice(choices)
        kept = (level, history)
        if what == "add":
            emit(f"add {a} {b}", value + other, hidden + also_hidden, *kept)
        elif what == "subtract":
            emit(f"subtract {a} {b}", value - other, hidden - also_hidden, *kept)
        elif what == "negate":
            emit(f"negate {a}", -value, -hidden, *kept)
        elif what == "rotate":
            steps = draw.choice(STEPS)
            emit(f"rotate {a} {steps}", numpy.roll(value, -steps), numpy.roll(hidden, -steps), *kept)
        elif what == "add_plain":
            name, values = plain()
            emit(f"add_plain {a} {name}", value + values, hidden, *kept)
        elif what == "drop":
            emit(f"drop {a}", value, hidden, level - 1, history)
        elif what == "plain_product":
            name, values = plain()
            both = (value * values, hidden * values)
            at = emit(f"multiply_plain {a} {name} {2.0 ** scale_bits}", *both)
            emit(f"rescale {at}", *both, level - 1, (history, "p", level))
        else:
            both = (value * other, value * other)
            at = emit(f"multiply {a} {b}", *both)
            at = emit(f"relinearise {at}", *both)
            emit(f"rescale {at}", *both, level - 1, (history, "m", level))
    return lines, registers[-1][0]


def theirs_here(parameters, circuits, seed):
    degree, bits, scale_bits, tolerance = parameters
    draw, slots = random.Random(seed), degree // 2
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=bits)
    context.global_scale = 2.0**scale_bits
    context.generate_galois_keys()
    worst = bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "context.bin").write_bytes(context.serialize(save_secret_key=False))
        inputs = []
        for index in range(VALUES):
            values = numpy.array([draw.uniform(-1, 1) for _ in range(slots)])
            vector = tenseal.ckks_vector(context, values)
            (folder / f"in-{index}.bin").write_bytes(vector.serialize())
            inputs.append(values)
        wanted, used = [], {}
        for index in range(circuits):
            lines, values = circuit(draw, slots, len(bits) - 1, scale_bits, folder, index, inputs)
            (folder / f"circuit-{index}.txt").write_text("\n".join(lines))
            wanted.append(values)
            for line in lines:
                step = line.split()[0]
                used[step] = used.get(step, 0) + 1
        start = time.process_time()
        subprocess.run([PEER, "evaluate", folder], check=True)
        for index, values in enumerate(wanted):
            vector = tenseal.ckks_vector_from(context, (folder / f"out-{index}.bin").read_bytes())
            got = numpy.array(vector.decrypt())
            error = numpy.abs(got - values).max() / max(1.0, numpy.abs(values).max())
            worst = max(worst, error)
            if not error < tolerance:
                bad += 1
                print(f"circuit {index}: error {error:.2e}")
                print((folder / f"circuit-{index}.txt").read_text())
    print(f"N {degree}, bits {bits}: {circuits} circuits, {bad} wrong, largest error {worst:.1e}")
    print("  steps:", ", ".join(f"{step} {count}" for step, count in sorted(used.items())))
    return bad


def ours_there(parameters, version):
    """Objects of ours in TenSEAL's SEAL: loaded, decrypted, evaluated to the same bytes."""
    degree, bits, scale_bits, _ = parameters
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def path(file):
            return str(folder / file)

        plan = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS)
        plan.set_poly_modulus_degree(degree)
        plan.set_coeff_modulus(sealapi.CoeffModulus.Create(degree, bits))
        plan.save(path("params.bin"))
        subprocess.run([PEER, "make", folder, *map(str, (*version, scale_bits))], check=True)
        plan = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS)
        plan.load(path("ours-params.bin"))
        context = sealapi.SEALContext(plan, True, sealapi.SEC_LEVEL_TYPE.TC128)

        def load(kind, file):
            it = kind()
            it.load(context, path(file))
            return it

        secret = load(sealapi.SecretKey, "ours-secret.bin")
        public = load(sealapi.PublicKey, "ours-public.bin")
        relin = load(sealapi.RelinKeys, "ours-relin.bin")
        galois = load(sealapi.GaloisKeys, "ours-galois.bin")
        encoder = sealapi.CKKSEncoder(context)
        decryptor = sealapi.Decryptor(context, secret)
        evaluator = sealapi.Evaluator(context)

        def error(ciphertext, values):
            plain = sealapi.Plaintext()
            decryptor.decrypt(ciphertext, plain)
            return numpy.abs(numpy.array(encoder.decode_double(plain)) - values).max()

        values = numpy.sin(0.01 * numpy.arange(degree // 2))
        seeded = load(sealapi.Ciphertext, "ours-seeded.bin")
        errors = [error(seeded, values)]
        errors.append(error(load(sealapi.Ciphertext, "ours-public-ciphertext.bin"), values))
        plain, again = sealapi.Plaintext(), sealapi.Ciphertext()
        encoder.encode(list(values), 2.0**scale_bits, plain)
        sealapi.Encryptor(context, public).encrypt(plain, again)
        errors.append(error(again, values))
        evaluator.square_inplace(seeded)
        evaluator.relinearize_inplace(seeded, relin)
        evaluator.rescale_to_next_inplace(seeded)
        evaluator.rotate_vector_inplace(seeded, 1, galois)
        ours = load(sealapi.Ciphertext, "ours-result.bin")
        squares = numpy.roll(values**2, -1)
        errors += [error(seeded, squares), error(ours, squares)]
        return errors, equal_words(seeded, ours, folder)


def equal_words(theirs, ours, folder):
    """Whether both are the same object: SEAL writes them with the same settings."""
    files = []
    for index, it in enumerate([theirs, ours]):
        it.save(str(folder / f"compare-{index}.bin"))
        files.append((folder / f"compare-{index}.bin").read_bytes())
    return files[0] == files[1]


def main():
    circuits = int(sys.argv[1]) if len(sys.argv) > 1 else 70
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(f"TenSEAL {tenseal.__version__}, seed {seed}, load {os.getloadavg()[0]:.1f}")
    bad = sum(theirs_here(parameters, circuits, seed) for parameters in SETS)
    for parameters in SETS:
        for version in [(4, 3), (3, 7)]:
            errors, equal = ours_there(parameters, version)
            shown = ", ".join(f"{error:.1e}" for error in errors)
            print(f"N {parameters[0]}, bits {parameters[1]}, ours labelled {version}: errors {shown};"
                  f" the same bytes after square, relinearise, rescale, rotate: {equal}")
            bad += not equal or max(errors) > 1e-2
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
