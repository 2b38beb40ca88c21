"""Makes jpegls.json: streams of CharLS and the values that CharLS decodes from them.

    pip install numpy pyjpegls==1.5.1
    python make_jpegls.py > jpegls.json

Pictures are simulated: ramps, flat areas (for the run mode), edges and noise of a fixed seed.
"""

import json

import jpeg_ls
import numpy


def picture(random, rows, columns, bits):
    """A picture with every kind of neighbourhood."""
    top = 2**bits - 1
    y, x = numpy.mgrid[:rows, :columns]
    values = (x * 3 + y * 5) / (3 * columns + 5 * rows) * top
    values[rows // 3 : rows // 2, columns // 4 :] = top // 3
    values[: rows // 4, : columns // 2] = top
    noise = random.normal(0, max(1.0, top / 200), (rows, columns))
    noise[y < 2 * rows // 3] = 0
    return numpy.clip(numpy.round(values + noise), 0, top).astype("u1" if bits <= 8 else "u2")


def case(random, rows, columns, components, bits, near, mode):
    planes = [picture(random, rows, columns, bits) for _ in range(components)]
    if mode == 0:
        stacked = numpy.stack(planes)
    else:
        stacked = numpy.stack(planes, axis=-1)
    stream = jpeg_ls.encode_buffer(
        stacked.tobytes(), rows, columns, components, bits, near, mode
    )
    decoded, info = jpeg_ls.decode_pixel_data(bytes(stream))
    assert info["allowed_lossy_error"] == near and info["components"] == components, info
    values = numpy.frombuffer(bytes(decoded), stacked.dtype)
    if components > 1 and mode == 0:
        values = values.reshape(components, rows * columns).T
    expected = numpy.stack(planes, axis=-1).reshape(-1)
    values = values.reshape(-1)
    assert numpy.abs(values.astype(int) - expected).max() <= near
    return {
        "rows": rows,
        "columns": columns,
        "components": components,
        "bits": bits,
        "near": near,
        "mode": mode,
        "stream": bytes(stream).hex(),
        # Of values that went through unchanged a checksum would do; of others it would not.
        "values": values.astype("<u2" if bits > 8 else "u1").tobytes().hex(),
    }


def main():
    random = numpy.random.default_rng(20261128)
    cases = [
        case(random, 16, 21, 1, bits, near, 0)
        for bits, near in [(8, 0), (8, 1), (8, 3), (8, 20), (12, 0), (12, 5), (16, 0), (16, 100)]
    ]
    cases += [case(random, 19, 14, 1, bits, 0, 0) for bits in (2, 4, 7, 10, 14)]
    for mode in (0, 1, 2):
        for bits, near in [(8, 0), (8, 2), (12, 0), (16, 7)]:
            cases.append(case(random, 10, 13, 3, bits, near, mode))
    cases += [case(random, 9, 16, 4, 8, 0, mode) for mode in (0, 1, 2)]
    cases.append(case(random, 3, 700, 1, 8, 0, 0))
    print("[")
    print(",\n".join(json.dumps(entry) for entry in cases))
    print("]")


main()
