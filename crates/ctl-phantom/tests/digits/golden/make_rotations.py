"""Golden bytes for rotations, from Pillow, on which torchvision's `rotate` rests.

    python make_rotations.py      # rotations.json; Pillow 13.0

The picture is a formula: grey level `(37 x² + 91 y + 53 x y) mod 256` at column x and row y.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

y, x = np.mgrid[:9, :7]
picture = Image.fromarray(((37 * x * x + 91 * y + 53 * x * y) % 256).astype(np.uint8))
rows = []
for name, resample in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
    for angle in (0, 15, 30, 45, 60, 75, -20, 131):
        turned = picture.rotate(angle, resample, fillcolor=0)
        pixels = np.asarray(turned).ravel().tolist()
        rows.append({"interpolation": name, "degrees": angle, "pixels": pixels})
lines = ",\n".join(json.dumps(row) for row in rows)
(Path(__file__).parent / "rotations.json").write_text(f"[\n{lines}\n]\n")
