"""Writes resize.json: resized planes computed independently with NumPy.

Area averaging is the mean of an exact upsampling: every pixel is repeated `to` times along an
axis of `from` pixels, and then blocks of `from` are averaged. Bilinear interpolation is np.interp
between half-pixel centres, which repeats the border as we do. Nearest picks the pixel in which the
new centre lies, in exact fractions.

Run: python3 make_resize.py   (needs numpy)
"""

import json
import pathlib
from fractions import Fraction

import numpy as np

SIZES = [
    ((1, 1), (1, 1)), ((1, 1), (3, 2)), ((5, 7), (1, 1)), ((4, 6), (2, 3)), ((5, 7), (2, 3)),
    ((7, 5), (3, 5)), ((3, 4), (6, 8)), ((3, 4), (5, 9)), ((9, 2), (4, 7)), ((2, 9), (7, 4)),
    ((8, 8), (3, 11)), ((16, 16), (5, 5)),
]


def area_or_bilinear(samples, to, axis):
    size = samples.shape[axis]
    samples = np.moveaxis(samples, axis, -1)
    if to < size:
        repeated = np.repeat(samples, to, axis=-1)
        result = repeated.reshape(*samples.shape[:-1], to, size).mean(axis=-1)
    elif to > size:
        centres = (np.arange(to) + 0.5) * size / to
        old = np.arange(size) + 0.5
        result = np.apply_along_axis(lambda row: np.interp(centres, old, row), -1, samples)
    else:
        result = samples
    return np.moveaxis(result, -1, axis)


def nearest(samples, to):
    rows, columns = (
        [int((Fraction(2 * i + 1, 2)) * size / new) for i in range(new)]
        for size, new in zip(samples.shape, to)
    )
    return samples[np.ix_(rows, columns)]


def main():
    random = np.random.default_rng(20240607)
    cases = []
    for size, to in SIZES:
        samples = np.round(random.random(size), 3)
        resized = area_or_bilinear(area_or_bilinear(samples, to[0], 0), to[1], 1)
        cases.append({
            "from": size,
            "to": to,
            "samples": samples.ravel().tolist(),
            "area_or_bilinear": resized.ravel().tolist(),
            "nearest": nearest(samples, to).ravel().tolist(),
        })
    path = pathlib.Path(__file__).with_name("resize.json")
    path.write_text(json.dumps(cases, indent=None, separators=(",", ":")).replace("},{", "},\n{"))


main()
