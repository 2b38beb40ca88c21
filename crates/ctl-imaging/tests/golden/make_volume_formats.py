"""Writes volume_{nrrd,metaimage,npy,tiff}.json and fastmri/*.h5: small files of the formats that keep volumes.

Files come from pynrrd, SimpleITK, tifffile, NumPy and h5py, or are spelt out here where those cannot
write a variant. What they hold is what SimpleITK reads of them (NRRD, MetaImage; its LPS turned to
RAS), or the array that was written (NPY, TIFF, BART, HDF5). Two things SimpleITK leaves out are put
right here: `space units` and `DistanceUnits`, and frames, which it takes for components.

Run: python3 make_volume_formats.py   (needs numpy, pynrrd, SimpleITK, tifffile, imagecodecs, h5py)
"""

import gzip
import io
import json
import pathlib
import tempfile
import zlib

import h5py
import nrrd
import numpy as np
import SimpleITK as sitk
import tifffile

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(11)
# Columns are the directions of the axes: a turn about all three, and spacings of no round ratio.
OBLIQUE = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix()
SPACING, ORIGIN = (0.75, 1.5, 2.25), (-12.5, 33.25, 101.0)


def image(dtype, shape=(2, 3, 4), vector=False):
    """A SimpleITK image of `shape` (slowest first) at an oblique place."""
    values = RANDOM.integers(0, 120, shape).astype(dtype)
    made = sitk.GetImageFromArray(values, isVector=vector)
    made.SetSpacing(SPACING)
    made.SetOrigin(ORIGIN)
    made.SetDirection(OBLIQUE)
    return made


def affine(read):
    """Rows of the affine in RAS of an image that SimpleITK has read."""
    axes = read.GetDimension()
    steps = np.array(read.GetDirection()).reshape(axes, axes) @ np.diag(read.GetSpacing())
    rows = np.column_stack([steps[:3, :3], np.array(read.GetOrigin())[:3]])
    return (np.diag([-1, -1, 1]) @ rows).tolist()


def itk_case(name, files, header, **changes):
    """What SimpleITK reads of the file `header` among `files`."""
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            (pathlib.Path(folder) / file).write_bytes(content)
        read = sitk.ReadImage(str(pathlib.Path(folder) / header))
    values = sitk.GetArrayFromImage(read)
    entry = {
        "name": name, "header": header, "files": {file: content.hex() for file, content in files.items()},
        "kind": str(values.dtype), "shape": list(read.GetSize()), "affine": affine(read),
        "components": read.GetNumberOfComponentsPerPixel(), "values": values.ravel().tolist(),
    }
    return entry | changes


def written(made, name, compress=False):
    """The files that SimpleITK writes."""
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(made, str(pathlib.Path(folder) / name), useCompression=compress)
        return {file.name: file.read_bytes() for file in sorted(pathlib.Path(folder).iterdir())}


def pynrrd(values, name, header, **options):
    with tempfile.TemporaryDirectory() as folder:
        nrrd.write(str(pathlib.Path(folder) / name), values, header, **options)
        return {file.name: file.read_bytes() for file in sorted(pathlib.Path(folder).iterdir())}


def spelt_nrrd(data, *lines, version=5):
    return f"NRRD000{version}\n".encode() + "".join(line + "\n" for line in lines).encode() + b"\n" + data


