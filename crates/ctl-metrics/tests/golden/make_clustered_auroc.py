"""Golden numbers for the clustered AUROC variance, from its definition in exact fractions.

Run `python make_clustered_auroc.py` beside this file; it writes `clustered_auroc.json`.
Needs the standard library alone. Every pair of a positive and a negative is compared, and the sums
S10, S01 and S11 of Obuchowski 1997 are formed as they are printed there.
"""

import json
import random
from fractions import Fraction
from pathlib import Path


def kernel(x, y):
    return Fraction(1) if x > y else Fraction(1, 2) if x == y else Fraction(0)


def expected(scores, labels, clusters):
    names = sorted(set(clusters))
    xs = {c: [s for s, l, k in zip(scores, labels, clusters) if k == c and l] for c in names}
    ys = {c: [s for s, l, k in zip(scores, labels, clusters) if k == c and not l] for c in names}
    all_x = [x for c in names for x in xs[c]]
    all_y = [y for c in names for y in ys[c]]
    m, n = len(all_x), len(all_y)
    area = sum(kernel(x, y) for x in all_x for y in all_y) / (m * n)
    v10 = {c: sum(sum(kernel(x, y) for y in all_y) / n for x in xs[c]) for c in names}
    v01 = {c: sum(sum(kernel(x, y) for x in all_x) / m for y in ys[c]) for c in names}
    i, i10 = len(names), sum(1 for c in names if xs[c])
    i01 = sum(1 for c in names if ys[c])
    d10 = {c: v10[c] - len(xs[c]) * area for c in names}
    d01 = {c: v01[c] - len(ys[c]) * area for c in names}
    s10 = Fraction(i10, (i10 - 1) * m) * sum(d10[c] ** 2 for c in names)
    s01 = Fraction(i01, (i01 - 1) * n) * sum(d01[c] ** 2 for c in names)
    s11 = Fraction(i, i - 1) * sum(d10[c] * d01[c] for c in names)
    variance = s10 / m + s01 / n + 2 * s11 / (m * n)
    return {"auroc": float(area), "variance": float(variance), "clusters": i}


def case(rng, patients, images, levels, mixed):
    scores, labels, clusters = [], [], []
    for patient in range(patients):
        ill = rng.random() < 0.5
        base = rng.gauss(0.8 if ill else 0.0, 1.0)
        for _ in range(rng.randint(1, images)):
            label = rng.random() < 0.5 if mixed else ill
            score = base + 0.5 * label + rng.gauss(0.0, 0.5)
            scores.append(round(score * levels) / levels)
            labels.append(int(label))
            clusters.append(patient)
    return {
        "scores": scores,
        "labels": labels,
        "clusters": clusters,
        "expected": expected(scores, labels, clusters),
    }


def main():
    rng = random.Random(20260115)
    cases = [
        case(rng, 20, 4, 2, mixed=True),
        case(rng, 30, 5, 1000, mixed=False),
        case(rng, 25, 1, 4, mixed=False),
        case(rng, 8, 9, 1000, mixed=True),
    ]
    path = Path(__file__).with_name("clustered_auroc.json")
    path.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
