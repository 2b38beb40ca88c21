"""Writes nifti.json: small NIfTI files of every kind, with what nibabel reads from them.

Headers are assembled here with struct, since nibabel refuses to write most of what is odd; the
numbers are simulated. `hex` and `image` are the file and, of a pair, the file of data, both
compressed with zlib; lists that many cases share stand once, under `values` and `affines`. A case
with `error` is one that nibabel refuses; `strict` marks the kinds of file that nibabel takes and we
refuse on purpose.

Run: python3 make_nifti.py   (needs numpy and nibabel)
"""

import json
import math
import pathlib
import struct
import tempfile
import warnings
import zlib

import nibabel
import numpy as np

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
RGBA = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "c8": 32, "f8": 64, "i1": 256, "u2": 512,
         "u4": 768, "i8": 1024, "u8": 1280, "c16": 1792, "rgb": 128, "rgba": 2304}

# name: (address, format) in both versions.
ONE = {"sizeof_hdr": (0, "i"), "dim_info": (39, "B"), "dim": (40, "8h"), "intent_p": (56, "3f"),
       "intent_code": (68, "h"), "datatype": (70, "h"), "bitpix": (72, "h"),
       "slice_start": (74, "h"), "pixdim": (76, "8f"), "vox_offset": (108, "f"),
       "scl_slope": (112, "f"), "scl_inter": (116, "f"), "slice_end": (120, "h"),
       "slice_code": (122, "B"), "xyzt_units": (123, "B"), "cal_max": (124, "f"),
       "cal_min": (128, "f"), "slice_duration": (132, "f"), "toffset": (136, "f"),
       "glmin": (144, "i"), "descrip": (148, "80s"), "aux_file": (228, "24s"),
       "qform_code": (252, "h"), "sform_code": (254, "h"), "quatern": (256, "3f"),
       "qoffset": (268, "3f"), "srow": (280, "12f"), "intent_name": (328, "16s"),
       "magic": (344, "4s")}
TWO = {"sizeof_hdr": (0, "i"), "magic": (4, "4s"), "eol_check": (8, "4B"), "datatype": (12, "h"),
       "bitpix": (14, "h"), "dim": (16, "8q"), "intent_p": (80, "3d"), "pixdim": (104, "8d"),
       "vox_offset": (168, "q"), "scl_slope": (176, "d"), "scl_inter": (184, "d"),
       "cal_max": (192, "d"), "cal_min": (200, "d"), "slice_duration": (208, "d"),
       "toffset": (216, "d"), "slice_start": (224, "q"), "slice_end": (232, "q"),
       "descrip": (240, "80s"), "aux_file": (320, "24s"), "qform_code": (344, "i"),
       "sform_code": (348, "i"), "quatern": (352, "3d"), "qoffset": (376, "3d"),
       "srow": (400, "12d"), "slice_code": (496, "i"), "xyzt_units": (500, "i"),
       "intent_code": (504, "i"), "intent_name": (508, "16s"), "dim_info": (524, "B")}
NAN, INF = math.nan, math.inf
QUATERNION = [0.36, 0.48, -0.64]


def numbers(kind, shape, order):
    """Values that show cut bits, wrong signs and exchanged bytes."""
    count = int(np.prod(shape))
    ramp = np.arange(count)
    if kind in ("rgb", "rgba"):
        values = np.zeros(count, RGB if kind == "rgb" else RGBA)
        for channel, name in enumerate(values.dtype.names):
            values[name] = ramp * 7 + 50 * channel
    elif kind[0] == "c":
        values = (ramp * 1.5 - 3 + 1j * (ramp * 0.25 - 40)).astype(order + kind)
    elif kind[0] == "f":
        values = (ramp * 1.25 - 4.625).astype(order + kind)
        values[1] = np.finfo(kind).max / 4
    else:
        limits = np.iinfo(kind)
        values = (ramp * 3 + 1).astype(order + kind)
        values[0], values[-1] = limits.min, limits.max
    return values.reshape(shape, order="F")


def header(version, order, kind, shape, offset, changes):
    layout = ONE if version == 1 else TWO
    size = 348 if version == 1 else 540
    itemsize = {"rgb": 3, "rgba": 4}.get(kind) or np.dtype(kind).itemsize
    fields = {"sizeof_hdr": [size], "dim": [len(shape), *shape, *[1] * (7 - len(shape))],
              "pixdim": [1, 2, 2.5, 3, 1.5, 1, 1, 1], "datatype": [CODES[kind]],
              "bitpix": [8 * itemsize], "scl_slope": [1], "xyzt_units": [10],
              "descrip": [b"simulated"], "sform_code": [1], "qform_code": [1],
              "quatern": QUATERNION, "qoffset": [-10, 20.5, 7],
              "srow": [-2, 0.125, 0, 90, 0, 2.5, -0.25, -126, 0.5, 0, 3, -72.5],
              "magic": [b"n+%d" % version], "vox_offset": [offset],
              "cal_max": [100], "intent_code": [0]}
    if version == 2:
        fields["eol_check"] = [13, 10, 26, 10]
    fields |= changes
    raw = bytearray(size)
    for name, values in fields.items():
        if name in layout:
            at, form = layout[name]
            values = values if isinstance(values, list) else [values]
            packed = struct.pack(order + form, *values)
            raw[at:at + len(packed)] = packed
    return bytes(raw)


