"""Golden numbers for the morphology of digits, from the program of Castro et al. (2019).

    python make_morphomnist.py                                     # morphomnist_strokes.json
    python make_morphomnist.py PATH/train-images-idx3-ubyte.gz     # and morphomnist_digits.json

Needs the package `morphomnist` (github.com/dccastro/Morpho-MNIST) on the path, scikit-image 0.26,
SciPy 1.17 and NumPy 2.4. No picture is written, only what is measured on it.
"""

import gzip
import json
import math
import sys
from pathlib import Path

import numpy as np
from morphomnist.measure import measure_image
from morphomnist.morpho import ImageMorphology
from morphomnist.perturb import SetThickness

HERE = Path(__file__).parent
SIDE = 28
DIGITS = 200
# Each stroke is a list of pieces (x0, y0, x1, y1, radius), drawn with an edge one pixel wide.
STROKES = {
    "upright": [(13.5, 5.0, 13.5, 22.0, 1.5)],
    "thin": [(6.0, 6.0, 21.0, 20.0, 0.8)],
    "slanted": [(17.0, 5.0, 10.0, 22.0, 2.0)],
    "broad": [(9.0, 14.0, 19.0, 13.0, 4.25)],
    "cross": [(7.0, 7.0, 20.0, 20.0, 1.25), (20.0, 8.0, 8.0, 20.0, 1.75)],
    "corner": [(8.0, 6.0, 8.0, 20.0, 1.5), (8.0, 20.0, 20.0, 20.0, 1.5)],
    "two": [(6.0, 8.0, 21.0, 8.0, 1.0), (6.0, 18.0, 21.0, 20.0, 2.5)],
    "touching the edge": [(0.0, 3.0, 27.0, 24.0, 2.0)],
}
TARGETS = [1.25, 2.5, 4.0, 6.5]


def draw(pieces):
    image = np.zeros((SIDE, SIDE), np.uint8)
    for y in range(SIDE):
        for x in range(SIDE):
            covered = 0.0
            for x0, y0, x1, y1, radius in pieces:
                dx, dy = x1 - x0, y1 - y0
                along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)
                along = min(max(along, 0.0), 1.0)
                px, py = x - (x0 + along * dx), y - (y0 + along * dy)
                distance = math.sqrt(px * px + py * py)
                covered = max(covered, min(max(0.5 + radius - distance, 0.0), 1.0))
            image[y, x] = math.floor(255.0 * covered + 0.5)
    return image


def measures(image, scale):
    found = measure_image(image, scale=scale, verbose=False)
    names = ("area", "length", "thickness", "slant")
    return {name: float(getattr(found, name)) for name in names}


def at_thickness(image, thickness):
    fine = ImageMorphology(image, scale=16)
    return fine.downscale(np.float32(SetThickness(thickness)(fine)))


def median(image):
    low, high = image.min(), image.max()
    return float(np.median(image[image >= low + (high - low) * 0.5]))


def at_intensity(image, intensity):
    scaled = np.clip(image * (intensity / median(image)), 0, 255)
    return scaled.astype(np.uint8)


def stroke(name, pieces):
    image = draw(pieces)
    targets = []
    for target in TARGETS:
        other = at_thickness(image, target)
        targets.append(
            {
                "thickness": target,
                "row_sums": other.sum(1, dtype=int).tolist(),
                "column_sums": other.sum(0, dtype=int).tolist(),
            }
        )
    return {
        "name": name,
        "pieces": pieces,
        "sum": int(image.sum(dtype=int)),
        "at_4": measures(image, 4),
        "at_16": measures(image, 16),
        "targets": targets,
    }


def digit(index, image):
    thickness = 1.0 + (index % 40) * 0.1
    intensity = 80.0 + (index % 17) * 10.0
    morphed = at_intensity(at_thickness(image, thickness), intensity)
    return {
        "at_4": measures(image, 4),
        "at_16": measures(image, 16),
        "thickness": thickness,
        "intensity": intensity,
        "morphed": measures(morphed, 4) | {"sum": int(morphed.sum(dtype=int)), "median": median(morphed)},
    }


def write(name, rows):
    lines = ",\n".join(json.dumps(row) for row in rows)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


def main():
    write("morphomnist_strokes.json", [stroke(*item) for item in STROKES.items()])
    if len(sys.argv) > 1:
        with gzip.open(sys.argv[1]) as file:
            pixels = np.frombuffer(file.read(16 + DIGITS * SIDE * SIDE)[16:], np.uint8)
        images = pixels.reshape(DIGITS, SIDE, SIDE)
        write("morphomnist_digits.json", [digit(*item) for item in enumerate(images)])


main()
