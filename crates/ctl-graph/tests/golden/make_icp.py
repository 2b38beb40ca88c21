"""Reference p-values of invariance tests for src/discovery/{numbers,labels}.rs.

Chow's test follows its definition, with the covariance of the prediction errors written out; the
softmax regressions are statsmodels' and the t tests SciPy's.

Run: python make_icp.py    (numpy 2, scipy 1, statsmodels 0.15; prints the constants)
"""

import numpy as np
import statsmodels.api as sm
from scipy import stats

ENVIRONMENTS = (range(0, 6), range(6, 14), range(14, 24))
ROWS = np.arange(24)


def value(factor):
    return (ROWS * factor) % 23 - 11.0


def rest_of(environment):
    return [i for i in ROWS if i not in environment]


def chow(columns, y):
    x = np.column_stack([np.ones(24), *columns])
    p_values = []
    for environment in ENVIRONMENTS:
        own, rest = list(environment), rest_of(environment)
        inverse = np.linalg.inv(x[rest].T @ x[rest])
        beta = inverse @ x[rest].T @ y[rest]
        freedom = len(rest) - x.shape[1]
        noise = ((y[rest] - x[rest] @ beta) ** 2).sum() / freedom
        errors = y[own] - x[own] @ beta
        sigma = np.eye(len(own)) + x[own] @ inverse @ x[own].T
        ratio = errors @ np.linalg.solve(sigma, errors) / (len(own) * noise)
        p_values.append(stats.f.sf(ratio, len(own), freedom))
    return min(1.0, len(ENVIRONMENTS) * min(p_values))


def labels(columns, classes, levels):
    x = np.column_stack([np.ones(24), *columns])
    fit = sm.MNLogit(classes, x).fit(disp=0, tol=1e-14, maxiter=200, method="newton")
    probabilities = fit.predict(x)
    p_values = []
    for level in range(levels) if levels > 2 else [1]:
        y, p = (classes == level).astype(float), probabilities[:, level]
        for statistic in (y - p, (y - p) ** 2 - p * (1 - p)):
            for environment in ENVIRONMENTS:
                own, rest = list(environment), rest_of(environment)
                test = stats.ttest_ind(statistic[own], statistic[rest], equal_var=False)
                p_values.append(test.pvalue)
    risk = -fit.llf / 24 + fit.params.size / 24
    return min(1.0, len(p_values) * min(p_values)), risk, fit.params.T, fit.bse.T


a, b = value(5), value(9)
y = 0.5 * a + value(14) / 4 + np.where(ROWS >= 14, 0.6 * a, 0.0)
for name, columns in (("[]", []), ("[0]", [a]), ("[1]", [b]), ("[0, 1]", [a, b])):
    print("chow", name, chow(columns, y))

score = 0.3 * a + value(14) / 2 + np.where(ROWS >= 14, 4.0, 0.0)
for levels, cuts in ((2, [0.0]), (3, [-3.0, 3.0])):
    classes = np.digitize(score, cuts)
    for name, columns in (("[]", []), ("[0]", [a]), ("[0, 1]", [a, b])):
        p_value, risk, params, errors = labels(columns, classes, levels)
        print("labels", levels, name, p_value, risk, params.tolist(), errors.tolist())