def build(version=1, order="<", kind="i2", shape=(3, 2, 2), extensions=b"", cut=0, pad=b"",
          offset=None, paired=False, **changes):
    """The bytes of a file, or those of header and data of a pair."""
    values = numbers(kind, shape, order if kind not in ("rgb", "rgba") else "")
    # What the changes make of the shape decides how many values nibabel looks for.
    data = pad + values.tobytes(order="F")
    front = 352 if version == 1 else 544
    if offset is None:
        offset = 0 if paired else front + len(extensions) + len(pad)
    head = header(version, order, kind, shape, offset, changes)
    mark = b"\1\0\0\0" if extensions else bytes(4)
    if cut:
        data = data[:-cut]
    if paired:
        return head + mark + extensions, data
    return head + mark + extensions + data, None


def extension(order, size, code, content):
    return struct.pack(order + "ii", size, code) + content.ljust(size - 8, b"\0")


def plain(value):
    value = float(value)
    return value if math.isfinite(value) else repr(value)


def described(image):
    """What the image holds, in the words of the reader under test."""
    raw = np.asanyarray(image.dataobj.get_unscaled())
    head = image.header
    found = {"shape": list(image.shape), "dtype": str(raw.dtype),
             "zooms": [plain(zoom) for zoom in head.get_zooms()],
             "affine": [[plain(value) for value in row] for row in image.affine],
             "qform_code": int(head["qform_code"]), "sform_code": int(head["sform_code"]),
             "extensions": [[ext.get_code(), ext.get_content().hex() if isinstance(
                 ext.get_content(), bytes) else ""] for ext in head.extensions]}
    if not found["extensions"]:
        del found["extensions"]
    if raw.dtype.names:
        found["values"] = np.stack([raw[name] for name in raw.dtype.names]).ravel("F").tolist()
    elif raw.dtype.kind == "c":
        scaled = np.asanyarray(image.dataobj).ravel("F")
        found["values"] = [plain(part) for value in scaled for part in (value.real, value.imag)]
    else:
        found["values"] = [plain(value) for value in image.get_fdata().ravel("F")]
    return found


def cases():
    for kind in CODES:
        for order in "<>":
            for version in (1, 2):
                yield f"{kind}{order}{version}", dict(kind=kind, order=order, version=version)
    yield from odd(1, "<")
    yield from odd(2, ">")


