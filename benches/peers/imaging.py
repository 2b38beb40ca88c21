"""Times reading, writing and measuring images in other software.

The peer of `ctl_benches::imaging`; a workload is timed as a whole, on `--threads` threads where the
software has several (SimpleITK and PyTorch do; nibabel, pydicom and SciPy work on one).

load_nii_256         256^3 values of 16 bits from .nii to float32: nibabel, SimpleITK, MONAI.
load_nii_gz_256      the same from .nii.gz.
slice_nii_256        the middle axial slice of them to float32: nibabel, SimpleITK.
slice_nii_gz_256     the same from .nii.gz.
write_nii_256        those values to .nii: nibabel, SimpleITK.
write_nii_durable_256  the same and `fsync`, after which the file outlives a failure of the machine.
write_nii_gz_256     the same to .nii.gz: nibabel at level 1, its own; SimpleITK at level 1.
resample_1mm_256     the image on a grid of 1 mm along its axes, linearly: SimpleITK, SciPy, MONAI.
resample_oblique_256 the same on a grid that leans on the image: SimpleITK, SciPy.
distance_256         exact distances within a mask, in mm: SciPy, SimpleITK, MONAI.
hd95_256             95th percentile of the distances between two surfaces: SciPy, MONAI.
dicom_200x512        200 DICOM slices to one array of float32: pydicom, SimpleITK, MONAI.

`--data` is a folder that `ctl_benches::imaging::write_inputs` filled; `ctl perf` makes one. What is
written goes there as well, under names of its own.
Software that cannot be imported is skipped with a notice on stderr.

`--list` prints the pairs of workload and peer that can be timed here.
Without `--serve` the script prints a JSON object for each pair with its median time.
With `--serve`, `--workload` and `--peer` it speaks the line protocol of `train_step.py`: one JSON
object when it is ready, one for each line `step N` (`seconds`, one per repetition, `cpu_seconds` of
them all, `peak_rss_bytes`), until `quit`.
"""

import argparse
import importlib
import importlib.metadata
import json
import math
import os
import pathlib
import statistics
import sys
import time
import warnings

SHAPE = (256, 256, 256)
SPACING = (0.8, 0.8, 1.25)
TILT = 0.2
OUTSIDE = -1000.0
LEVEL = 1
PERCENT = 95
DURABLE = "durable.nii"


def above_zero(values):
    return int((values > 0).sum())


def micrometres(millimetres):
    return round(float(millimetres) * 1e3)


def sides():
    return tuple(round(count * spacing) for count, spacing in zip(SHAPE, SPACING))


def load_nibabel(options, name):
    import nibabel
    import numpy

    path = options.data / name
    # The proxy is not kept: each repetition reads the file.
    return lambda: above_zero(nibabel.load(path).get_fdata(dtype=numpy.float32, caching="unchanged"))


def load_simpleitk(options, name):
    import SimpleITK as sitk

    path = str(options.data / name)

    def work():
        # A view does not keep its image.
        image = sitk.ReadImage(path, sitk.sitkFloat32)
        return above_zero(sitk.GetArrayViewFromImage(image))

    return work


def load_monai(options, name):
    from monai.transforms import LoadImage

    loader = LoadImage(image_only=True)
    return lambda: int((loader(options.data / name) > 0).sum())


def slice_nibabel(options, name):
    import nibabel
    import numpy

    path = options.data / name
    middle = SHAPE[2] // 2
    return lambda: above_zero(
        numpy.asarray(nibabel.load(path).dataobj[..., middle], dtype=numpy.float32)
    )


