"""Writes geometry.json: orientations by nibabel, and resampled images by SciPy.

Orientations: random oblique and sheared affines with nibabel's `io_orientation` (for each voxel
axis the world axis and the direction) and the affine of `as_closest_canonical`.

Images: `scipy.ndimage.map_coordinates` of order 0, 1 and 3 at the places of another grid's voxels.
Half a voxel beyond the outermost centres the field of view ends; within that half voxel the mode is
`nearest` for orders 0 and 1 and `mirror` for order 3, outside it the fill stands. The coefficients
of the spline come from `spline_filter(order=3, mode="mirror")`.

Arrays are listed with the first axis fastest.

Run: python3 make_geometry.py   (needs numpy, scipy, nibabel)
"""

import json
import pathlib

import nibabel
import numpy as np
from scipy import ndimage

FILL = -7.5


def rotation(random):
    matrix, triangle = np.linalg.qr(random.normal(size=(3, 3)))
    return matrix * np.sign(np.diag(triangle))


def random_affine(random, shear):
    linear = rotation(random) @ np.diag(random.uniform(0.4, 5.0, 3))
    linear = linear @ (np.eye(3) + shear * np.triu(random.uniform(-1, 1, (3, 3)), 1))
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = random.uniform(-200, 200, 3)
    return np.round(affine, 6)


def orientations(random):
    cases = []
    for index in range(60):
        affine = random_affine(random, 0.4 * (index % 3))
        shape = random.integers(1, 9, 3)
        orientation = nibabel.orientations.io_orientation(affine).astype(int)
        image = nibabel.Nifti1Image(np.zeros(shape, np.uint8), affine)
        canonical = nibabel.as_closest_canonical(image)
        cases.append({
            "affine": affine[:3].tolist(),
            "shape": shape.tolist(),
            "orientation": orientation.tolist(),
            "canonical": np.round(canonical.affine[:3], 9).tolist(),
            "canonical_shape": canonical.shape,
        })
    return cases


def resampled(values, places, order):
    shape = np.array(values.shape)[:, None]
    inside = np.all((places >= -0.5) & (places <= shape - 0.5), axis=0)
    mode = "mirror" if order == 3 else "nearest"
    result = ndimage.map_coordinates(values, places, output=float, order=order, mode=mode)
    return np.where(inside, result, FILL)


def image_case(random, shape, source, target, target_shape):
    values = np.round(random.normal(0, 100, shape), 2)
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in target_shape], indexing="ij"))
    indices = indices.reshape(3, -1, order="F")
    world = target[:3, :3] @ indices + target[:3, 3:]
    places = np.linalg.solve(source[:3, :3], world - source[:3, 3:])
    case = {
        "shape": shape,
        "affine": source[:3].tolist(),
        "values": values.ravel(order="F").tolist(),
        "grid_shape": target_shape,
        "grid_affine": target[:3].tolist(),
        "fill": FILL,
    }
    for name, order in [("nearest", 0), ("linear", 1), ("cubic", 3)]:
        case[name] = np.round(resampled(values, places, order), 5).tolist()
    return case


def axis_parallel(spacing, origin, order=(0, 1, 2), signs=(1, 1, 1)):
    affine = np.zeros((4, 4))
    for axis in range(3):
        affine[order[axis], axis] = spacing[axis] * signs[axis]
    affine[:3, 3] = origin
    affine[3, 3] = 1
    return affine


def images(random):
    straight = axis_parallel([1.0, 1.5, 4.0], [-3.0, 2.0, 7.0])
    oblique = random_affine(random, 0.0)
    finer = oblique @ axis_parallel([0.61, 0.7, 0.83], [-0.3, 0.2, -0.37])
    turned = oblique @ axis_parallel([0.9, 1.3, 0.6], [4.87, 3.23, -0.61], (2, 0, 1), (1, -1, -1))
    skew = np.eye(4)
    skew[:3, :3] = np.diag([1.1, 1.3, 3.0]) @ rotation(random) + 0.1
    skew[:3, 3] = [-2.0, 3.5, 9.0]
    plane = axis_parallel([1.0, 1.2, 2.0], [0.0, 0.0, 0.0])
    in_plane = plane @ axis_parallel([0.57, 1.23, 1.0], [-0.77, 0.31, 0.0])
    around = plane.copy()
    around[:2, :2] = [[0.8, -0.5], [0.5, 0.9]]
    return [
        image_case(random, (6, 5, 4), straight, axis_parallel([0.7, 1.9, 2.3], [-3.9, 1.4, 4.0]),
                   (8, 5, 7)),
        image_case(random, (6, 5, 4), oblique, finer, (8, 6, 5)),
        image_case(random, (6, 5, 4), oblique, turned, (4, 6, 7)),
        image_case(random, (6, 5, 4), straight, skew, (6, 6, 5)),
        image_case(random, (45, 2, 1), straight, axis_parallel([0.9, 1.1, 3.0], [-3.4, 2.3, 6.0]),
                   (50, 2, 1)),
        image_case(random, (7, 6, 1), plane, in_plane, (13, 5, 1)),
        image_case(random, (7, 6, 1), plane, around, (7, 6, 1)),
    ]


def main():
    random = np.random.default_rng(20240611)
    content = {"orientations": orientations(random), "images": images(random)}
    path = pathlib.Path(__file__).with_name("geometry.json")
    text = json.dumps(content, separators=(",", ":"))
    path.write_text(text.replace("},{", "},\n{") + "\n")


main()