def odd(version, order):
    def case(name, **options):
        return f"{name}{order}{version}", dict(version=version, order=order, **options)

    noform = dict(sform_code=0, qform_code=0)
    quat = dict(sform_code=0)
    yield case("scaled", scl_slope=2.5, scl_inter=-7)
    yield case("scaled float", kind="f4", scl_slope=0.1, scl_inter=3)
    yield case("scaled complex", kind="c8", scl_slope=2, scl_inter=1)
    yield case("slope nan", scl_slope=NAN, scl_inter=NAN)
    yield case("slope inf", scl_slope=INF)
    yield case("slope 0", scl_slope=0, scl_inter=5)
    yield case("inter inf", scl_slope=2, scl_inter=INF)
    yield case("slope 0 inter inf", scl_slope=0, scl_inter=INF)
    yield case("quaternion", **quat)
    yield case("qfac -1", **quat, pixdim=[-1, 2, 2.5, 3, 0, 0, 0, 0])
    yield case("qfac 0", **quat, pixdim=[0, 2, 2.5, 3, 0, 0, 0, 0])
    yield case("qfac -3", **quat, pixdim=[-3, 2, 2.5, 3, 0, 0, 0, 0])
    yield case("no rotation", **quat, quatern=[0.9, 0.9, 0])
    yield case("no rotation unused", quatern=[0.9, 0.9, 0])
    yield case("half turn", **quat, quatern=[0, 1, 0])
    yield case("half turn rounded", **quat, quatern=[0.6, 0.8, 0])
    yield case("slightly long", **quat, quatern=[1 + 1e-7, 0, 0])
    yield case("too long", **quat, quatern=[1 + 1e-6, 0, 0])
    yield case("infinite quaternion", **quat, quatern=[INF, 0, 0])
    yield case("nan quaternion", **quat, quatern=[NAN, 0, 0])
    yield case("negative zoom", **quat, pixdim=[1, -2, 2.5, -3, -1.5, 0, 0, 0])
    yield case("negative zoom base", **noform, pixdim=[1, -2, 2.5, -3, 0, 0, 0, 0])
    yield case("zero zoom", **noform, pixdim=[1, 2, 0, 3, 0, 0, 0, 0])
    yield case("nan zoom", **noform, pixdim=[1, NAN, 2, 3, 0, 0, 0, 0])
    yield case("no form", **noform)
    for axes in (1, 2, 4, 5, 6, 7):
        shape = (3, 2, 2, 2, 1, 2, 1)[:axes]
        yield case(f"{axes} axes", shape=shape, **noform)
    yield case("2 axes qform", shape=(3, 2), **quat)
    yield case("unknown sform", sform_code=9)
    yield case("negative sform", sform_code=-1)
    yield case("unknown qform", sform_code=0, qform_code=6)
    yield case("metres", xyzt_units=9)
    yield case("vector", shape=(3, 2, 2, 1, 2), intent_code=1007)
    yield case("vector in time", shape=(3, 2, 2, 2, 3), intent_code=1007)
    yield case("offset 16", offset=16)
    yield case("offset 0", offset=0)
    yield case("offset -16", offset=-16)
    yield case("offset odd", pad=b"odd")
    yield case("size wrong", sizeof_hdr=77) if version == 1 else case("eol zero", eol_check=[0] * 4)
    yield case("eol broken", eol_check=[10, 26, 10, 0])
    yield case("bitpix wrong", bitpix=7)
    for code in (0, 1, 3, 255, 1536, 2048, -1):
        yield case(f"datatype {code}", datatype=code)
    yield case("magic wrong", magic=b"n+9")
    yield case("magic of a pair", magic=b"ni%d" % version)
    yield case("no voxels", dim=[3, 3, 0, 2, 1, 1, 1, 1])
    yield case("negative side", dim=[3, 3, -2, 2, 1, 1, 1, 1])
    yield case("no axes", dim=[0, 3, 2, 2, 1, 1, 1, 1])
    yield case("8 axes", dim=[8, 3, 2, 2, 1, 1, 1, 1])
    yield case("long vector", shape=(12, 1, 1), dim=[3, -1, 1, 1, 1, 1, 1, 1], glmin=12)
    yield case("huge", dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
    yield case("short", cut=1)
    yield case("colours scaled", kind="rgb", scl_slope=1, scl_inter=0)
    comment = extension(order, 32, 6, b"a comment")
    other = extension(order, 16, 44, b"{}")
    yield case("extensions", extensions=comment + other)
    yield case("extension odd", extensions=extension(order, 20, 6, b"twenty") + bytes(12))
    yield case("extension empty", extensions=extension(order, 8, 6, b"") + extension(
        order, 24, 6, b"behind"))
    yield case("extension small", extensions=struct.pack(order + "ii", 4, 6) + bytes(8))
    yield case("extension negative", extensions=struct.pack(order + "ii", -16, 6) + bytes(8))
    yield case("extension long", extensions=struct.pack(order + "ii", 1 << 20, 6) + bytes(8))
    yield case("pair", paired=True, magic=b"ni%d" % version)
    yield case("pair with offset", paired=True, magic=b"ni%d" % version, pad=bytes(16), offset=16)
    yield case("pair of a single", paired=True)
    yield case("pair of a single, offset", paired=True, pad=bytes(16), offset=16)
    yield case("pair with extension", paired=True, magic=b"ni%d" % version, extensions=comment)
    yield case("pair short", paired=True, magic=b"ni%d" % version, cut=2)


def packed(raw):
    return zlib.compress(raw, 9).hex()


def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    written, shared = [], {"values": [], "affines": []}
    for name, options in cases():
        first, image = build(**options)
        entry = {"name": name, "hex": packed(first)}
        path = folder / "a.nii"
        if image is None:
            path.write_bytes(first)
        else:
            entry["image"] = packed(image)
            path = folder / "a.hdr"
            path.write_bytes(first)
            (folder / "a.img").write_bytes(image)
        try:
            with np.errstate(all="ignore"):
                entry |= described(nibabel.load(path))
        except Exception as error:  # whatever nibabel says no with
            entry["error"] = f"{type(error).__name__}"
        if name.startswith(("offset 0", "no voxels", "no axes", "8 axes")):
            entry["strict"] = True
        for key, table in (("values", "values"), ("affine", "affines")):
            if key in entry:
                if entry[key] not in shared[table]:
                    shared[table].append(entry[key])
                entry[key] = shared[table].index(entry[key])
        written.append(entry)
    target = pathlib.Path(__file__).with_name("nifti.json")
    parts = {"cases": written, **shared}
    lines = ",\n".join('"%s": [\n%s\n]' % (name, ",\n".join(
        json.dumps(each, separators=(",", ":")) for each in part)) for name, part in parts.items())
    target.write_text("{%s}\n" % lines)
    refused = sum("error" in entry for entry in written)
    print(len(written), "cases,", refused, "refused,", target.stat().st_size, "bytes")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    nibabel.imageglobals.logger.setLevel(100)
    main()