def nrrd_cases():
    cases = []
    for dtype in ("int8", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"):
        cases.append(itk_case(f"itk {dtype}", written(image(dtype), "a.nrrd"), "a.nrrd"))
    cases.append(itk_case("itk gzip", written(image("int16"), "a.nrrd", True), "a.nrrd"))
    cases.append(itk_case("itk apart", written(image("int16"), "a.nhdr"), "a.nhdr"))
    cases.append(itk_case("itk vector", written(image("float32", (2, 3, 4, 3), True), "a.nrrd"), "a.nrrd"))

    values = RANDOM.integers(-300, 300, (4, 3, 2)).astype(">i2")
    place = {"space directions": np.array(OBLIQUE).reshape(3, 3) * 1.25, "space origin": ORIGIN}
    for space in ("right-anterior-superior", "left-anterior-superior", "left-posterior-superior", "scanner-xyz"):
        for encoding in ("raw", "gzip", "ascii"):
            header = place | {"space": space, "encoding": encoding, "endian": "big"}
            cases.append(itk_case(f"pynrrd {space} {encoding}", pynrrd(values, "a.nrrd", header), "a.nrrd"))
    header = place | {"space": "RAS", "encoding": "raw", "kinds": ["domain"] * 3}
    files = pynrrd(values, "a.nhdr", header, detached_header=True)
    cases.append(itk_case("pynrrd apart", files, "a.nhdr"))

    data = bytes(range(40, 64))
    grid = ["type: uchar", "dimension: 3", "sizes: 4 3 2", "space: LPS",
            "space directions: (1,0.5,0) (0,2,0.25) (0.125,0,3)", "space origin: (1,2,3)"]

    def spelt(name, content, *lines, **changes):
        cases.append(itk_case(name, {"a.nrrd": spelt_nrrd(content, *grid, *lines)}, "a.nrrd", **changes))

    spelt("raw", data, "encoding: raw", "# a comment", "key:=value \\n", "content: something")
    spelt("hex", data.hex().encode() + b"\n", "encoding: hex")
    spelt("text", " ".join(map(str, data)).encode(), "encoding: txt")
    spelt("skip to the end", b"HEAD" + data, "encoding: raw", "byte skip: -1")
    spelt("skip bytes", b"HEAD" + data, "encoding: raw", "byteskip: 4")
    spelt("skip lines", b"H\xff\nEA\n" + data, "encoding: raw", "line skip: 2")
    spelt("skip in gzip", b"H\n" + gzip.compress(b"EAD" + data, mtime=0), "encoding: gz", "lineskip: 1", "byte skip: 3")
    centimetres = itk_case("x", {"a.nrrd": spelt_nrrd(data, *grid, "encoding: raw")}, "a.nrrd")["affine"]
    spelt("centimetres", data, "encoding: raw", 'space units: "cm" "cm" "cm"',
          affine=(np.array(centimetres) * 10).tolist())
    old = {"a.nrrd": spelt_nrrd(data, *grid, "encoding: raw").replace(b"\n", b"\r\n", 8)}
    cases.append(itk_case("line ends of two bytes", {"a.nrrd": old["a.nrrd"]}, "a.nrrd"))

    halves = {"s01.raw": data[:12], "s02.raw": data[12:]}
    for name, line in (("pattern", "data file: s%02d.raw 1 2 1"), ("pattern of slices", "data file: s%02d.raw 1 2 1 2"),
                       ("list", "data file: LIST\ns01.raw\ns02.raw"), ("slabs", "data file: LIST 3\ns01.raw\ns02.raw")):
        header = spelt_nrrd(b"", *grid, "encoding: raw", line).rstrip(b"\n") + b"\n"
        cases.append(itk_case(name, halves | {"a.nhdr": header}, "a.nhdr"))
    header = spelt_nrrd(b"", *grid, "encoding: raw", "datafile: ./all.raw")
    cases.append(itk_case("one file", {"all.raw": data, "a.nhdr": header}, "a.nhdr"))

    directions = "(1,0.5,0) (0,2,0.25) (0.125,0,3)"
    colour = spelt_nrrd(data, "type: uint8", "dimension: 4", "sizes: 3 2 2 2", "space: LPS", "encoding: raw",
                        f"space directions: none {directions}", "kinds: RGB-color domain domain domain",
                        "space origin: (1,2,3)")
    cases.append(itk_case("colour", {"a.nrrd": colour}, "a.nrrd"))
    frames = spelt_nrrd(data, "type: uint8", "dimension: 4", "sizes: 2 2 2 3", "space: LPS", "encoding: raw",
                        f"space directions: {directions} none", "kinds: domain domain domain list",
                        "spacings: NaN NaN NaN 2.5", 'units: "" "" "" "s"', "space origin: (1,2,3)")
    cases.append(itk_case("frames", {"a.nrrd": frames}, "a.nrrd", shape=[2, 2, 2, 3], components=1,
                          values=list(data), step=2.5))
    time = spelt_nrrd(data, "type: uint8", "dimension: 4", "sizes: 2 2 2 3", "space: left-posterior-superior-time",
                      "encoding: raw", "space directions: (1,0.5,0,0) (0,2,0.25,0) (0.125,0,3,0) (0,0,0,2)",
                      "space origin: (1,2,3,0)")
    cases.append(itk_case("time", {"a.nrrd": time}, "a.nrrd", step=2.0))
    return cases


def meta_cases():
    cases = []
    for dtype in ("int8", "uint8", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"):
        cases.append(itk_case(f"itk {dtype}", written(image(dtype), "a.mha"), "a.mha"))
    for name, compress in (("a.mha", True), ("a.mhd", False), ("a.mhd", True)):
        cases.append(itk_case(f"itk {name} {compress}", written(image("int16"), name, compress), name))
    cases.append(itk_case("itk vector", written(image("float32", (2, 3, 4, 3), True), "a.mha"), "a.mha"))
    series = sitk.JoinSeries([image("int16") for _ in range(3)], 0.0, 2.5)
    cases.append(itk_case("itk series", written(series, "a.mha"), "a.mha", step=2.5))

    data = bytes(range(40, 64))
    turned = " ".join(repr(value) for value in np.array(OBLIQUE).reshape(3, 3).T.ravel().tolist())
    base = {"ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
            "CompressedData": "False", "TransformMatrix": turned, "Offset": "1 -2 3.5", "ElementSpacing": "0.5 2 3",
            "DimSize": "4 3 2", "ElementType": "MET_UCHAR"}

    def header(data_file="LOCAL", **keys):
        lines = {key: value for key, value in (base | keys).items() if value is not None}
        return ("".join(f"{key} = {value}\n" for key, value in lines.items())
                + f"ElementDataFile = {data_file}\n").encode()

    def spelt(name, content=data, changes=None, **keys):
        cases.append(itk_case(name, {"a.mha": header(**keys) + content}, "a.mha", **(changes or {})))

    spelt("local")
    spelt("unknown keys", Modality="MET_MOD_MR", ITK_note="kept", AnatomicalOrientation="RAI")
    spelt("no BinaryData", BinaryData=None)
    spelt("rotation and origin", TransformMatrix=None, Rotation=turned, Offset=None, Origin="7 8 9")
    spelt("orientation and position", TransformMatrix=None, Orientation=turned, Offset=None, Position="7 8 9")
    spelt("no matrix", TransformMatrix=None, AnatomicalOrientation="RAI")
    spelt("sizes for spacings", ElementSpacing=None, ElementSize="4 5 6")
    spelt("centre of rotation", CenterOfRotation="5 6 7")
    spelt("big-endian", np.arange(24, dtype=">i2").tobytes(), ElementType="MET_SHORT", BinaryDataByteOrderMSB="True")
    spelt("long", np.arange(24, dtype="<i4").tobytes(), ElementType="MET_LONG")
    spelt("text", " ".join(map(str, data)).encode() + b"\n", BinaryData="False")
    spelt("channels", DimSize="2 3 2", ElementNumberOfChannels="2")
    spelt("skip to the end", b"HEAD" + data, HeaderSize="-1")
    packed = zlib.compress(data)
    spelt("zlib", packed, CompressedData="True", CompressedDataSize=str(len(packed)))
    packed = gzip.compress(data, mtime=0)
    spelt("gzip", packed, CompressedData="True", CompressedDataSize=str(len(packed)))
    metres = itk_case("x", {"a.mha": header() + data}, "a.mha")["affine"]
    spelt("centimetres", changes={"affine": (np.array(metres) * 10).tolist()}, DistanceUnits="cm")

    for name, skip in (("header of four bytes", "4"), ("data at the end", "-1")):
        files = {"a.mhd": header("x.raw", HeaderSize=skip), "x.raw": b"HEAD" + data}
        cases.append(itk_case(name, files, "a.mhd"))
    halves = {"s01.raw": data[:12], "s02.raw": data[12:]}
    for name, line in (("list", "LIST\ns01.raw\ns02.raw"), ("list of slices", "LIST 2\ns01.raw\ns02.raw"),
                       ("pattern", "s%02d.raw 1 2 1")):
        cases.append(itk_case(name, halves | {"a.mhd": header(line)}, "a.mhd"))
    return cases


def npy_cases():
    cases = []
    for kind in ("|b1", "|u1", "|i1", "<u2", ">i2", "<u4", "<i8", "<f2", ">f2", "<f4", "<f8", "<c8", ">c8", "<c16"):
        for order in ("C", "F"):
            values = RANDOM.integers(0, 100, (2, 3, 4)) / 4
            array = (values - 3j * values if kind[1] == "c" else values).astype(kind)
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(array, order=order), allow_pickle=False)
            stored = array.astype(np.complex128).ravel(order="F")
            cases.append({"name": f"{kind} {order}", "hex": buffer.getvalue().hex(), "shape": array.shape,
                          "kind": "uint8" if kind == "|b1" else array.dtype.name,
                          "real": stored.real.tolist(), "imaginary": stored.imag.tolist()})
    return cases


def tiff_cases():
    cases = []
    plain = {"photometric": "minisblack", "metadata": None}
    for dtype in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"):
        cases.append(tiff_case(dtype, RANDOM.integers(0, 100, (3, 4, 5)).astype(dtype), **plain))
    values = RANDOM.integers(0, 2000, (2, 5, 19)).astype("uint16")
    for name, options in (("lzw", {"compression": "lzw"}), ("deflate", {"compression": "zlib", "predictor": True}),
                          ("packbits", {"compression": "packbits"}), ("tiles", {"tile": (16, 16)}),
                          ("big-endian", {"byteorder": ">"}), ("bigtiff", {"bigtiff": True})):
        cases.append(tiff_case(name, values, **(plain | options)))
    colour = RANDOM.integers(0, 255, (2, 4, 5, 3)).astype("uint8")
    cases.append(tiff_case("colour", colour, photometric="rgb", metadata=None))
    planes = np.moveaxis(colour, -1, 1)
    cases.append(tiff_case("planes", planes, colour, photometric="rgb", planarconfig="separate", metadata=None))
    cases.append(tiff_case("resolution", values[:1], **plain, resolution=(400.0, 200.0), resolutionunit="CENTIMETER",
                           description="a phantom"))
    return cases


def tiff_case(name, values, stored=None, **options):
    stored = values if stored is None else stored
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    components = stored.shape[3] if stored.ndim == 4 else 1
    shape = [stored.shape[2], stored.shape[1], stored.shape[0]]
    return {"name": name, "hex": buffer.getvalue().hex(), "kind": str(values.dtype), "shape": shape,
            "components": components, "values": stored.astype(np.float64).ravel().tolist()}


def fastmri_file(name, coils, **options):
    """A phantom of slices that differ, as k-space and as images, with the header of a scan."""
    slices, rows, columns = 3, 8, 6
    values = np.arange(slices * coils * rows * columns, dtype=np.float32).reshape(slices, coils, rows, columns)
    kspace = (values - 0.5j * values).astype(options.get("complex", "<c8"))
    if coils == 1:
        kspace = kspace[:, 0]
    path = HERE / "fastmri" / name
    with h5py.File(path, "w", libver=options.get("libver", "earliest"), track_order=False) as file:
        storage = options.get("storage", {})
        file.create_dataset("kspace", data=kspace, **storage)
        rss = np.arange(slices * 6 * 6, dtype=options.get("float", "<f4")).reshape(slices, 6, 6)
        file.create_dataset(options.get("reconstruction", "reconstruction_rss"), data=rss, **storage)
        mask = np.arange(columns) % 2 == 0
        file.create_dataset("mask", data=mask.astype(options.get("mask", "f4")))
        file.create_dataset("ismrmrd_header", data=XML, dtype=options.get("text", h5py.string_dtype()))
        file.attrs["max"] = float(rss.max())
        file.attrs["norm"] = 12.5
        file.attrs["patient_id"] = "simulated-1"
        file.attrs["acquisition"] = "CORPD_FBK"


XML = """<?xml version="1.0" encoding="utf-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <!-- simulated -->
  <encoding>
    <encodedSpace><matrixSize><x>8</x><y>6</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>280</x><y>161.5</y><z>4.5</z></fieldOfView_mm></encodedSpace>
    <reconSpace><matrixSize><x>6</x><y>6</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>150</x><y>120</y><z>4.5</z></fieldOfView_mm></reconSpace>
  </encoding>
</ismrmrdHeader>
"""


def fastmri_files():
    (HERE / "fastmri").mkdir(exist_ok=True)
    fastmri_file("multicoil.h5", 2)
    fastmri_file("chunked.h5", 2, libver=("v110", "v110"), mask="bool",
                 storage={"chunks": True, "compression": "gzip", "shuffle": True})
    fastmri_file("singlecoil.h5", 1, complex=">c8", float=">f8", reconstruction="reconstruction_esc", mask="u1",
                 text=f"S{len(XML)}")
    fastmri_file("double.h5", 1, complex="<c16")
    with h5py.File(HERE / "fastmri" / "raw.h5", "w") as file:
        file.create_group("dataset").create_dataset("xml", data=XML)


def main():
    golden = {"nrrd": nrrd_cases(), "metaimage": meta_cases(), "npy": npy_cases(), "tiff": tiff_cases()}
    for name, cases in golden.items():
        text = json.dumps(cases, separators=(",", ":")).replace("},{", "},\n{")
        (HERE / f"volume_{name}.json").write_text(text)
    fastmri_files()


main()
