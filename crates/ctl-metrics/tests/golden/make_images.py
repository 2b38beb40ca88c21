"""Makes images.json: masks, images and anomaly maps with numbers from other programs.

Run with numpy, scipy, scikit-image, scikit-learn and surface-distance-based-measures installed:
    python make_images.py [seed [cases]] > images.json

Voxel distances: all pairs of boundary voxels, written out here.
Boundary elements: surface-distance-based-measures.
SSIM: scikit-image; the mirrored variant: scipy.ndimage.correlate1d in mirror mode.
Anomaly maps: scikit-learn; the overlap of regions: a sweep over all thresholds, written out here.
"""

import json
import sys

import numpy as np
from scipy import ndimage
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score, roc_auc_score

# surface-distance-based-measures uses names that NumPy 2 and SciPy 1.15 have dropped.
np.Inf = np.inf
ndimage.filters = ndimage
ndimage.morphology = ndimage
import surface_distance  # noqa: E402

TOLERANCES = (0.5, 1.0, 2.0)
TOL = {"abs": 1e-9, "rel": 1e-9}


def bits(mask):
    return {"shape": list(mask.shape), "bits": "".join("01"[int(v)] for v in mask.ravel())}


def tensor(array):
    return {"shape": list(array.shape), "data": array.ravel().tolist()}


def blob(rng, shape, level):
    noise = rng.normal(size=shape)
    return ndimage.gaussian_filter(noise, 1.0 + rng.random()) > level


def boundary(mask):
    padded = np.pad(mask, 1)
    inner = padded.copy()
    for axis in range(mask.ndim):
        inner &= np.roll(padded, 1, axis) & np.roll(padded, -1, axis)
    return (padded & ~inner)[tuple(slice(1, -1) for _ in mask.shape)]


def directed(a, b, spacing):
    ours = np.argwhere(boundary(a)) * spacing
    theirs = np.argwhere(boundary(b)) * spacing
    return np.sqrt(((ours[:, None] - theirs[None]) ** 2).sum(-1)).min(1)


def near_a_tolerance(values):
    gaps = np.abs(np.asarray(values)[:, None] - np.asarray(TOLERANCES))
    return bool(((gaps > 0) & (gaps < 1e-9)).any())


def segmentation(rng, prediction, reference, spacing):
    spacing = np.asarray(spacing)
    both = (prediction & reference).sum()
    ours, theirs = prediction.sum(), reference.sum()
    there, back = directed(prediction, reference, spacing), directed(reference, prediction, spacing)
    pooled = np.concatenate([there, back])
    elements = surface_distance.compute_surface_distances(reference, prediction, spacing)
    listed = [elements["distances_gt_to_pred"], elements["distances_pred_to_gt"]]
    if near_a_tolerance(pooled) or any(near_a_tolerance(values) for values in listed):
        return None
    averages = surface_distance.compute_average_surface_distance(elements)
    surfel = {
        "hd": surface_distance.compute_robust_hausdorff(elements, 100),
        "hd95": surface_distance.compute_robust_hausdorff(elements, 95),
        "asd_reference_to_prediction_and_back": list(averages),
        "nsd": {
            str(t): surface_distance.compute_surface_dice_at_tolerance(elements, t)
            for t in TOLERANCES
        },
    }
    background = ~reference
    return {
        "metric": "segmentation",
        "inputs": {
            "prediction": bits(prediction),
            "reference": bits(reference),
            "spacing": spacing.tolist(),
        },
        "expected": {
            "dice": 2 * both / (ours + theirs),
            "iou": both / (prediction | reference).sum(),
            "sensitivity": both / theirs,
            "precision": both / ours,
            "specificity": (
                (background & ~prediction).sum() / background.sum() if background.any() else 1.0
            ),
            "volume_similarity": 1 - abs(int(ours) - int(theirs)) / (ours + theirs),
            "volume_mm3_or_area_mm2": [ours * spacing.prod(), theirs * spacing.prod()],
            "hd": max(there.max(), back.max()),
            "hd95": max(np.percentile(there, 95), np.percentile(back, 95)),
            "hd95_pooled": np.percentile(pooled, 95),
            "assd": pooled.mean(),
            "assd_mean_of_means": (there.mean() + back.mean()) / 2,
            "nsd": {str(t): (pooled <= t).mean() for t in TOLERANCES},
            "surfel": surfel,
        },
    }


