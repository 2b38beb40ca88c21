"""Golden numbers for tests/golden.rs: rules over gradients, and anchor regression, in float64.

Gradients of risks and of single samples are complex-step derivatives of the losses written out
below, those of whole objectives fourth-order central differences, and projections come from a
singular value decomposition, so that nothing here shares a derivation with the crate.

Run: python make_gradients.py    (numpy 2; writes gradients.json beside this file)
"""

import json
import pathlib

import numpy as np

RNG = np.random.default_rng(20250311)
FEATURES, CLASSES = 3, 4
TASKS = ("classification", "binary", "multilabel", "segmentation", "regression")
CASES = []


# Losses that also take complex outputs: one value per sample, the mean over pixels or outputs.
def sample_losses(task, z, y):
    if task in ("classification", "segmentation"):
        log_sum = np.log(np.exp(z).sum(axis=1))
        losses = log_sum - np.take_along_axis(z, np.expand_dims(y, 1), axis=1)[:, 0]
    elif task == "regression":
        losses = (z - y) ** 2
    else:
        losses = np.log(1 + np.exp(z)) - y * z
    return losses.reshape(len(losses), -1).mean(axis=1)


def outputs(x, theta):
    count = len(theta) // (FEATURES + 1)
    weight, bias = theta[: count * FEATURES].reshape(count, FEATURES), theta[count * FEATURES :]
    z = np.einsum("bf...,kf->bk...", x, weight)
    return z + bias.reshape([1, -1] + [1] * (x.ndim - 2))


def sample_gradients(task, x, y, theta):
    """[n, D], by complex steps of 1e-30 in each entry of theta."""
    columns = []
    for index in range(len(theta)):
        moved = theta.astype(complex)
        moved[index] += 1e-30j
        columns.append(sample_losses(task, outputs(x, moved), y).imag / 1e-30)
    return np.stack(columns, axis=1)


def risk(task, x, y, theta):
    return sample_losses(task, outputs(x, theta), y).mean()


def gradient(task, x, y, theta):
    return sample_gradients(task, x, y, theta).mean(axis=0)


def differences(total, arrays, h=1e-3):
    """Fourth-order central differences, the arrays moved in place."""
    out = []
    for array in arrays:
        slopes = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            base, values = array[index], []
            for step in (h, -h, 2 * h, -2 * h):
                array[index] = base + step
                values.append(total())
            array[index] = base
            slopes[index] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)
        out.append(slopes)
    return out


def tensor(x):
    return {"shape": list(np.shape(x)), "data": np.asarray(x).ravel().tolist()}


def tensors(xs):
    return [tensor(x) for x in xs]


def environments(task, sizes):
    out = []
    for n in sizes:
        pixels = (2, 3) if task == "segmentation" else ()
        x = RNG.normal(0, 1, (n, FEATURES, *pixels)).round(3)
        if task in ("classification", "segmentation"):
            y = RNG.integers(0, CLASSES, (n, *pixels))
        elif task == "regression":
            y = RNG.normal(0, 1, (n, CLASSES)).round(3)
        else:
            y = RNG.integers(0, 2, (n, 1 if task == "binary" else CLASSES)).astype(float)
        out.append((x, y))
    return out


def parameters(task):
    count = 1 if task == "binary" else CLASSES
    return RNG.normal(0, 0.7, count * (FEATURES + 1)).round(3)


def split(theta):
    count = len(theta) // (FEATURES + 1)
    return theta[: count * FEATURES].reshape(count, FEATURES), theta[count * FEATURES :]


def add(objective, task, hyper, expected, tolerance, variant="", smallest=None, **parts):
    number = sum(c["objective"] == objective and c["task"] == task for c in CASES)
    head = {"id": f"{objective}-{task}-{number}", "objective": objective, "variant": variant}
    tol = {"abs": smallest or tolerance, "rel": tolerance}
    CASES.append({**head, "task": task, "hyper": hyper, **parts, "expected": expected, "tol": tol})


def with_head(envs, theta):
    weight, bias = split(theta)
    return {
        "envs": [{"labels": tensor(y), "features": tensor(x)} for x, y in envs],
        "head": {"weight": tensor(weight), "bias": tensor(bias)},
    }


