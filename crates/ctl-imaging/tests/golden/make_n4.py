"""Writes n4.json: the bias field that SimpleITK finds in a small simulated head.

The image is three nested ellipsoids (a bright rim, two tissues that fold into each other, dark
holes) times a smooth field, with a little noise. It is written as whole numbers, so that our test
and SimpleITK see the same; the log field is written in steps of 1/2000.

Run: python3 make_n4.py   (needs numpy and SimpleITK)
"""

import json
import pathlib

import numpy as np
import SimpleITK as sitk

SHAPE = (16, 24, 24)
rng = np.random.default_rng(7)

z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
radius = np.sqrt((x / 0.95) ** 2 + (y / 0.9) ** 2 + (z / 0.95) ** 2)
folds = np.sin(9 * x + 2 * y) + np.sin(8 * y - 3 * z) + np.cos(7 * z + 2 * x)
tissue = np.where(folds > 0.2, 700.0, 480.0)
tissue[np.sqrt((x / 0.3) ** 2 + (y / 0.2) ** 2 + (z / 0.3) ** 2) < 1] = 180.0
tissue[radius > 1] = 0.0
field = 0.35 * x - 0.2 * y * z + 0.25 * z - 0.2 * x * x + 0.15 * y
image = tissue * np.exp(field) + rng.normal(0, 6.0, SHAPE)
image = np.clip(np.round(image), 0, None)
mask = (radius <= 1) & (image > 0)
image[~mask] = 0

as_image = sitk.GetImageFromArray(image.astype(np.float32))
as_mask = sitk.GetImageFromArray(mask.astype(np.uint8))
n4 = sitk.N4BiasFieldCorrectionImageFilter()
n4.SetMaximumNumberOfIterations([50] * 3)
n4.SetConvergenceThreshold(0.001)
n4.Execute(as_image, as_mask)
log_field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(as_image))

golden = {
    "shape": list(SHAPE[::-1]),
    "levels": 3,
    "image": [int(v) for v in image.ravel()],
    "log_field_steps": [int(v) for v in np.round(log_field[mask] * 2000)],
    "true_field_steps": [int(v) for v in np.round(field[mask] * 2000)],
}
path = pathlib.Path(__file__).with_name("n4.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print("correlation with the true field", np.corrcoef(log_field[mask], field[mask])[0, 1])
