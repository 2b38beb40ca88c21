"""Makes jpeg.json: JPEG streams of libjpeg-turbo 3 and the values that it decodes from them.

    pip install numpy imagecodecs==2026.3.6
    python make_jpeg.py > jpeg.json

Pictures are simulated: ramps, edges and noise of a fixed seed.
"""

import json

import imagecodecs
import numpy


def picture(random, rows, columns, components, bits):
    top = 2**bits - 1
    y, x = numpy.mgrid[:rows, :columns]
    planes = []
    for plane in range(components):
        values = (x * (3 + plane) + y * 5) / ((3 + plane) * columns + 5 * rows) * top
        values[rows // 3 : rows // 2, columns // 4 :] = top // (2 + plane)
        planes.append(values + random.normal(0, top / 300, (rows, columns)))
    values = numpy.clip(numpy.round(numpy.stack(planes, -1)), 0, top)
    return values.squeeze().astype("u1" if bits <= 8 else "u2")


def case(random, rows, columns, components, bits, **options):
    values = picture(random, rows, columns, components, bits)
    stream = imagecodecs.jpeg8_encode(values, bitspersample=bits, **options)
    decoded = imagecodecs.jpeg8_decode(stream)
    if options.get("lossless"):
        assert (decoded == values).all()
    return {
        "rows": rows,
        "columns": columns,
        "components": components,
        "bits": bits,
        "lossless": bool(options.get("lossless")),
        "stream": bytes(stream).hex(),
        "values": decoded.astype("<u2" if bits > 8 else "u1").tobytes().hex(),
    }


def main():
    random = numpy.random.default_rng(20261129)
    cases = [
        case(random, 9, 13, 1, bits, lossless=True, predictor=predictor)
        for bits, predictor in [
            (8, 1), (8, 2), (12, 3), (16, 4), (16, 5), (12, 6), (16, 7), (2, 1), (16, 1),
        ]
    ]
    cases.append(
        case(random, 9, 7, 3, 8, lossless=True, predictor=4, colorspace="RGB", outcolorspace="RGB")
    )
    cases.append(
        case(random, 9, 7, 3, 12, lossless=True, predictor=7, colorspace="RGB", outcolorspace="RGB")
    )
    cases += [case(random, 17, 21, 1, bits, level=95) for bits in (8, 12)]
    cases.append(
        case(random, 17, 21, 3, 8, level=95, colorspace="RGB", outcolorspace="RGB", subsampling="444")
    )
    print("[")
    print(",\n".join(json.dumps(entry) for entry in cases))
    print("]")


if __name__ == "__main__":
    main()
