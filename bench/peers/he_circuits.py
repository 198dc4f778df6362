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
# Degree, bits of the primes (none: those of SEAL), plain modulus.
INTEGERS = [
    (4096, [], 40961),
    (8192, [], 1032193),
    (8192, [60, 40, 40, 60], 536690689),
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
            rolled = [numpy.roll(it, -steps) for it in (value, hidden)]
            emit(f"rotate {a} {steps}", *rolled, *kept)
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


def rows(values, steps):
    """Both rows to the left."""
    return numpy.concatenate([numpy.roll(row, -steps) for row in values.reshape(2, -1)])


def integer_circuit(draw, slots, level_bits, t, folder, index, inputs):
    """The same for BFV: steps as text, and the integers modulo t that they should give.

    A register is its integers, the same without what was added in the clear, its level and the bits
    of noise budget that it has left, or a few less.
    """
    lines, registers = [], []
    half = t // 2

    def centred(values):
        return (values + half) % t - half

    def emit(line, value, hidden, level, budget):
        lines.append(line)
        registers.append((centred(value), centred(hidden), level, budget))
        return len(registers) - 1

    def plain():
        name = f"plain-{index}-{len(lines)}.txt"
        values = numpy.array([draw.randint(-half, half) for _ in range(slots)])
        (folder / name).write_text(" ".join(str(value) for value in values))
        return name, values

    bits, size = t.bit_length(), slots.bit_length()

    def most(level):
        return level_bits[level] - bits - size

    top = len(level_bits) - 1
    for which in draw.sample(range(len(inputs)), 2):
        emit(f"load in-{which}.bin", inputs[which], inputs[which], top, most(top))
    for _ in range(draw.randint(3, 9)):
        a = draw.randrange(len(registers))
        value, hidden, level, budget = registers[a]
        if level is None:
            continue
        b = draw.choice([i for i, it in enumerate(registers) if it[2] == level])
        other, also_hidden, _, other_budget = registers[b]
        left = min(budget, other_budget)
        choices = ["negate", "rotate", "swap"]
        if left > 4:
            choices += ["add_plain"] + ["add"] * bool(centred(hidden + also_hidden).any())
            choices += ["subtract"] * bool(centred(hidden - also_hidden).any())
        if left > bits + size + 6:
            choices += ["product"] * 3 + ["plain_product"]
        if level > 1 and most(level - 1) > 4:
            choices += ["drop"]
        what = draw.choice(choices)
        if what == "add":
            emit(f"add {a} {b}", value + other, hidden + also_hidden, level, left - 1)
        elif what == "subtract":
            emit(f"subtract {a} {b}", value - other, hidden - also_hidden, level, left - 1)
        elif what == "negate":
            emit(f"negate {a}", -value, -hidden, level, budget)
        elif what == "rotate":
            steps = draw.choice(STEPS)
            emit(f"rotate {a} {steps}", rows(value, steps), rows(hidden, steps), level, budget - 1)
        elif what == "swap":
            swapped = [numpy.roll(it, slots // 2) for it in (value, hidden)]
            emit(f"swap {a}", *swapped, level, budget - 1)
        elif what == "add_plain":
            name, values = plain()
            emit(f"add_plain {a} {name}", value + values, hidden, level, budget - 1)
        elif what == "drop":
            emit(f"drop {a}", value, hidden, level - 1, min(budget, most(level - 1)))
        elif what == "plain_product":
            name, values = plain()
            products = (value * values, hidden * values)
            emit(f"multiply_plain {a} {name}", *products, level, left - bits - size)
        else:
            at = emit(f"multiply {a} {b}", value * other, value * other, None, 0)
            product = registers[at][0]
            emit(f"relinearise {at}", product, product, level, left - bits - size - 3)
    return lines, registers[-1][0]


def theirs_here(parameters, circuits, seed):
    degree, bits, scale_bits, tolerance = parameters
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=bits)
    context.global_scale = 2.0**scale_bits
    draw, slots = random.Random(seed), degree // 2

    def encrypted():
        values = numpy.array([draw.uniform(-1, 1) for _ in range(slots)])
        return values, tenseal.ckks_vector(context, values)

    def drawn(folder, index, inputs):
        return circuit(draw, slots, len(bits) - 1, scale_bits, folder, index, inputs)

    def error(got, values):
        return numpy.abs(numpy.array(got) - values).max() / max(1.0, numpy.abs(values).max())

    name = f"N {degree}, bits {bits}"
    open_ = tenseal.ckks_vector_from
    return compare(name, context, encrypted, drawn, open_, error, tolerance, circuits)


def integers_here(parameters, circuits, seed):
    degree, bits, t = parameters
    context = tenseal.context(
        tenseal.SCHEME_TYPE.BFV, degree, plain_modulus=t, coeff_mod_bit_sizes=bits
    )
    draw = random.Random(seed)
    sizes = bits or {4096: [36, 36, 37], 8192: [43, 43, 44, 44, 44]}[degree]
    level_bits = [sum(sizes[:count]) - count for count in range(len(sizes))]

    def encrypted():
        values = numpy.array([draw.randint(-(t // 2), t // 2) for _ in range(degree)])
        return values, tenseal.bfv_vector(context, values.tolist())

    def drawn(folder, index, inputs):
        return integer_circuit(draw, degree, level_bits, t, folder, index, inputs)

    def error(got, values):
        return float(numpy.count_nonzero((numpy.array(got) - values) % t))

    name = f"BFV, N {degree}, bits {bits or 'of SEAL'}, t {t}"
    open_ = tenseal.bfv_vector_from
    return compare(name, context, encrypted, drawn, open_, error, 0.5, circuits)


def compare(name, context, encrypted, drawn, open_, error_of, tolerance, circuits):
    """Circuits on what TenSEAL encrypted, evaluated here, decrypted there."""
    context.generate_galois_keys()
    worst = bad = 0
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        (folder / "context.bin").write_bytes(context.serialize(save_secret_key=False))
        inputs = []
        for index in range(VALUES):
            values, vector = encrypted()
            (folder / f"in-{index}.bin").write_bytes(vector.serialize())
            inputs.append(values)
        wanted, used = [], {}
        for index in range(circuits):
            lines, values = drawn(folder, index, inputs)
            (folder / f"circuit-{index}.txt").write_text("\n".join(lines))
            wanted.append(values)
            for line in lines:
                step = line.split()[0]
                used[step] = used.get(step, 0) + 1
        subprocess.run([PEER, "evaluate", folder], check=True)
        for index, values in enumerate(wanted):
            vector = open_(context, (folder / f"out-{index}.bin").read_bytes())
            error = error_of(vector.decrypt(), values)
            worst = max(worst, error)
            if not error < tolerance:
                bad += 1
                print(f"circuit {index}: error {error:.2e}")
                print((folder / f"circuit-{index}.txt").read_text())
    print(f"{name}: {circuits} circuits, {bad} wrong, largest error {worst:.1e}")
    print("  steps:", ", ".join(f"{step} {count}" for step, count in sorted(used.items())))
    return bad


def ours_there(parameters, version):
    """Objects of ours in TenSEAL's SEAL: loaded, decrypted, evaluated to the same bytes."""
    degree, bits, scale_bits, _ = parameters
    plan = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS)
    plan.set_poly_modulus_degree(degree)
    plan.set_coeff_modulus(sealapi.CoeffModulus.Create(degree, bits))
    with tempfile.TemporaryDirectory() as name:
        peer = Peer(Path(name), plan, version, scale_bits)
        encoder = sealapi.CKKSEncoder(peer.context)
        values = numpy.sin(0.01 * numpy.arange(degree // 2))

        def error(ciphertext, values):
            decoded = encoder.decode_double(peer.decrypt(ciphertext))
            return numpy.abs(numpy.array(decoded) - values).max()

        fresh = sealapi.Plaintext()
        encoder.encode(list(values), 2.0**scale_bits, fresh)
        seeded, square, result = peer.ciphertexts("seeded", "square", "result")
        errors = [error(it, values) for it in (seeded, *peer.fresh(fresh))]
        peer.evaluator.square_inplace(seeded)
        equal = peer.equal(seeded, square)
        peer.evaluator.relinearize_inplace(seeded, peer.relin)
        peer.evaluator.rescale_to_next_inplace(seeded)
        peer.evaluator.rotate_vector_inplace(seeded, 1, peer.galois)
        squares = numpy.roll(values**2, -1)
        errors += [error(seeded, squares), error(result, squares)]
        return errors, equal and peer.equal(seeded, result)


def integers_there(parameters, version):
    """The same for BFV; SEAL rounds its products in another way, so it goes on with ours."""
    degree, bits, t = parameters
    plan = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
    plan.set_poly_modulus_degree(degree)
    if bits:
        plan.set_coeff_modulus(sealapi.CoeffModulus.Create(degree, bits))
    else:
        level = sealapi.SEC_LEVEL_TYPE.TC128
        plan.set_coeff_modulus(sealapi.CoeffModulus.BFVDefault(degree, level))
    plan.set_plain_modulus(t)
    with tempfile.TemporaryDirectory() as name:
        peer = Peer(Path(name), plan, version, 0)
        encoder = sealapi.BatchEncoder(peer.context)
        values = numpy.arange(degree) % 1000

        def error(ciphertext, values):
            decoded = numpy.array(encoder.decode_int64(peer.decrypt(ciphertext)))
            return int(numpy.count_nonzero((decoded - values) % t))

        fresh = sealapi.Plaintext()
        encoder.encode(values.tolist(), fresh)
        seeded, square, result = peer.ciphertexts("seeded", "square", "result")
        errors = [error(it, values) for it in (seeded, *peer.fresh(fresh))]
        peer.evaluator.square_inplace(seeded)
        errors += [error(seeded, values**2), error(square, values**2)]
        peer.evaluator.relinearize_inplace(square, peer.relin)
        peer.evaluator.mod_switch_to_next_inplace(square)
        peer.evaluator.rotate_rows_inplace(square, 1, peer.galois)
        errors += [error(square, rows(values**2, 1)), error(result, rows(values**2, 1))]
        return errors, peer.equal(square, result)


class Peer:
    """What we made, in TenSEAL's SEAL."""

    def __init__(self, folder, plan, version, scale_bits):
        self.folder = folder
        plan.save(str(folder / "params.bin"))
        subprocess.run([PEER, "make", folder, *map(str, (*version, scale_bits))], check=True)
        plan = sealapi.EncryptionParameters(plan.scheme())
        plan.load(str(folder / "ours-params.bin"))
        self.context = sealapi.SEALContext(plan, True, sealapi.SEC_LEVEL_TYPE.TC128)
        self.relin = self.load(sealapi.RelinKeys, "relin")
        self.galois = self.load(sealapi.GaloisKeys, "galois")
        self.decryptor = sealapi.Decryptor(self.context, self.load(sealapi.SecretKey, "secret"))
        self.evaluator = sealapi.Evaluator(self.context)

    def load(self, kind, name):
        it = kind()
        it.load(self.context, str(self.folder / f"ours-{name}.bin"))
        return it

    def ciphertexts(self, *names):
        return [self.load(sealapi.Ciphertext, name) for name in names]

    def fresh(self, plain):
        """Encrypted by us with our public key, and by SEAL with it."""
        key, theirs = self.load(sealapi.PublicKey, "public"), sealapi.Ciphertext()
        sealapi.Encryptor(self.context, key).encrypt(plain, theirs)
        return [*self.ciphertexts("public-ciphertext"), theirs]

    def decrypt(self, ciphertext):
        plain = sealapi.Plaintext()
        self.decryptor.decrypt(ciphertext, plain)
        return plain

    def equal(self, theirs, ours):
        return equal_words(theirs, ours, self.folder)


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
    bad += sum(integers_here(parameters, circuits, seed) for parameters in INTEGERS)
    there = [("CKKS", ours_there, it, 1e-2) for it in SETS]
    there += [("BFV", integers_there, it, 0.5) for it in INTEGERS]
    for scheme, check, parameters, tolerance in there:
        for version in [(4, 3), (3, 7)]:
            errors, equal = check(parameters, version)
            shown = ", ".join(f"{error:.1e}" for error in errors)
            print(f"{scheme}, N {parameters[0]}, bits {parameters[1]}, ours labelled {version}:"
                  f" errors {shown}; the same bytes after evaluation there and here: {equal}")
            bad += not equal or max(errors) > tolerance
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
