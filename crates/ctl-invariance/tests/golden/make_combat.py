"""Golden numbers for src/empirical_bayes.rs: ComBat with a reference batch, by the formulas of
neuroCombat (Fortin et al. 2017), written out on single samples.

The affine map of each feature is read off two points that are harmonised with the site.

Run: python make_combat.py    (numpy; prints the constants of the test)
"""

import numpy as np

SOURCE = np.array(
    [[1.0, 0.5, 10.0], [2.0, 0.75, 12.0], [4.0, 0.25, 9.0], [3.0, 1.0, 11.0], [2.5, 0.5, 14.0]]
)
SITE = np.array([[5.0, 1.5, 20.0], [9.0, 1.0, 26.0], [6.0, 2.0, 23.0], [8.0, 1.25, 18.0]])


def harmonised(points):
    alpha, sigma = SOURCE.mean(0), np.sqrt(SOURCE.var(0))
    z = (SITE - alpha) / sigma
    n = len(z)
    gamma_hat, delta_hat = z.mean(0), z.var(0, ddof=1)
    gamma_bar, tau2 = gamma_hat.mean(), gamma_hat.var(ddof=1)
    m, s2 = delta_hat.mean(), delta_hat.var(ddof=1)
    a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
    gamma, delta = gamma_hat.copy(), delta_hat.copy()
    for _ in range(10_000):
        gamma = (tau2 * n * gamma_hat + delta * gamma_bar) / (tau2 * n + delta)
        delta = (0.5 * ((z - gamma) ** 2).sum(0) + b) / (n / 2 + a - 1)
    return ((points - alpha) / sigma - gamma) / np.sqrt(delta) * sigma + alpha


zero, one = harmonised(np.zeros(3)), harmonised(np.ones(3))
print("GOLDEN_SCALE", [round(v, 12) for v in (one - zero).tolist()])
print("GOLDEN_SHIFT", [round(v, 12) for v in zero.tolist()])
