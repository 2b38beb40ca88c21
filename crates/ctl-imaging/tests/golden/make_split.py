"""Prints the split of twelve patients that split.rs expects, computed independently.

The key is blake3.derive_key of the purpose over the seed (8 bytes, little-endian); the stream is
ChaCha20 (RFC 8439's block function, 64-bit counter, zero nonce), read as 64-bit little-endian words;
patients are shuffled from the end by Fisher and Yates, with the high half of the 128-bit product;
each then goes to the part that is furthest behind its fraction, the first of several.

Run: python3 make_split.py   (needs blake3)
"""

import struct
from fractions import Fraction

from blake3 import blake3

PURPOSE = "ctl-imaging split_patients v1"


def rotate(value, bits):
    return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF


def quarter(state, a, b, c, d):
    for first, second, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[first] = (state[first] + state[second]) & 0xFFFFFFFF
        state[third] = rotate(state[third] ^ state[first], bits)


def words(key):
    counter = 0
    while True:
        start = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key))
        start += [counter & 0xFFFFFFFF, counter >> 32, 0, 0]
        state = list(start)
        for _ in range(10):
            for column in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
                quarter(state, *column)
            for diagonal in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                quarter(state, *diagonal)
        block = [(a + b) & 0xFFFFFFFF for a, b in zip(state, start)]
        for low, high in zip(block[::2], block[1::2]):
            yield low | high << 32
        counter += 1


def split(patients, fractions, seed):
    stream = words(blake3(struct.pack("<Q", seed), derive_key_context=PURPOSE).digest())
    shuffled = sorted(patients)
    for end in range(len(shuffled) - 1, 0, -1):
        other = next(stream) * (end + 1) >> 64
        shuffled[end], shuffled[other] = shuffled[other], shuffled[end]
    counts, part_of = [0] * len(fractions), {}
    for dealt, patient in enumerate(shuffled, 1):
        behind = [fraction * dealt - count for fraction, count in zip(fractions, counts)]
        part = behind.index(max(behind))
        counts[part] += 1
        part_of[patient] = part
    return [part_of[patient] for patient in patients]


print(split([f"p{i:02}" for i in range(12)], [Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)], 42))