def make_penalties():
    variants = [("iga", "", task) for task in TASKS]
    variants += [("fishr", "mean", task) for task in TASKS]
    variants += [("fishr", "sum", "classification"), ("fishr", "sum", "segmentation")]
    variants += [("fishr", "mean-ema", "binary"), ("fishr", "mean-ema", "regression")]
    for objective, variant, task in variants:
        envs, theta = environments(task, (4, 2, 5)), parameters(task)
        hyper = {"lambda": 3.5, "aggregation": "env_mean" if objective == "iga" else "pooled"}
        sizes = np.array([len(x) for x, _ in envs])
        state = RNG.uniform(0, 1, (3, len(theta))).round(3)
        ema = 0.8 if variant == "mean-ema" else None

        def parts():
            risks = np.array([risk(task, x, y, theta) for x, y in envs])
            samples = [sample_gradients(task, x, y, theta) for x, y in envs]
            if objective == "iga":
                means = np.array([g.mean(axis=0) for g in samples])
                penalty = ((means - means.mean(axis=0)) ** 2).sum()
                return risks, risks.mean() + 3.5 * penalty, penalty, means
            raw = np.array([g.var(axis=0) for g in samples])
            used = raw if ema is None else (ema * state + (1 - ema) * raw) / (1 - ema)
            squares = (used - used.mean(axis=0)) ** 2
            penalty = squares.sum() / 3 if variant == "sum" else squares.mean()
            return risks, risks @ sizes / sizes.sum() + 3.5 * penalty, penalty, raw

        risks, total, penalty, rows = parts()
        grads = differences(lambda: parts()[1], [x for x, _ in envs] + [theta])
        weight, bias = split(grads[3])
        expected = {
            "risks": risks.tolist(),
            "penalty": float(penalty),
            "total": float(total),
            "grad_features": tensors(grads[:3]),
            "grad_weight": tensor(weight),
            "grad_bias": tensor(bias),
        }
        extra = {}
        if objective == "iga":
            expected["env_gradients"] = tensors(rows)
        else:
            expected["gradient_variance_raw"] = tensors(rows)
        if ema is not None:
            hyper["ema"] = ema
            extra["state"] = {"ema": tensors(state)}
            expected["state_after"] = {"ema": tensors(ema * state + (1 - ema) * rows)}
        add(objective, task, hyper, expected, 1e-8, variant, **with_head(envs, theta), **extra)


def make_masks():
    for objective, count, hyper in (
        ("and-mask", 5, {"tau": 0.6}),
        ("and-mask", 2, {"tau": 1.0}),
        ("sand-mask", 4, {"tau": 0.5, "k": 0.7}),
        ("sand-mask", 3, {"tau": 1.0, "k": 2.0}),
    ):
        shapes = ((2, 3), (4,))
        grads = [RNG.normal(0, 1, (count, *shape)).round(3) for shape in shapes]
        grads[0][:, 0, 0] = 0.25  # all alike: no variance
        grads[0][0, 0, 1] = 0.0  # no sign
        combined, masks = [], []
        for g in grads:
            agreement, tau = abs(np.sign(g).mean(axis=0)), hyper["tau"]
            if objective == "and-mask":
                mask = (agreement >= tau).astype(float)
            else:
                with np.errstate(divide="ignore", invalid="ignore"):
                    mask = np.tanh(hyper["k"] / g.var(axis=0, ddof=1) * (agreement - tau))
                mask = np.where(np.isnan(mask), 1e-17, np.maximum(mask, 0))
            masks.append(mask)
            combined.append(mask * g.mean(axis=0) / (1e-10 + mask.mean()))
        given = [tensors([g[e] for g in grads]) for e in range(count)]
        expected = {"combined": tensors(combined), "mask": tensors(masks)}
        # Masks of what is undecided are as small as 1e-17.
        add(objective, "gradient", hyper, expected, 1e-9, smallest=1e-24, env_gradients=given)


def adam_pass(theta, steps, rate):
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    for t, slope in enumerate(steps, 1):
        g = slope(theta)
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        theta = theta - rate * first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    return theta


