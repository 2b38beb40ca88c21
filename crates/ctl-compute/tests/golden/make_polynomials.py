"""Fits the polynomials of `src/kernels/math/single.rs`.

Each is the interpolant at Chebyshev nodes of a function taken with 40 digits, so that its error is
within a small factor of the best possible; the coefficients are then rounded to float32.
Run with numpy and mpmath; prints one Rust array per polynomial, lowest power first.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 40


def fit(name, function, low, high, degree):
    """Power coefficients of the interpolant of `function` on `[low, high]`."""
    nodes = [mp.cos(mp.pi * (2 * k + 1) / (2 * degree + 2)) for k in range(degree + 1)]
    points = [(high - low) / mp.mpf(2) * x + (high + low) / mp.mpf(2) for x in nodes]
    matrix = mp.matrix([[p**j for j in range(degree + 1)] for p in points])
    solution = mp.lu_solve(matrix, mp.matrix([function(p) for p in points]))
    values = [np.float32(float(c)) for c in solution]
    worst = max(
        abs(sum(float(c) * float(p) ** j for j, c in enumerate(values)) - float(function(p)))
        for p in np.linspace(float(low), float(high), 2001)[1:]
    )
    print(f"{name}: [{', '.join(f'{v:.9e}' for v in values)}] // worst {worst:.2e}")


half = mp.log(2) / 2
# exp(r) = 1 + r + r² · P(r)
fit("EXP", lambda r: (mp.exp(r) - 1 - r) / r**2 if abs(r) > 1e-12 else mp.mpf("0.5"), -half, half, 5)
# tanh(x) = x + x · s · P(s), s = x²
fit("TANH", lambda s: (mp.tanh(mp.sqrt(s)) / mp.sqrt(s) - 1) / s, mp.mpf("1e-9"), mp.mpf("0.625") ** 2, 5)
# erf(x) = x + x · P(s), s = x²
fit("ERF_SMALL", lambda s: mp.erf(mp.sqrt(s)) / mp.sqrt(s) - 1, mp.mpf("1e-9"), mp.mpf(1), 7)
# log erfc(t) = −t − t · P(t)
fit("ERFC_LOG", lambda t: -mp.log(mp.erfc(t)) / t - 1, mp.mpf("0.9"), mp.mpf("4.1"), 8)
# log(1 + u) = 2s + 2s · z · P(z), s = u / (2 + u), z = s²
fit("LOG", lambda z: (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf("1e-9"), mp.mpf(1) / 9, 4)
