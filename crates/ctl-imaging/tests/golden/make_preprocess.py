"""Writes preprocess.json: small images processed by NumPy, SciPy and scikit-image.

Images are simulated here with a fixed generator and written down with the results, so that a test
needs nothing else. Arrays [z, y, x] are flattened with x fastest, as our volumes are.

Run: python3 make_preprocess.py   (needs numpy, scipy, scikit-image)
"""

import json
import pathlib

import numpy as np
from scipy import ndimage
from skimage import exposure

rng = np.random.default_rng(20261128)


def listed(array, digits=9):
    return [float(f"{value:.{digits}g}") for value in np.asarray(array).ravel()]


def matching():
    source = rng.integers(0, 40, (5, 6)).astype(float)
    reference = np.round(rng.gamma(2.0, 9.0, (7, 4)), 1)
    matched = exposure.match_histograms(source, reference)
    return {"source": listed(source), "reference": listed(reference), "matched": listed(matched)}


def clahe():
    """Whole numbers in and thousandths out, to keep the file small."""
    y, x = np.mgrid[0:64, 0:64] / 63.0
    image = 0.5 + 0.3 * np.sin(5 * x) * np.cos(4 * y) + 0.25 * x * (rng.random((64, 64)) - 0.5)
    image = np.round(1000 * image)
    equal = exposure.equalize_adapthist(image / 1000, kernel_size=16, clip_limit=0.03, nbins=256)
    thousandths = [int(v) for v in np.round(1000 * equal).ravel()]
    return {"image": [int(v) for v in image.ravel()], "thousandths": thousandths}


def blur():
    image = rng.normal(size=(4, 6, 9)).astype(np.float32)
    # 1.5 mm on voxels of 1, 1.5 and 3 mm along x, y and z.
    blurred = ndimage.gaussian_filter(image.astype(float), [0.5, 1.0, 1.5])
    return {"image": listed(image), "blurred": listed(blurred)}


def percentiles():
    image = rng.normal(size=37).astype(np.float32)
    low, high = np.percentile(image.astype(float), [3.0, 91.0])
    scaled = (np.clip(image.astype(float), low, high) - low) / (high - low)
    return {"image": listed(image), "ends": [low, high], "scaled": listed(scaled)}


def fourier():
    cases = []
    for shape in [(5,), (4, 3), (3, 4, 5), (2, 7, 1)]:
        x = rng.normal(size=shape) + 1j * rng.normal(size=shape)
        there = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(x), norm="ortho"))
        back = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(x), norm="ortho"))
        parts = lambda a: {"re": listed(a.real, 15), "im": listed(a.imag, 15)}
        case = {"shape": list(shape[::-1]), "x": parts(x)}
        cases.append(case | {"there": parts(there), "back": parts(back)})
    return cases


golden = {
    "matching": matching(),
    "clahe": clahe(),
    "blur": blur(),
    "percentiles": percentiles(),
    "fourier": fourier(),
}
path = pathlib.Path(__file__).with_name("preprocess.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