def slice_simpleitk(options, name):
    import SimpleITK as sitk

    def work():
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(options.data / name))
        reader.SetOutputPixelType(sitk.sitkFloat32)
        reader.SetExtractIndex([0, 0, SHAPE[2] // 2])
        reader.SetExtractSize([SHAPE[0], SHAPE[1], 0])
        image = reader.Execute()
        return above_zero(sitk.GetArrayViewFromImage(image))

    return work


def written(path):
    if path.name.endswith(DURABLE):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    return path.stat().st_size


def write_nibabel(options, name):
    import nibabel
    import numpy

    image = nibabel.load(options.data / "image.nii")
    values = numpy.asarray(image.dataobj)
    path = options.data / f"nibabel-{name}"

    def work():
        nibabel.save(nibabel.Nifti1Image(values, image.affine), path)
        return written(path)

    return work


def write_simpleitk(options, name):
    import SimpleITK as sitk

    image = sitk.ReadImage(str(options.data / "image.nii"))
    path = options.data / f"simpleitk-{name}"

    def work():
        sitk.WriteImage(image, str(path), useCompression=name.endswith(".gz"), compressionLevel=LEVEL)
        return written(path)

    return work


def directions(tilt):
    cos, sin = math.cos(tilt), math.sin(tilt)
    return [[cos, -sin * cos, sin * sin], [sin, cos * cos, -sin * cos], [0.0, sin, cos]]


def resample_simpleitk(options, tilt):
    import SimpleITK as sitk

    image = sitk.ReadImage(str(options.data / "image.nii"))
    # Where NIfTI counts to the left and to the front, ITK counts to the right and to the back.
    turned = directions(tilt)
    turned = [[-value for value in row] for row in turned[:2]] + turned[2:]

    def work():
        moved = sitk.Resample(
            image,
            sides(),
            sitk.Transform(),
            sitk.sitkLinear,
            image.GetOrigin(),
            (1.0, 1.0, 1.0),
            [value for row in turned for value in row],
            OUTSIDE,
            sitk.sitkFloat32,
        )
        return above_zero(sitk.GetArrayViewFromImage(moved))

    return work


def resample_scipy(options, tilt):
    import nibabel
    import numpy
    from scipy import ndimage

    image = nibabel.load(options.data / "image.nii").get_fdata(dtype=numpy.float32)
    matrix = numpy.diag(1 / numpy.array(SPACING)) @ numpy.array(directions(tilt))
    if tilt == 0:
        matrix = numpy.diag(matrix)

    def work():
        return above_zero(
            ndimage.affine_transform(
                image, matrix, output_shape=sides(), order=1, cval=OUTSIDE
            )
        )

    return work


def resample_monai(options, _):
    from monai.transforms import LoadImage, Spacing

    image = LoadImage(image_only=True, ensure_channel_first=True)(options.data / "image.nii")
    spacing = Spacing(pixdim=(1.0, 1.0, 1.0), mode="bilinear", padding_mode="border")
    return lambda: int((spacing(image) > 0).sum())


def mask(options, name):
    import nibabel
    import numpy

    return numpy.asarray(nibabel.load(options.data / name).dataobj) > 0


def distance_scipy(options, _):
    from scipy import ndimage

    marks = mask(options, "one.nii")
    return lambda: micrometres(ndimage.distance_transform_edt(marks, sampling=SPACING).max())


def distance_simpleitk(options, _):
    import SimpleITK as sitk

    # Distances to the first voxel outside: those of the complement, which is what is told apart.
    marks = sitk.ReadImage(str(options.data / "one.nii")) == 0
    distance = sitk.SignedMaurerDistanceMapImageFilter()
    distance.SetSquaredDistance(False)
    distance.SetUseImageSpacing(True)

    def work():
        away = distance.Execute(marks)
        return micrometres(sitk.GetArrayViewFromImage(away).max())

    return work


def distance_monai(options, _):
    import torch
    from monai.transforms.utils import distance_transform_edt

    marks = torch.from_numpy(mask(options, "one.nii"))[None]
    return lambda: micrometres(distance_transform_edt(marks, sampling=SPACING).max())


def surface(marks):
    from scipy import ndimage

    return marks & ~ndimage.binary_erosion(marks)


def hd95_scipy(options, _):
    import numpy
    from scipy import ndimage

    one, other = mask(options, "one.nii"), mask(options, "other.nii")

    def work():
        edges = surface(one), surface(other)
        farthest = []
        for edge, rival in (edges, edges[::-1]):
            away = ndimage.distance_transform_edt(~rival, sampling=SPACING)
            farthest.append(numpy.percentile(away[edge], PERCENT))
        return micrometres(max(farthest))

    return work


def hd95_monai(options, _):
    import torch
    from monai.metrics import compute_hausdorff_distance

    one, other = (
        torch.from_numpy(mask(options, name))[None, None].float() for name in ("one.nii", "other.nii")
    )

    def work():
        found = compute_hausdorff_distance(
            one, other, include_background=True, percentile=PERCENT, spacing=SPACING
        )
        return micrometres(found.item())

    return work


def dicom_pydicom(options, _):
    import numpy
    import pydicom

    def work():
        files = (options.data / "series").iterdir()
        slices = [pydicom.dcmread(path) for path in files]
        slices.sort(key=lambda each: float(each.ImagePositionPatient[2]))
        volume = numpy.empty((len(slices), slices[0].Rows, slices[0].Columns), numpy.float32)
        for plane, each in zip(volume, slices):
            numpy.multiply(each.pixel_array, float(each.RescaleSlope), out=plane)
            plane += float(each.RescaleIntercept)
        return above_zero(volume)

    return work


def dicom_simpleitk(options, _):
    import SimpleITK as sitk

    def work():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(options.data / "series")))
        reader.SetOutputPixelType(sitk.sitkFloat32)
        image = reader.Execute()
        return above_zero(sitk.GetArrayViewFromImage(image))

    return work


def dicom_monai(options, _):
    from monai.transforms import LoadImage

    loader = LoadImage(reader="PydicomReader", image_only=True)
    return lambda: int((loader(options.data / "series") > 0).sum())


# Package in the registry and module of each peer.
PEERS = {
    "nibabel": ("nibabel", "nibabel"),
    "SimpleITK": ("SimpleITK", "SimpleITK"),
    "SciPy": ("scipy", "scipy.ndimage"),
    "pydicom": ("pydicom", "pydicom"),
    "MONAI": ("monai", "monai.transforms"),
}

