"""Writes formats.json: small files of every format we read, with the samples they hold.

PNG is assembled here chunk by chunk, since common writers do not offer every bit depth; JPEG and
TIFF come from Pillow, arrays from NumPy, IDX from struct. `samples` are `[C, H, W]`, divided by the
type's maximum, without alpha. A case without samples is a file that must be refused.

Run: python3 make_formats.py   (needs numpy and pillow)
"""

import gzip
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

PALETTE = [(0, 0, 0), (255, 0, 0), (0, 128, 255), (9, 8, 7)]


def png(pixels, depth, colour, palette=None):
    """pixels: [H, W, C] integers of `depth` bits."""
    height, width, _ = pixels.shape

    def row(values):
        bits = "".join(format(int(value), f"0{depth}b") for value in values)
        bits += "0" * (-len(bits) % 8)
        return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    data = b"".join(b"\0" + row(line.ravel()) for line in pixels)
    parts = [b"\x89PNG\r\n\x1a\n"]
    parts.append(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)))
    if palette:
        parts.append(chunk(b"PLTE", b"".join(bytes(entry) for entry in palette)))
    parts.append(chunk(b"IDAT", zlib.compress(data)))
    parts.append(chunk(b"IEND", b""))
    return b"".join(parts)


def saved(pixels, file_format, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def case(name, content, pixels=None, maximum=1, tolerance=0.0):
    """pixels: [H, W, C] of the colours that are kept."""
    entry = {"name": name, "hex": content.hex(), "tolerance": tolerance}
    if pixels is not None:
        planes = np.moveaxis(np.asarray(pixels, dtype=np.float64), -1, 0)
        entry["shape"] = planes.shape
        entry["samples"] = (planes / maximum).ravel().tolist()
    return entry


def pictures(random):
    cases = []
    for depth in (1, 2, 4, 8, 16):
        pixels = random.integers(0, 2**depth, (3, 5, 1))
        cases.append(case(f"grey{depth}.png", png(pixels, depth, 0), pixels, 2**depth - 1))
    for depth in (8, 16):
        for colour, channels, kept in ((2, 3, 3), (4, 2, 1), (6, 4, 3)):
            pixels = random.integers(0, 2**depth, (2, 3, channels))
            name = f"colour{colour}-{depth}.png"
            cases.append(case(name, png(pixels, depth, colour), pixels[..., :kept], 2**depth - 1))
    indices = random.integers(0, 4, (3, 3, 1))
    coloured = np.array(PALETTE)[indices[..., 0]]
    cases.append(case("palette.png", png(indices, 2, 3, PALETTE), coloured, 255))

    grey = np.add.outer(np.arange(16) * 7, np.arange(16) * 5).astype(np.uint8)
    colour = np.stack([grey, 255 - grey, grey // 2], axis=-1)
    for progressive in (False, True):
        kind = "progressive" if progressive else "baseline"
        options = {"quality": 100, "subsampling": 0, "progressive": progressive}
        cases.append(case(f"grey-{kind}.jpg", saved(grey, "JPEG", **options), grey[..., None], 255, 0.02))
        cases.append(case(f"rgb-{kind}.jpg", saved(colour, "JPEG", **options), colour, 255, 0.02))
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        name = f"grey8-{compression}.tif"
        cases.append(case(name, saved(grey, "TIFF", compression=compression), grey[..., None], 255))
    wide = grey.astype(np.uint16) * 257 + 3
    cases.append(case("grey16.tif", saved(wide, "TIFF"), wide[..., None], 65535))
    cases.append(case("rgb8.tif", saved(colour, "TIFF"), colour, 255))
    cases.append(case("bilevel.tif", saved(grey > 90, "TIFF"), (grey > 90)[..., None], 1))
    cases.append(case("gif-called-png.png", saved(grey, "GIF")))
    return cases


def arrays(random):
    cases = []
    for kind in ("|b1", "|u1", "<u2", ">u2", "<u4", "<u8", "|i1", "<i2", ">i4", "<i8", "<f4", ">f4", "<f8"):
        array = (random.integers(0, 400, (2, 3, 4)) / 4).astype(kind)  # exact in JSON
        cases.append({"name": f"{kind[1:]}{'-big' if kind[0] == '>' else ''}.npy", "hex": npy(array).hex(),
                      "shape": array.shape, "values": array.astype(np.float64).ravel().tolist()})
    fortran = np.asfortranarray(random.integers(0, 255, (2, 3, 4), dtype=np.uint8))
    cases.append({"name": "fortran.npy", "hex": npy(fortran).hex(), "shape": fortran.shape,
                  "values": fortran.astype(np.float64).ravel(order="C").tolist()})
    scalar = np.array(3.5)
    cases.append({"name": "scalar.npy", "hex": npy(scalar).hex(), "shape": [], "values": [3.5]})
    for name, refused in (("complex.npy", np.zeros(2, np.complex64)), ("text.npy", np.array(["ab"])),
                          ("half.npy", np.zeros(2, np.float16)), ("record.npy", np.zeros(2, [("a", "u1"), ("b", "f4")]))):
        cases.append({"name": name, "hex": npy(refused).hex()})
    return cases


def archives(random):
    images = random.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    labels = np.array([3, 1], dtype=np.int64)
    cases = []
    for name, save in (("stored.npz", np.savez), ("deflated.npz", np.savez_compressed)):
        buffer = io.BytesIO()
        save(buffer, images=images, labels=labels)
        cases.append({"name": name, "hex": buffer.getvalue().hex(), "images": images.ravel().tolist(),
                      "labels": labels.tolist()})
    content = struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 2, 3) + images.tobytes()
    for name, encoded in (("plain-idx3-ubyte", content), ("images-idx3-ubyte.gz", gzip.compress(content, mtime=0))):
        cases.append({"name": name, "hex": encoded.hex(), "images": images.ravel().tolist()})
    return cases


def main():
    random = np.random.default_rng(7)
    golden = {"pictures": pictures(random), "arrays": arrays(random), "archives": archives(random)}
    path = pathlib.Path(__file__).with_name("formats.json")
    path.write_text(json.dumps(golden, separators=(",", ":")).replace('},{', '},\n{'))


main()
