#!/usr/bin/env python3
"""Packs the two built-in data sets.

    python3 pack.py DIRECTORY

DIRECTORY holds `digits.csv.gz` and `breast_cancer.csv` as scikit-learn ships them (1.9.1, folder
`sklearn/datasets/data`). Writes `digits.bin` and `breast_cancer.bin` beside this script. The
layout is described where it is read, in `src/data/builtin.rs`; values are kept exactly.
"""

import csv
import gzip
import sys
from decimal import Decimal
from pathlib import Path

PIXEL_BITS = 5
NUMBER_BYTES = 3


def pack_digits(path):
    """Per image: the digit, then each line of eight pixels as five bytes, lowest bits first."""
    packed = bytearray()
    with gzip.open(path, "rt", encoding="ascii") as file:
        for row in csv.reader(file):
            *pixels, digit = (int(float(cell)) for cell in row)
            assert len(pixels) == 64 and max(pixels) <= 16
            packed.append(digit)
            for start in range(0, 64, 8):
                line = pixels[start : start + 8]
                bits = sum(pixel << (PIXEL_BITS * at) for at, pixel in enumerate(line))
                packed += bits.to_bytes(PIXEL_BITS, "little")
    return bytes(packed)


def pack_breast_cancer(path):
    """All labels; then for each column the number of decimals and all numbers without point."""
    with open(path, encoding="ascii", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == int(header[0]) and all(len(row) == 31 for row in rows)
    packed = bytearray(int(row[30]) for row in rows)
    for column in range(30):
        numbers = [Decimal(row[column]) for row in rows]
        decimals = max(0, *(-number.as_tuple().exponent for number in numbers))
        packed.append(decimals)
        for number in numbers:
            packed += int(number.scaleb(decimals)).to_bytes(NUMBER_BYTES, "little")
    return bytes(packed)


def main():
    """Packs both sets."""
    source, target = Path(sys.argv[1]), Path(__file__).parent
    (target / "digits.bin").write_bytes(pack_digits(source / "digits.csv.gz"))
    (target / "breast_cancer.bin").write_bytes(pack_breast_cancer(source / "breast_cancer.csv"))


if __name__ == "__main__":
    main()
