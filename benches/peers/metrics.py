"""Times scikit-learn's AUROC on the workload of the bench `auroc/n10000-seed7`.

The scores are uniform numbers rounded to four digits and the labels are drawn with the
probability of their score, as in `scored_labels` of `benches/lib.rs`; the generator differs, the
size and the share of ties do not.
Prints the median and the quartiles of a call in microseconds.
"""

import statistics
import time

import numpy
import sklearn
from sklearn.metrics import roc_auc_score

SAMPLES = 10_000
SEED = 7
WARM_UP = 20
REPEATS = 300

generator = numpy.random.default_rng(SEED)
scores = generator.random(SAMPLES).round(4)
labels = scores > generator.random(SAMPLES)


def call() -> float:
    begun = time.perf_counter()
    roc_auc_score(labels, scores)
    return (time.perf_counter() - begun) * 1e6


for _ in range(WARM_UP):
    call()
low, median, high = statistics.quantiles([call() for _ in range(REPEATS)], n=4)
print(f"scikit-learn {sklearn.__version__}, numpy {numpy.__version__}")
print(f"auroc/n{SAMPLES}-seed{SEED}: median {median:.0f} µs, quartiles {low:.0f} to {high:.0f} µs")
