#!/usr/bin/env python3
"""Recomputes the parameters of the committee's secure sum and compares them with the documented
figures. Needs nothing but Python 3; exits with 1 if a figure differs.

Hardness: primal attack on learning with errors by BKZ of block size beta (Alkim, Ducas, Poeppelmann
& Schwabe 2016, section 6.3), with the secret scaled to the width of the error (Bai & Galbraith
2014), for the best number of samples. Core-SVP is 0.292 beta bits, 0.265 beta with a quantum
computer; the last column adds the cost of enumerating with sieving in full, 16.4 + log2(8 d)
(Albrecht et al., "Estimate all the {LWE, NTRU} schemes!", 2018).
"""

import math
import sys

P = 2**64 - 2**32 + 1
N = 4096
SIGMA = 4.5 * math.sqrt(2)
HINT = SIGMA / 2
TERNARY = math.sqrt(2 / 3)
MIN_BITS = 4

differences = []


def check(name, got, documented, tolerance=0):
    """Notes a figure that is not what the documents say."""
    close = (
        got is documented
        if got is None or documented is None
        else abs(got - documented) <= tolerance
    )
    if not close:
        differences.append(f"{name}: computed {got}, documented {documented} (+- {tolerance})")


def log_delta(beta):
    """Natural logarithm of the root Hermite factor of BKZ (Chen 2013)."""
    return math.log((math.pi * beta) ** (1 / beta) * beta / (2 * math.pi * math.e)) / (
        2 * (beta - 1)
    )


def succeeds(beta, samples, n, log_q, sigma, secret):
    """Whether the projected secret is found: sqrt(beta) sigma <= delta^(2 beta - d - 1) Vol^(1/d)."""
    d = n + samples + 1
    volume = (samples * log_q + n * math.log(sigma / secret)) / d
    return (
        math.log(beta) / 2 + math.log(sigma) <= (2 * beta - d - 1) * log_delta(beta) + volume
    )


def best_samples(beta, n, log_q, sigma, secret):
    """Samples that help most: the right side is concave in d = n + m + 1, the best d closed."""
    weight = (n + 1) * log_q - n * math.log(sigma / secret)
    return max(1, round(math.sqrt(weight / log_delta(beta))) - n - 1)


def block_size(n, bits, sigma, secret):
    """The smallest beta that breaks, and the dimension it works in."""
    log_q = bits * math.log(2)
    low, high = 60, 4 * n
    while low < high:
        beta = (low + high) // 2
        samples = best_samples(beta, n, log_q, sigma, secret)
        if succeeds(beta, samples, n, log_q, sigma, secret):
            high = beta
        else:
            low = beta + 1
    return low, n + best_samples(low, n, log_q, sigma, secret) + 1


def hardness():
    rows = [
        ("N=4096, 64 bits, sigma 3.18 (used)", 4096, 64, HINT, HINT, (715, 209, 189, 241)),
        ("N=2048, 50 bits, sigma 3.18", 2048, 50, HINT, HINT, (398, 116, 105, 148)),
        ("N=2048, 64 bits, sigma 3.18 (refused)", 2048, 64, HINT, HINT, (274, 80, 73, 111)),
        ("N=4096, 109 bits, ternary (published: 128)", 4096, 109, 3.2, TERNARY, (327, 95, 87, 128)),
    ]
    print(f"{'parameters':44} beta  classical quantum  full")
    for name, n, bits, sigma, secret, documented in rows:
        beta, d = block_size(n, bits, sigma, secret)
        full = 0.292 * beta + 16.4 + math.log2(8 * d)
        figures = (beta, 0.292 * beta, 0.265 * beta, full)
        print(f"{name:44} {beta:4}  {figures[1]:9.1f} {figures[2]:7.1f} {full:5.1f}")
        for what, got, wanted, tolerance in zip(
            ("beta", "classical", "quantum", "full"), figures, documented, (0, 0.6, 0.6, 0.6)
        ):
            check(f"{name}, {what}", got, wanted, tolerance)


def hint():
    """epsilon for which HINT sqrt(2 pi) = sqrt(2) eta_epsilon(Z^D): the mass of the dual lattice
    outside 0 (Micciancio & Regev 2007), to first order in a sum whose next term is 2^-576."""
    width = HINT * math.sqrt(2 * math.pi)
    check("width against the hint", width, 7.976, 0.001)
    one = 1 - math.pi * (width / math.sqrt(2)) ** 2 / math.log(2)
    print(f"\nhint: width {width:.3f}", end="")
    for log_coordinates, documented in ((20, -123), (30, -113)):
        epsilon = one + log_coordinates
        print(f", epsilon 2^{epsilon:.1f} at 2^{log_coordinates} coordinates", end="")
        check(f"epsilon at 2^{log_coordinates}", epsilon, documented, 1)
    print()


def decoding():
    """An error of ten deviations: 2 exp(-50) for each coefficient."""
    one = 1 - 50 / math.log(2)
    print(f"decoding fails: 2^{one:.1f} per coefficient, 2^{one + 30:.1f} for 2^30 of them")
    check("failure of one coefficient", one, -71, 0.5)
    check("failure of 2^30", one + 30, -41, 0.5)


def honest_bound(owners):
    return math.ceil(10 * SIGMA * math.sqrt(owners))


def proved_bound(owners):
    """A third of the owners at the largest error that a proof allows."""
    bad = owners // 3
    return 127 * bad + honest_bound(owners - bad)


