"""Makes jpeg2000.json: JPEG 2000 streams of OpenJPEG 2.5.4 and the values that it decodes from them.

    pip install numpy imagecodecs==2026.3.6 pillow==13.0.0
    python make_jpeg2000.py > jpeg2000.json

Pictures are those of make_jpeg.py: ramps, edges and noise of a fixed seed.
"""

import io
import json

import imagecodecs
import numpy
from PIL import Image

from make_jpeg import picture


def case(random, rows, columns, components, bits, signed=False, level=0, **options):
    values = picture(random, rows, columns, components, bits)
    if signed:
        values = (values.astype(int) - 2 ** (bits - 1)).astype("i1" if bits <= 8 else "i2")
    lossless = level == 0
    if "tile_size" in options:
        # imagecodecs writes one tile only.
        file = io.BytesIO()
        Image.fromarray(values).save(file, "JPEG2000", no_jp2=True, **options)
        stream = file.getvalue()
    else:
        stream = imagecodecs.jpeg2k_encode(
            values, level=level, reversible=lossless, bitspersample=bits, **options
        )
    decoded = imagecodecs.jpeg2k_decode(stream)
    if lossless:
        assert (decoded == values).all()
    return {
        "rows": rows,
        "columns": columns,
        "components": components,
        "bits": bits,
        "signed": signed,
        "lossless": lossless,
        "stream": bytes(stream).hex(),
        "values": decoded.astype("<i4").tobytes().hex(),
    }


def main():
    random = numpy.random.default_rng(20261129)
    cases = [
        case(random, 9, 13, 1, 8, codecformat="j2k"),
        case(random, 13, 9, 1, 12, codecformat="j2k", resolutions=2),
        case(random, 9, 13, 1, 16, signed=True, codecformat="j2k"),
        case(random, 17, 20, 1, 8, tile_size=(8, 8)),
        case(random, 9, 7, 3, 8, codecformat="j2k", mct=True),
        case(random, 9, 13, 1, 12, codecformat="jp2"),
        case(random, 17, 20, 1, 12, level=40, codecformat="j2k"),
        case(random, 9, 12, 3, 8, level=40, codecformat="jp2", mct=True),
    ]
    print("[")
    print(",\n".join(json.dumps(entry) for entry in cases))
    print("]")


main()
