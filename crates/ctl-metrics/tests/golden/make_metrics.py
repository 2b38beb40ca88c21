"""Golden numbers for ctl-metrics, from SciPy and scikit-learn.

Run `python make_metrics.py` beside this file; it writes `metrics.json`.
Made with scikit-learn 1.9.1, SciPy 1.17.1 and NumPy 2.4.6.
"""

import json
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn import metrics as sk

BINS = 10


def ece_equal_width(probabilities, labels):
    confidence = np.maximum(probabilities, 1 - probabilities)
    correct = (probabilities >= 0.5) == (labels == 1)
    edges = np.arange(BINS + 1) / BINS
    bins = np.digitize(confidence, edges, right=True)
    gaps = [
        (np.sum(bins == b), abs(correct[bins == b].mean() - confidence[bins == b].mean()))
        for b in np.unique(bins)
    ]
    total = sum(count * gap for count, gap in gaps) / len(labels)
    return total, max(gap for _, gap in gaps)


def binary_case(rng, size, digits):
    labels = (rng.random(size) < 0.4).astype(int)
    raw = 0.2 + 0.6 * rng.random(size) + 0.25 * (labels - 0.4)
    probabilities = np.round(np.clip(raw, 0, 1), digits)
    sites = rng.integers(0, 3, size)
    predicted = (probabilities >= 0.5).astype(int)
    ece, mce = ece_equal_width(probabilities, labels)
    by_site = {
        str(s): float(sk.roc_auc_score(labels[sites == s], probabilities[sites == s]))
        for s in range(3)
    }
    return {
        "labels": labels.tolist(),
        "probabilities": probabilities.tolist(),
        "sites": sites.tolist(),
        "expected": {
            "auroc": sk.roc_auc_score(labels, probabilities),
            "average_precision": sk.average_precision_score(labels, probabilities),
            "accuracy": sk.accuracy_score(labels, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
            "f1": sk.f1_score(labels, predicted),
            "mcc": sk.matthews_corrcoef(labels, predicted),
            "kappa": sk.cohen_kappa_score(labels, predicted),
            "brier": sk.brier_score_loss(labels, probabilities),
            "log_loss": sk.log_loss(labels, probabilities),
            "ece": ece,
            "mce": mce,
            "auroc_by_site": by_site,
            "worst_site_auroc": min(by_site.values()),
        },
    }


def multiclass_case(rng, size, classes):
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, size - classes)])
    logits = np.round(rng.normal(size=(size, classes)) + np.eye(classes)[labels], 2)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    return {
        "labels": labels.tolist(),
        "classes": classes,
        "logits": logits.ravel().tolist(),
        "expected": {
            "auroc_ovr_macro": sk.roc_auc_score(labels, probabilities, multi_class="ovr"),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
            "f1_macro": sk.f1_score(labels, predicted, average="macro"),
            "mcc": sk.matthews_corrcoef(labels, predicted),
            "kappa_quadratic": sk.cohen_kappa_score(labels, predicted, weights="quadratic"),
            "log_loss": sk.log_loss(labels, probabilities),
            "top_2_accuracy": sk.top_k_accuracy_score(labels, logits, k=2),
        },
    }


def friedman_case(rng, data_sets, methods, digits):
    scores = np.round(0.7 + 0.1 * rng.random((data_sets, methods)) + 0.02 * np.arange(methods), digits)
    statistic, p = stats.friedmanchisquare(*scores.T)
    ranks = stats.rankdata(-scores, axis=1)
    f = (data_sets - 1) * statistic / (data_sets * (methods - 1) - statistic)
    quantile = stats.studentized_range.ppf(0.95, methods, np.inf) / np.sqrt(2)
    return {
        "methods": methods,
        "scores": scores.ravel().tolist(),
        "expected": {
            "average_ranks": ranks.mean(axis=0).tolist(),
            "chi2": statistic,
            "p_chi2": p,
            "iman_davenport_f": f,
            "p_iman_davenport": stats.f.sf(f, methods - 1, (methods - 1) * (data_sets - 1)),
            "critical_difference": quantile * np.sqrt(methods * (methods + 1) / (6 * data_sets)),
        },
    }


def paired_case(rng, size):
    a = np.round(0.8 + 0.1 * rng.normal(size=size), 6)
    b = np.round(a - 0.03 + 0.05 * rng.normal(size=size), 6)
    d = np.round(a - b, 6)
    exact = stats.wilcoxon(d, method="exact")
    approximate = stats.wilcoxon(d, method="asymptotic", correction=True)
    t = stats.ttest_rel(a, b)
    flips = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    return {
        "a": a.tolist(),
        "b": b.tolist(),
        "expected": {
            "w_smaller": exact.statistic,
            "p_wilcoxon_exact": exact.pvalue,
            "p_wilcoxon_corrected": approximate.pvalue,
            "t": t.statistic,
            "p_t": t.pvalue,
            "p_sign_flip": flips.pvalue,
            "pearson": stats.pearsonr(a, b).statistic,
            "spearman": stats.spearmanr(a, b).statistic,
            "kendall_tau_b": stats.kendalltau(np.round(a, 1), np.round(b, 1)).statistic,
        },
    }


def tails():
    points = [0.01, 0.5, 1.0, 2.5, 6.0]
    return {
        "normal_two_sided": [[z, 2 * stats.norm.sf(z)] for z in points],
        "studentized_range": [
            [q, k, stats.studentized_range.cdf(q, k, np.inf)]
            for q, k in [(1.0, 5), (3.3, 3), (4.4, 10), (2.8, 20)]
        ],
    }


def main():
    rng = np.random.default_rng(20260115)
    golden = {
        "binary": [binary_case(rng, 60, 1), binary_case(rng, 150, 4)],
        "multiclass": [multiclass_case(rng, 50, 3), multiclass_case(rng, 80, 5)],
        "friedman": [friedman_case(rng, 8, 4, 4), friedman_case(rng, 12, 5, 2)],
        "paired": [paired_case(rng, 12), paired_case(rng, 16)],
        "tails": tails(),
    }
    text = json.dumps(golden, indent=1, default=float)
    Path(__file__).with_name("metrics.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
