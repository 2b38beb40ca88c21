"""Writes morphology.json: distances, morphology, components, holes and Otsu thresholds by SciPy and
scikit-image.

Erosions have `border_value=1`: what lies outside the image is not asked. Closings are made within a
wide empty border, which is cut off again, and openings are the complement of the complement's
closing. Pictures are computed in two dimensions (and a line in one), and listed with 1 along the
axes that they lack.
Arrays are listed with the first axis fastest; masks as strings of 0 and 1. Labels are numbered as
SciPy numbers the array whose last axis is fastest, so arrays are handed over transposed.

Run: python3 make_morphology.py   (needs numpy, scipy, scikit-image)
"""

import json
import pathlib

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

CASES = [
    # shape, density of marks, spacing, radius
    ((7, 6, 5), 0.5, (1.0, 1.0, 1.0), 1.0),
    ((9, 5, 4), 0.85, (0.7, 0.7, 2.1), 2.1),
    ((6, 8, 5), 0.25, (1.3, 0.9, 1.1), 1.5),
    ((16, 13), 0.5, (0.5, 0.8), 1.0),
    ((20, 11), 0.8, (1.0, 1.0), 2.0),
    ((12, 12), 0.3, (1.2, 0.4), 0.9),
    ((13,), 0.6, (1.0,), 1.0),
]


def text(mask):
    return "".join("1" if mark else "0" for mark in mask.ravel(order="F"))


def ball(radius, spacing):
    reach = [int(radius / side + 1e-6) for side in spacing]
    steps = np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij")
    squared = sum((step * side) ** 2 for step, side in zip(steps, spacing))
    return squared <= radius**2 * (1 + 1e-9)


def closed(mask, structure):
    margin = 2 * max(structure.shape)
    wide = np.pad(mask, margin)
    wide = ndimage.binary_closing(wide, structure)
    return wide[tuple(slice(margin, -margin) for _ in mask.shape)]


def operations(mask, structure):
    return {
        "dilated": text(ndimage.binary_dilation(mask, structure)),
        "eroded": text(ndimage.binary_erosion(mask, structure, border_value=1)),
        "closed": text(closed(mask, structure)),
        "opened": text(~closed(~mask, structure)),
    }


def mask_case(random, shape, density, spacing, radius):
    mask = random.random(shape) < density
    dimensions = len(shape)
    structures = [
        ndimage.generate_binary_structure(dimensions, steps) for steps in (1, min(2, dimensions), 3)
    ]
    components = []
    for structure in structures:
        labels, _ = ndimage.label(mask.T, structure.T)
        labels = labels.T
        components.append({
            "labels": labels.ravel(order="F").tolist(),
            "sizes": np.bincount(labels.ravel())[1:].tolist(),
        })
    distances = ndimage.distance_transform_edt(mask, sampling=spacing)
    return {
        "shape": list(shape) + [1] * (3 - dimensions),
        "spacing": list(spacing) + [1.0] * (3 - dimensions),
        "radius": radius,
        "mask": text(mask),
        "distances": np.round(distances, 12).ravel(order="F").tolist(),
        "neighbours": [operations(mask, structure) for structure in structures],
        "ball": operations(mask, ball(radius, spacing)),
        "components": components,
        "holes_filled": text(ndimage.binary_fill_holes(mask)),
    }


def otsu_case(values):
    return {"values": values.tolist(), "threshold": float(threshold_otsu(values))}


def otsu(random):
    two = np.concatenate([random.normal(0, 1, 300), random.normal(6, 1.5, 200)])
    skewed = np.concatenate([random.exponential(4, 400), random.normal(90, 12, 150)])
    return [
        otsu_case(np.round(two, 3)),
        otsu_case(np.round(skewed, 2)),
        otsu_case(np.round(random.uniform(-1, 1, 200), 3)),
        otsu_case(np.array([3.0, 3.0, 3.5])),
        # Every number lies on an edge of a bin.
        otsu_case(np.concatenate([np.arange(0, 257, 8.0), np.arange(128, 257, 2.0)])),
    ]


def main():
    random = np.random.default_rng(20240612)
    content = {
        "masks": [mask_case(random, *case) for case in CASES],
        "otsu": otsu(random),
    }
    path = pathlib.Path(__file__).with_name("morphology.json")
    path.write_text(json.dumps(content, separators=(",", ":")).replace("},{", "},\n{") + "\n")


main()