def mirrored_ssim(x, y, data_range):
    axis = np.arange(-5, 6)
    weights = np.exp(-(axis**2) / (2 * 1.5**2))
    weights /= weights.sum()

    def blur(image):
        rows = ndimage.correlate1d(image, weights, axis=0, mode="mirror")
        return ndimage.correlate1d(rows, weights, axis=1, mode="mirror")

    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    index = (2 * mx * my + c1) * (2 * vxy + c2)
    return (index / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean()


def image_quality(rng, shape, scale):
    smooth = ndimage.gaussian_filter(rng.random(shape), (0, 2, 2))
    reference = scale * smooth / smooth.max()
    prediction = reference + 0.1 * scale * rng.normal(size=shape)
    span = reference.max()
    error = ((prediction - reference) ** 2).mean()
    pairs = list(zip(prediction, reference))
    gaussian = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    return {
        "metric": "image_quality",
        "inputs": {"reference": tensor(reference), "prediction": tensor(prediction)},
        "expected": {
            "data_range": span,
            "mae": np.abs(prediction - reference).mean(),
            "mse": error,
            "nmse": ((prediction - reference) ** 2).sum() / (reference**2).sum(),
            "psnr": 10 * np.log10(span**2 / error),
            "ssim_uniform7": np.mean(
                [structural_similarity(x, y, win_size=7, data_range=span) for x, y in pairs]
            ),
            "ssim_gaussian11": np.mean(
                [structural_similarity(x, y, data_range=span, **gaussian) for x, y in pairs]
            ),
            "ssim_gaussian11_reflect_full": np.mean(
                [mirrored_ssim(x, y, span) for x, y in pairs]
            ),
        },
    }


def pro_curve(scores, masks):
    regions = []
    for image, mask in zip(scores, masks):
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        regions += [image[labels == number] for number in range(1, count + 1)]
    normal = scores[~masks]
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(scores)[::-1]:
        rates.append((normal >= threshold).mean())
        overlaps.append(np.mean([(region >= threshold).mean() for region in regions]))
    return np.array(rates), np.array(overlaps), len(regions)


def aupro(rates, overlaps, limit):
    inside = rates <= limit
    rates_in, overlaps_in = list(rates[inside]), list(overlaps[inside])
    if not inside.all():
        after = int(np.argmin(inside))
        part = (limit - rates[after - 1]) / (rates[after] - rates[after - 1])
        rates_in.append(limit)
        overlaps_in.append(overlaps[after - 1] + part * (overlaps[after] - overlaps[after - 1]))
    return np.trapezoid(overlaps_in, rates_in) / limit


def anomaly(rng, shape, decimals):
    masks = np.stack([blob(rng, shape[1:], 0.35) for _ in range(shape[0])])
    masks[0] = False
    if not masks.any():
        masks[-1, 0, 0] = True
    scores = np.round(rng.normal(size=shape) + 1.2 * masks, decimals)
    flat, labels = scores.ravel(), masks.ravel()
    best = (0.0, np.inf)
    for threshold in np.unique(flat)[::-1]:
        called = flat >= threshold
        f1 = 2 * (called & labels).sum() / (called.sum() + labels.sum())
        best = max(best, (f1, threshold), key=lambda pair: pair[0])
    rates, overlaps, count = pro_curve(scores, masks)
    per_image = (scores.reshape(shape[0], -1).max(1), masks.reshape(shape[0], -1).any(1))
    expected = {
        "pixel_auroc": roc_auc_score(labels, flat),
        "pixel_average_precision": average_precision_score(labels, flat),
        "aupro_0.3": aupro(rates, overlaps, 0.3),
        "aupro_0.05": aupro(rates, overlaps, 0.05),
        "aupro_1.0": aupro(rates, overlaps, 1.0),
        "n_regions": count,
        "best_f1": best[0],
        "best_f1_threshold": best[1],
    }
    if per_image[1].any() and not per_image[1].all():
        expected["image_auroc_max_pooling"] = roc_auc_score(per_image[1], per_image[0])
    return {
        "metric": "anomaly",
        "inputs": {"scores": tensor(scores), "masks": tensor(masks.astype(int))},
        "expected": expected,
    }


def mask_pairs(rng, count):
    while count:
        dimensions = int(rng.integers(2, 4))
        high = 26 if dimensions == 2 else 12
        shape = tuple(int(n) for n in rng.integers(1, high, dimensions))
        spacing = [float(rng.choice([0.5, 0.8, 1.0, 1.3, 2.5, 5.0])) for _ in shape]
        level = rng.uniform(-0.2, 0.15)
        reference = blob(rng, shape, level)
        prediction = blob(rng, shape, level) if rng.random() < 0.5 else reference.copy()
        flips = rng.random(shape) < rng.choice([0.0, 0.02, 0.1])
        prediction ^= flips
        if prediction.any() and reference.any():
            case = segmentation(rng, prediction, reference, spacing)
            if case:
                yield case
                count -= 1


def plain(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value))


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    rng = np.random.default_rng(seed)
    cases = list(mask_pairs(rng, count))
    for _ in range(max(1, count // 3)):
        shape = tuple(int(n) for n in rng.integers([1, 11, 11], [4, 22, 22]))
        cases.append(image_quality(rng, shape, float(rng.choice([1.0, 255.0, 1e-3, 4e4]))))
        shape = tuple(int(n) for n in rng.integers([2, 4, 4], [5, 16, 16]))
        cases.append(anomaly(rng, shape, int(rng.integers(1, 5))))
    for number, case in enumerate(cases):
        case.update(id=f"{case['metric']}-{number}", tol=TOL)
    json.dump({"cases": cases}, sys.stdout, default=plain)
    print()


if __name__ == "__main__":
    main()