# Workload, peer, preparation and what it is told.
PAIRS = [
    (f"{kind}_{form}_256", peer, prepare, name)
    for kind, peers in (
        ("load", {"nibabel": load_nibabel, "SimpleITK": load_simpleitk, "MONAI": load_monai}),
        ("slice", {"nibabel": slice_nibabel, "SimpleITK": slice_simpleitk}),
        ("write", {"nibabel": write_nibabel, "SimpleITK": write_simpleitk}),
    )
    for form, name in (("nii", "image.nii"), ("nii_gz", "packed.nii.gz"))
    for peer, prepare in peers.items()
] + [
    ("write_nii_durable_256", "nibabel", write_nibabel, DURABLE),
    ("write_nii_durable_256", "SimpleITK", write_simpleitk, DURABLE),
    ("resample_1mm_256", "SimpleITK", resample_simpleitk, 0.0),
    ("resample_1mm_256", "SciPy", resample_scipy, 0.0),
    ("resample_1mm_256", "MONAI", resample_monai, None),
    ("resample_oblique_256", "SimpleITK", resample_simpleitk, TILT),
    ("resample_oblique_256", "SciPy", resample_scipy, TILT),
    ("distance_256", "SciPy", distance_scipy, None),
    ("distance_256", "SimpleITK", distance_simpleitk, None),
    ("distance_256", "MONAI", distance_monai, None),
    ("hd95_256", "SciPy", hd95_scipy, None),
    ("hd95_256", "MONAI", hd95_monai, None),
    ("dicom_200x512", "pydicom", dicom_pydicom, None),
    ("dicom_200x512", "SimpleITK", dicom_simpleitk, None),
    ("dicom_200x512", "MONAI", dicom_monai, None),
]


def say(value):
    # What a peer prints in the meantime must not break the protocol.
    sys.__stdout__.write(json.dumps(value) + "\n")
    sys.__stdout__.flush()


def memory(field):
    try:
        lines = pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(field)]
    return int(found[0]) * 1024 if found else None


def available(options):
    chosen, missing = [], {}
    for pair in PAIRS:
        workload, peer, *_ = pair
        if options.workload not in (None, workload) or options.peer not in (None, peer):
            continue
        module = PEERS[peer][1]
        try:
            if module not in missing:
                importlib.import_module(module)
        except Exception as reason:  # a package may fail on a dependency in any way
            missing[module] = reason
            print(f"{peer} is not timed: {reason}", file=sys.stderr)
        if module not in missing:
            chosen.append(pair)
    return chosen


def limit_threads(peer, threads):
    """PyTorch and ITK have threads of their own; what else there may be obeys the environment."""
    if peer == "SimpleITK":
        import SimpleITK as sitk

        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    if peer == "MONAI":
        import torch

        torch.set_num_threads(threads)


class Step:
    def __init__(self, pair, options):
        workload, peer, prepare, told = pair
        base = memory("VmRSS")
        limit_threads(peer, options.threads)
        self.work = prepare(options, told)
        answer = self.work()
        self.facts = {
            "software": f"{peer} {importlib.metadata.version(PEERS[peer][0])}",
            "workload": workload,
            "threads": options.threads,
            "base_rss_bytes": base,
            "answer": int(answer),
        }

    def run(self, count):
        seconds = []
        before = time.process_time()
        for _ in range(count):
            begun = time.perf_counter()
            self.work()
            seconds.append(time.perf_counter() - begun)
        return {
            "seconds": seconds,
            "cpu_seconds": time.process_time() - before,
            "peak_rss_bytes": memory("VmHWM"),
        }


def serve(step):
    say(step.facts)
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        if len(words) != 2 or words[0] != "step" or not words[1].isdigit():
            sys.exit(f"expected `step N` or `quit`, found {line.strip()!r}")
        say(step.run(int(words[1])))


def arguments():
    parser = argparse.ArgumentParser(description="Times software for medical images.")
    parser.add_argument("--workload", choices=sorted({pair[0] for pair in PAIRS}))
    parser.add_argument("--peer", choices=sorted(PEERS))
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the inputs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--list", action="store_true", help="print what can be timed here")
    parser.add_argument("--serve", action="store_true", help="answer `step N` lines on stdin")
    chosen = parser.parse_args()
    if min(chosen.iterations, chosen.threads) < 1:
        parser.error("--iterations and --threads must be at least 1")
    if chosen.serve and None in (chosen.workload, chosen.peer):
        parser.error("--serve needs --workload and --peer")
    return chosen


def main():
    warnings.simplefilter("ignore")
    options = arguments()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(options.threads)
    sys.stdout = sys.stderr
    pairs = available(options)
    if options.list:
        for workload, peer, *_ in pairs:
            say({"workload": workload, "peer": peer})
        return
    if options.serve:
        if not pairs:
            sys.exit(1)
        serve(Step(pairs[0], options))
        return
    for pair in pairs:
        step = Step(pair, options)
        seconds = step.run(options.iterations)["seconds"]
        say({**step.facts, "median_seconds": statistics.median(seconds)})


if __name__ == "__main__":
    main()