def make_fish():
    for variant, task in (("sgd", "classification"), ("adam", "regression"), ("adam", "segmentation")):
        envs, start = environments(task, (4, 6, 3)), parameters(task)
        losses = []

        def slope(env):
            def at(theta):
                losses.append(float(risk(task, *env, theta)))
                return gradient(task, *env, theta)

            return at

        steps = [slope(env) for env in envs]
        if variant == "adam":
            inner = adam_pass(start, steps, 0.05)
        else:
            inner = start
            for step in steps:
                inner = inner - 0.05 * step(inner)
        end = start + 0.3 * (inner - start)
        names = ("inner_weight", "inner_bias", "weight", "bias")
        values = [tensor(part) for part in (*split(inner), *split(end))]
        expected = {"inner_losses": losses, **dict(zip(names, values))}
        hyper = {"inner_lr": 0.05, "meta_lr": 0.3}
        add("fish", task, hyper, expected, 1e-10, variant, **with_head(envs, start))


def make_mldg():
    for variant, task in (
        ("first-order-sgd", "binary"),
        ("first-order-adam", "classification"),
        ("second-order-sgd", "segmentation"),
        ("second-order-adam", "regression"),
        ("second-order-sgd", "classification"),
    ):
        envs, theta = environments(task, (4, 6, 3)), parameters(task)
        rate, beta, pairs = 0.15, 0.6, [[0, 1], [2, 1], [1, 0]]

        def truncated(i, j):
            n = min(len(envs[i][0]), len(envs[j][0]))
            return [(envs[k][0][:n], envs[k][1][:n]) for k in (i, j)]

        def moved(g):
            return theta - rate * (g / (abs(g) + 1e-8) if variant.endswith("adam") else g)

        result, total = np.zeros_like(theta), 0.0
        for i, j in pairs:
            train, test = truncated(i, j)
            g = gradient(task, *train, theta)
            after = moved(g)
            result += g
            total += risk(task, *train, theta) + beta * risk(task, *test, after)
            if variant.startswith("first"):
                result += beta * gradient(task, *test, after)
            else:
                tested = lambda: risk(task, *test, moved(gradient(task, *train, theta)))
                # Adam's first step is almost a sign: no gradient may change it within the step.
                h = 1e-5 if variant.endswith("adam") else 1e-3
                result += beta * differences(tested, [theta], h)[0]
        weight, bias = split(result / 3)
        expected = {"total": total / 3, "grad_weight": tensor(weight), "grad_bias": tensor(bias)}
        hyper = {"inner_lr": rate, "beta": beta, "pairs": pairs}
        add("mldg", task, hyper, expected, 1e-8, variant, **with_head(envs, theta))


def make_anchor():
    for gamma, redundant in ((0.3, False), (25.0, True)):
        n = 40
        sites = RNG.integers(0, 3, n)
        anchors = np.eye(3)[sites] if redundant else RNG.normal(0, 1, (n, 2)).round(3)
        hidden = RNG.normal(0, 1, n)
        x = RNG.normal(0, 1, (n, 3)) + anchors @ RNG.normal(0, 1, (anchors.shape[1], 3))
        x = (x + hidden[:, None]).round(3)
        y = (x @ [1.0, -0.5, 0.0] + 2 * hidden + anchors[:, 0]).round(3)
        centred = [v - v.mean(axis=0) for v in (x, y, anchors)]
        left, singular, _ = np.linalg.svd(centred[2], full_matrices=False)
        basis = left[:, singular > 1e-9]
        stretch = np.eye(n) + (np.sqrt(gamma) - 1) * basis @ basis.T
        beta = np.linalg.lstsq(stretch @ centred[0], stretch @ centred[1], rcond=None)[0]
        residual = stretch @ (centred[1] - centred[0] @ beta)
        expected = {
            "coefficients": beta.tolist(),
            "intercept": float(y.mean() - x.mean(axis=0) @ beta),
            "objective_mean": float(residual @ residual / n),
        }
        given = {"x": tensor(x), "y": tensor(y), "anchors": tensor(anchors)}
        add("anchor-regression", "regression", {"gamma": gamma}, expected, 1e-9, **given)


def main():
    for make in (make_penalties, make_masks, make_fish, make_mldg, make_anchor):
        make()
    rows = ",\n".join(json.dumps(case) for case in CASES)
    path = pathlib.Path(__file__).with_name("gradients.json")
    path.write_text('{"schema": "objectives/1", "cases": [\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