def log_modulus(bound):
    """The largest t = 2^l with t E + t/2 < p/2."""
    return ((P - 1) // (2 * bound + 1)).bit_length() - 1


def packing(owners, log_t, slots):
    """Bits of a slot and of a value: n (2^(b-1) - 1) < 2^(w-2), half of the slot is for noise."""
    w = log_t // slots
    b = 1
    while owners * (2**b - 1) < 2 ** (w - 2):
        b += 1
    return (w, b) if b >= MIN_BITS else None


PACKING = {
    # owners: (E, log2 t, V = 1..4), (log2 t, V = 1..3) with proofs; 0: the documents do not say.
    10: ((202, 55, (55, 50), (27, 22), (18, 13), (13, 8)), (53, 0, (26, 21), (17, 12))),
    100: ((637, 53, (53, 45), (26, 18), (17, 9), (13, 5)), (50, 0, (25, 17), (16, 8))),
    1_000: ((2_013, 52, (52, 41), (26, 15), (17, 6), None), (47, 0, (23, 12), (15, 4))),
    10_000: ((6_364, 50, (50, 35), (25, 10), None, None), (44, 0, (22, 7), None)),
    100_000: ((20_125, 48, (48, 30), (24, 6), None, None), (40, (40, 22), None, 0)),
}


def slots(name, owners, log_t, documented):
    cells = []
    for count, wanted in enumerate(documented, 1):
        got = packing(owners, log_t, count)
        cells.append(f"{got[0]}/{got[1]}" if got else "-")
        if wanted != 0 and got != wanted:
            differences.append(f"{name}, V={count}: computed {got}, documented {wanted}")
    return " ".join(f"{cell:>6}" for cell in cells)


def table():
    print("\n owners      E  t    V=1    V=2    V=3    V=4   with proofs: t    V=1    V=2    V=3")
    for owners, ((bound, log_t, *rest), (proved_t, *proved)) in PACKING.items():
        got = honest_bound(owners)
        check(f"{owners} owners, E", got, bound)
        t, pt = log_modulus(got), log_modulus(proved_bound(owners))
        check(f"{owners} owners, log2 t", t, log_t)
        check(f"{owners} owners, proved log2 t", pt, proved_t)
        left = slots(f"{owners} owners", owners, t, rest)
        right = slots(f"{owners} owners, proved", owners, pt, proved)
        print(f"{owners:7} {got:6} {t:2} {left} {'':12} {pt:4} {right}")


def skellam(deviation, log_probability):
    """x / deviation at which the Chernoff bound of both tails of a Skellam variable together reaches
    the probability."""
    variance = deviation**2
    target = (log_probability - 1) * math.log(2)
    low, high = 0.0, 100 * deviation
    for _ in range(100):
        x = (low + high) / 2
        bound = math.sqrt(variance**2 + x * x) - variance - x * math.asinh(x / variance)
        low, high = (x, high) if bound > target else (low, x)
    return high / deviation


def noise():
    figures = []
    for deviation, documented in ((0.5, 26.7), (1, 18.5), (5, 11.1), (100, 9.93)):
        got = skellam(deviation, -70)
        check(f"Skellam tail at deviation {deviation}", got, documented, 0.05)
        figures.append(f"{got:.2f} at {deviation}")
    print("\nSkellam at 2^-70, in deviations:", ", ".join(figures))


def sharing():
    """Three key coefficients to an element of 8 bytes, rho elements to a polynomial, three
    elements of blinding, and what sealing adds to each member's packet."""
    elements = math.ceil(N / 3)
    check("elements of a key", elements, 1_366)
    check("deviations of a key sum", 2**20 / (SIGMA * math.sqrt(100_000)), 521, 1)
    check("error of the consistency check", math.log2(elements) - 3 * math.log2(P), -181, 1)
    rows = [
        (4, 1, 2, 1, 3, 3, 10_952, 47, 4, 1),
        (7, 2, 4, 1, 5, 5, 10_952, 83, 21, 2),
        (16, 5, 8, 3, 11, 11, 3_672, 75, 4_368, 5),
        (50, 16, 25, 9, 34, 34, 1_240, 116, None, 16),
        (100, 33, 50, 17, 67, 67, 672, 177, None, 33),
    ]
    print("\nmembers  f  t_priv rho t_rec quorum  bytes  KiB/owner  subsets  tolerated")
    for m, f, t_priv, rho, t_rec, quorum, size, total, subsets, tolerated in rows:
        faulty, needed = (m - 1) // 3, t_priv + rho
        votes = (m + faulty) // 2 + 1
        packet = 8 * math.ceil(elements / rho) + 24
        owner = m * (packet + 1_136) / 1024
        tried = math.comb(m, needed) if m <= 16 else None
        print(
            f"{m:7} {faulty:2} {t_priv:7} {rho:3} {needed:5} {votes:6} {packet:6} {owner:10.1f}"
            f"  {tried or '-':>7}  {m - needed:9}"
        )
        for what, got, documented in (
            ("f", faulty, f),
            ("t_rec", needed, t_rec),
            ("quorum", votes, quorum),
            ("bytes", packet, size),
            ("KiB per owner", round(owner), total),
            ("subsets", tried, subsets),
            ("tolerated", m - needed, tolerated),
        ):
            check(f"{m} members, {what}", got, documented)


def main():
    hardness()
    hint()
    decoding()
    table()
    noise()
    sharing()
    for difference in differences:
        print("DIFFERS", difference, file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
