"""Golden numbers for tests/golden.rs: objectives over environments in float64.

Values follow the closed forms written out below in plain numpy; gradients are fourth-order central
differences of those values, and the discriminator's input gradient is a complex-step derivative, so
that nothing here shares a derivation with the crate.

Run: python make_objectives.py    (numpy 2; writes objectives.json beside this file)
"""

import json
import pathlib

import numpy as np

STEP = 1e-3
RNG = np.random.default_rng(20240817)
CLASSES = 4
TASKS = ("classification", "binary", "multilabel", "segmentation", "regression")
INDEX_TASKS = ("classification", "segmentation")


# Losses: one value per sample, the mean over its pixels or outputs.
def sample_losses(task, z, y):
    if task in INDEX_TASKS:
        top = z.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
        chosen = np.take_along_axis(z, np.expand_dims(y, 1), axis=1)[:, 0]
        losses = log_sum - chosen
    elif task == "regression":
        losses = (z - y) ** 2
    else:
        losses = np.logaddexp(0.0, z) - y * z
    return losses.reshape(len(z), -1).mean(axis=1)


def risk(task, z, y):
    return sample_losses(task, z, y).mean()


def slopes(task, z, y):
    """d/dw of every sample's loss at w z, w = 1, by fourth-order differences in w."""
    at = lambda w: sample_losses(task, w * z, y)
    h = 1e-3
    return (8 * (at(1 + h) - at(1 - h)) - (at(1 + 2 * h) - at(1 - 2 * h))) / (12 * h)


def exact_slopes(task, z, y):
    """The same as an expectation under the predicted distribution."""
    if task in INDEX_TASKS:
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        chosen = np.take_along_axis(z, np.expand_dims(y, 1), axis=1)[:, 0]
        out = (p * z).sum(axis=1) - chosen
    elif task == "regression":
        out = 2 * (z - y) * z
    else:
        out = z * (1 / (1 + np.exp(-z)) - y)
    out = out.reshape(len(z), -1).mean(axis=1)
    assert np.allclose(out, slopes(task, z, y), atol=1e-9)
    return out


def coral(a, b):
    cov = lambda x: np.cov(x, rowvar=False) if len(x) > 1 else np.zeros((x.shape[1],) * 2)
    return ((a.mean(0) - b.mean(0)) ** 2).mean() + ((cov(a) - cov(b)) ** 2).mean()


def mmd(a, b, gammas):
    def mean_kernel(x, y):
        d = ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1)
        return sum(np.exp(-g * d) for g in gammas).mean()

    return mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b)


def pairwise(features, distance):
    pairs = [[i, j] for i in range(len(features)) for j in range(i + 1, len(features))]
    return pairs, [float(distance(features[i], features[j])) for i, j in pairs]


# Discriminator: layers of (weight [out, in], bias) with ReLU between; real and complex input.
def discriminator(layers, x):
    for index, (weight, bias) in enumerate(layers):
        x = x @ weight.T + bias
        if index + 1 < len(layers):
            assert np.abs(x.real).min() > 0.02, "a ReLU kink is too close; choose other weights"
            x = np.where(x.real > 0, x, 0)
    return x


def discriminator_losses(layers, x, e):
    z = discriminator(layers, x)
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), e]


def discriminator_parts(layers, x, e):
    cross_entropy = discriminator_losses(layers, x, e).mean()
    gradient = np.empty_like(x)
    for k in range(x.shape[1]):
        moved = x.astype(complex)
        moved[:, k] += 1e-30j
        gradient[:, k] = discriminator_losses(layers, moved, e).imag / 1e-30
    return cross_entropy, (gradient**2).sum(axis=1).mean()


def gradients(total, arrays):
    """Fourth-order central differences of total() with respect to arrays changed in place."""
    out = []
    for array in arrays:
        grad = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            value = array[index]
            samples = []
            for k in (1, -1, 2, -2):
                array[index] = value + k * STEP
                samples.append(total())
            array[index] = value
            near, far = samples[0] - samples[1], samples[2] - samples[3]
            grad[index] = (8 * near - far) / (12 * STEP)
        out.append(grad)
    return out


# Writing.
def tensor(x):
    return {"shape": list(x.shape), "data": x.ravel().tolist()}


def tensors(xs):
    return [tensor(x) for x in xs]


class Environment:
    def __init__(self, task, n, features=None, labelled=True, logits=True):
        shape = {"binary": (n, 1), "segmentation": (n, CLASSES, 2, 3)}.get(task, (n, CLASSES))
        self.z = RNG.normal(0, 1.5, shape).round(3) if logits else None
        self.x = None if features is None else RNG.normal(0.3, 1.0, (n, features)).round(3)
        if task in INDEX_TASKS:
            self.y = RNG.integers(0, CLASSES, (n,) + shape[2:])
        elif task == "regression":
            self.y = RNG.normal(0, 1, shape).round(3)
        else:
            self.y = RNG.integers(0, 2, shape).astype(float)
        self.labelled = labelled

    def json(self):
        out = {} if self.labelled else {"labelled": False}
        if self.labelled:
            out["labels"] = tensor(self.y)
        if self.z is not None:
            out["logits"] = tensor(self.z)
        if self.x is not None:
            out["features"] = tensor(self.x)
        return out


CASES = []


def add(objective, task, hyper, environments, expected, variant="", **parts):
    name = "-".join(filter(None, [objective, variant, task]))
    count = sum(case["id"].startswith(name) for case in CASES)
    case = {"id": f"{name}-{count}", "objective": objective, "variant": variant, "task": task}
    case |= {"hyper": hyper} | parts
    if environments is not None:
        case["envs"] = [e.json() for e in environments]
    case |= {"expected": expected, "tol": {"abs": 1e-11, "rel": 1e-11}}
    names = [k for k in (expected.get("steps") or [expected])[0] if k.startswith("grad_")]
    case["field_tol"] = {k: {"abs": 1e-9, "rel": 1e-9} for k in names if k != "grad_penalty"}
    CASES.append(case)


def risks(task, environments):
    return np.array([risk(task, e.z, e.y) for e in environments if e.labelled])


def finish(expected, total, environments):
    expected["total"] = float(total())
    expected["grad_logits"] = tensors(gradients(total, [e.z for e in environments]))
    if environments[0].x is not None:
        expected["grad_features"] = tensors(gradients(total, [e.x for e in environments]))
    return expected


def make_erm():
    for task in TASKS:
        for aggregation in ("env_mean", "pooled"):
            envs = [Environment(task, n) for n in (5, 2)]
            weights = [1, 1] if aggregation == "env_mean" else [5, 2]
            total = lambda: np.average(risks(task, envs), weights=weights)
            expected = {"risks": risks(task, envs).tolist()}
            add("erm", task, {"aggregation": aggregation}, envs, finish(expected, total, envs))


def irm_penalties(task, envs, variant):
    out = []
    for e in envs:
        s = exact_slopes(task, e.z, e.y)
        out.append(s.mean() ** 2 if variant == "paper" else s[::2].mean() * s[1::2].mean())
    return np.array(out)


def make_irm():
    for task in TASKS:
        for variant, weight, rescale in (("paper", 3.0, False), ("split", 40.0, True)):
            envs = [Environment(task, n) for n in (5, 4)]
            scale = 1 / weight if rescale else 1.0
            penalties = lambda: irm_penalties(task, envs, variant)
            total = lambda: scale * (risks(task, envs).mean() + weight * penalties().mean())
            expected = {
                "risks": risks(task, envs).tolist(),
                "penalty_per_env": penalties().tolist(),
                "penalty": float(penalties().mean()),
            }
            hyper = {"lambda": weight, "rescale": rescale}
            add("irm", task, hyper, envs, finish(expected, total, envs), variant)


def make_rex():
    for task in TASKS:
        envs = [Environment(task, n) for n in (4, 3, 5)]
        total = lambda: (risks(task, envs).mean() + 7 * risks(task, envs).var()) / 7
        expected = {"risks": risks(task, envs).tolist(), "penalty": float(risks(task, envs).var())}
        hyper = {"lambda": 7.0, "rescale": True}
        add("v-rex", task, hyper, envs, finish(expected, total, envs))
        ordered = np.sort(risks(task, envs))
        assert ordered[-1] - ordered[-2] > 1e-2, "the worst environment must be clear"
        total = lambda: 4 * risks(task, envs).max() - risks(task, envs).sum()
        expected = {"risks": risks(task, envs).tolist()}
        add("mm-rex", task, {"lambda_min": -1.0}, envs, finish(expected, total, envs))


def make_group_dro():
    for task in TASKS:
        q, steps, expected = np.full(3, 1 / 3), [], []
        for _ in range(3):
            envs = [Environment(task, n) for n in (3, 2, 4)]
            q = q * np.exp(0.3 * risks(task, envs))
            q = q / q.sum()
            total = lambda: q @ risks(task, envs)
            fields = {"risks": risks(task, envs).tolist(), "weights": q.tolist()}
            expected.append(finish(fields, total, envs))
            steps.append([e.json() for e in envs])
        add("group-dro", task, {"eta": 0.3}, None, {"steps": expected}, steps=steps)


def make_alignment():
    gammas = [0.05, 0.5, 2.0]
    settings = (("", [5, 4], [1, 1]), ("", [1, 6, 3], [1, 1, 1]), ("unlabelled-target", [4, 5, 3], [1, 1, 0]))
    for objective in ("coral", "mmd"):
        distance = coral if objective == "coral" else lambda a, b: mmd(a, b, gammas)
        for variant, sizes, labelled in settings:
            task = "multilabel" if sizes[0] == 1 else "classification"
            envs = [Environment(task, n, 3, bool(l)) for n, l in zip(sizes, labelled)]
            measured = lambda: pairwise([e.x for e in envs], distance)
            penalty = lambda: np.mean(measured()[1])
            total = lambda: risks(task, envs).mean() + 0.6 * penalty()
            expected = {
                "risks": risks(task, envs).tolist(),
                "penalty": float(penalty()),
                "pairs": measured()[0],
                "penalty_per_pair": measured()[1],
            }
            hyper = {"lambda": 0.6} | ({"gammas": gammas} if objective == "mmd" else {})
            add(objective, task, hyper, envs, finish(expected, total, envs), variant)


def make_dann():
    for widths, variant, labelled in (([], "", [1, 1, 1]), ([6, 5], "unlabelled-target", [1, 1, 0])):
        task = "classification"
        for _ in range(1000):
            envs = [Environment(task, n, 3, bool(l)) for n, l in zip((4, 2, 3), labelled)]
            sizes = [3, *widths, len(envs)]
            layers = [
                (RNG.normal(0, 0.8, (o, i)).round(3), RNG.normal(0, 0.4, o).round(3))
                for i, o in zip(sizes, sizes[1:])
            ]
            try:
                discriminator(layers, np.concatenate([e.x for e in envs]))
                break
            except AssertionError:
                continue
        index = np.concatenate([np.full(len(e.x), i) for i, e in enumerate(envs)])
        parts = lambda: discriminator_parts(layers, np.concatenate([e.x for e in envs]), index)
        own = lambda: parts()[0] + 0.4 * parts()[1]
        counts = [len(e.x) for e in envs if e.labelled]
        risk_of_all = lambda: np.average(risks(task, envs), weights=counts)
        total = lambda: risk_of_all() - 0.8 * own()
        expected = {
            "risks": risks(task, envs).tolist(),
            "class_loss": float(risk_of_all()),
            "disc_logits": tensors([discriminator(layers, e.x) for e in envs]),
            "disc_loss_no_penalty": float(parts()[0]),
            "grad_penalty": float(parts()[1]),
            "disc_loss": float(own()),
            "grad_features_disc_loss": tensors(gradients(own, [e.x for e in envs])),
        }
        given = [{"weight": tensor(w), "bias": tensor(b)} for w, b in layers]
        given = given[0] if len(given) == 1 else {"layers": given}
        hyper = {"lambda": 0.8, "grad_penalty": 0.4}
        expected = finish(expected, total, envs)
        add("dann", task, hyper, envs, expected, variant, discriminator=given)


def make_mixup():
    for task in ("classification", "binary", "regression"):
        envs = [Environment(task, n, 3, logits=False) for n in (5, 3, 4)]
        outputs = 1 if task == "binary" else CLASSES
        weight, bias = RNG.normal(0, 1, (outputs, 3)).round(3), RNG.normal(0, 1, outputs).round(3)
        order, shares = [1, 2, 0], [0.35, 0.8, 1.0]

        def losses():
            out = []
            for position, m in enumerate(shares):
                a, b = envs[order[position]], envs[order[(position + 1) % 3]]
                n = min(len(a.x), len(b.x))
                z = (m * a.x[:n] + (1 - m) * b.x[:n]) @ weight.T + bias
                out.append(m * risk(task, z, a.y[:n]) + (1 - m) * risk(task, z, b.y[:n]))
            return out

        total = lambda: np.mean(losses())
        grads = gradients(total, [e.x for e in envs] + [weight, bias])
        expected = {
            "pair_losses": [float(l) for l in losses()],
            "total": float(total()),
            "grad_features": tensors(grads[:3]),
            "grad_weight": tensor(grads[3]),
            "grad_bias": tensor(grads[4]),
        }
        head = {"weight": tensor(weight), "bias": tensor(bias)}
        add("mixup", task, {"permutation": order, "mix": shares}, envs, expected, head=head)


# Objectives that were added later; the cases above keep their numbers.
def deep_coral(a, b):
    cov = lambda x: np.cov(x, rowvar=False)
    return np.linalg.norm(cov(a) - cov(b)) ** 2 / (4 * a.shape[1] ** 2)


def make_deep_coral():
    for variant, labelled in (("", [1, 1, 1]), ("unlabelled-target", [1, 1, 0])):
        envs = [Environment("classification", n, 3, bool(l)) for n, l in zip((4, 6, 3), labelled)]
        measured = lambda: pairwise([e.x for e in envs], deep_coral)
        total = lambda: risks("classification", envs).mean() + 0.9 * np.mean(measured()[1])
        expected = {
            "risks": risks("classification", envs).tolist(),
            "penalty": float(np.mean(measured()[1])),
            "pairs": measured()[0],
            "penalty_per_pair": measured()[1],
        }
        expected = finish(expected, total, envs)
        add("deep-coral", "classification", {"lambda": 0.9}, envs, expected, variant)


def make_causirl():
    gammas, cuts = [0.1, 1.0], [3, 0, 2]
    for objective in ("causirl-coral", "causirl-mmd"):
        distance = coral if objective.endswith("coral") else lambda a, b: mmd(a, b, gammas)
        for task in ("classification", "regression"):
            envs = [Environment(task, n, 2) for n in (4, 3, 2)]
            first = lambda: np.concatenate([e.x[:c] for e, c in zip(envs, cuts)])
            second = lambda: np.concatenate([e.x[c:] for e, c in zip(envs, cuts)])
            penalty = lambda: distance(first(), second())
            total = lambda: risks(task, envs).mean() + 1.7 * penalty()
            expected = {"risks": risks(task, envs).tolist(), "penalty": float(penalty())}
            hyper = {"lambda": 1.7, "cut": cuts}
            hyper |= {"gammas": gammas} if objective.endswith("mmd") else {}
            add(objective, task, hyper, envs, finish(expected, total, envs))


def make_sd():
    for task in TASKS:
        envs = [Environment(task, n) for n in (4, 2)]
        outputs = lambda: np.concatenate([e.z.ravel() for e in envs])
        risk_of_all = lambda: np.average(risks(task, envs), weights=[4, 2])
        total = lambda: risk_of_all() + 0.3 * (outputs() ** 2).mean()
        expected = {
            "risks": risks(task, envs).tolist(),
            "penalty": float((outputs() ** 2).mean()),
        }
        hyper = {"lambda": 0.3, "aggregation": "pooled"}
        add("sd", task, hyper, envs, finish(expected, total, envs))


def make_bottleneck():
    for task in ("classification", "multilabel"):
        for objective in ("ib-erm", "ib-irm"):
            envs = [Environment(task, n, 3) for n in (5, 4)]
            variances = lambda: np.array([e.x.var(axis=0, ddof=1).mean() for e in envs])
            penalties = lambda: irm_penalties(task, envs, "split")
            weight = 0.0 if objective == "ib-erm" else 6.0
            total = lambda: (
                risks(task, envs).mean() + 0.4 * variances().mean() + weight * penalties().mean()
            )
            expected = {
                "risks": risks(task, envs).tolist(),
                "ib_penalty_per_env": variances().tolist(),
                "ib_penalty": float(variances().mean()),
            }
            hyper = {"ib_lambda": 0.4}
            if objective == "ib-irm":
                hyper |= {"irm_lambda": weight, "irm_variant": "split"}
                expected["irm_penalty_per_env"] = penalties().tolist()
                expected["irm_penalty"] = float(penalties().mean())
            add(objective, task, hyper, envs, finish(expected, total, envs))


def make_rdm():
    gammas = [0.01, 1.0, 10.0]
    for task in TASKS:
        envs = [Environment(task, n) for n in (4, 3, 2)]
        worst = int(np.argmax(risks(task, envs)))
        losses = lambda: [sample_losses(task, e.z, e.y) for e in envs]
        joined = lambda: np.concatenate(losses())
        penalty = lambda: mmd(losses()[worst][:, None], joined()[:, None], gammas)
        spread = lambda: joined().var(ddof=1) + losses()[worst].var(ddof=1)
        total = lambda: risks(task, envs).mean() + 4 * penalty() + 0.02 * spread()
        expected = {
            "risks": risks(task, envs).tolist(),
            "worst_env": worst,
            "penalty": float(penalty()),
            "variance_penalty": float(spread()),
        }
        hyper = {"lambda": 4.0, "variance_weight": 0.02, "gammas": gammas}
        add("rdm", task, hyper, envs, finish(expected, total, envs))


def bandwidth(values, kind):
    spread, scale = values.std(ddof=1), len(values) ** -0.2
    if kind == "gauss-optimal":
        return 1.06 * spread * scale
    upper, lower = np.quantile(values, [0.75, 0.25])
    return 0.9 * min(spread, (upper - lower) / 1.34) * scale


def kernel_quantile(values, alpha, kind):
    """Newton's method, from the highest risk: the root is unique."""
    from statistics import NormalDist

    cdf, pdf = np.vectorize(NormalDist().cdf), np.vectorize(NormalDist().pdf)
    h = bandwidth(values, kind)
    low, high = values.min() - 10 * h, values.max() + 10 * h
    q = values.mean()
    for _ in range(300):
        u = (q - values) / h
        excess = cdf(u).mean() - alpha
        low, high = (low, q) if excess > 0 else (q, high)
        step = q - excess * h / max(pdf(u).mean(), 1e-300)
        q = step if low < step < high else (low + high) / 2
    return q


def make_eqrm():
    for kind, sizes in (("gauss-optimal", (3, 2, 2)), ("silverman", (2, 2, 3, 2, 1))):
        for task in ("classification", "binary", "segmentation"):
            envs = [Environment(task, n) for n in sizes]
            alpha = 0.8
            total = lambda: kernel_quantile(risks(task, envs), alpha, kind)
            values = risks(task, envs)
            slopes = gradients(lambda: kernel_quantile(values, alpha, kind), [values])[0]
            expected = {
                "risks": risks(task, envs).tolist(),
                "bandwidth": float(bandwidth(risks(task, envs), kind)),
                "grad_risks": tensor(slopes),
            }
            hyper = {"alpha": alpha, "bandwidth": kind}
            add("eqrm", task, hyper, envs, finish(expected, total, envs), kind)


def make_cdann():
    envs = [Environment("classification", n, 3) for n in (4, 3, 2)]
    layers = [(RNG.normal(0, 0.8, (3, 3)).round(3), RNG.normal(0, 0.4, 3).round(3))]
    index = np.concatenate([np.full(len(e.x), i) for i, e in enumerate(envs)])
    classes = np.concatenate([e.y for e in envs])
    shares = np.array([1 / ((classes == c).sum() * (classes.max() + 1)) for c in classes])
    joined = lambda: np.concatenate([e.x for e in envs])
    cross_entropy = lambda: shares @ discriminator_losses(layers, joined(), index)
    penalty = lambda: discriminator_parts(layers, joined(), index)[1]
    own = lambda: cross_entropy() + 0.2 * penalty()
    risk_of_all = lambda: np.average(risks("classification", envs), weights=[4, 3, 2])
    total = lambda: risk_of_all() - 0.7 * own()
    expected = {
        "risks": risks("classification", envs).tolist(),
        "class_loss": float(risk_of_all()),
        "disc_logits": tensors([discriminator(layers, e.x) for e in envs]),
        "disc_loss_no_penalty": float(cross_entropy()),
        "grad_penalty": float(penalty()),
        "disc_loss": float(own()),
        "grad_features_disc_loss": tensors(gradients(own, [e.x for e in envs])),
    }
    given = {"weight": tensor(layers[0][0]), "bias": tensor(layers[0][1])}
    hyper = {"lambda": 0.7, "grad_penalty": 0.2}
    expected = finish(expected, total, envs)
    add("cdann", "classification", hyper, envs, expected, discriminator=given)


def make_counterfactual_invariance():
    gammas = [0.2, 1.5]
    for form in ("marginal", "conditional"):
        batch = Environment("classification", 12, 3)
        batch.y = np.arange(12) % 3
        attribute = (np.arange(12) // 3) % 2
        label = {"marginal": [None], "conditional": [0, 1, 2]}[form]
        rows = lambda z, y: (attribute == z) & ((batch.y == y) | (y is None))
        terms = lambda: [mmd(batch.x[rows(0, y)], batch.x[rows(1, y)], gammas) for y in label]
        of_all = lambda: risk("classification", batch.z, batch.y)
        total = lambda: of_all() + 1.3 * sum(terms())
        grads = gradients(total, [batch.z, batch.x])
        expected = {
            "risk": float(of_all()),
            "mmd2_terms": [float(t) for t in terms()],
            "penalty": float(sum(terms())),
            "total": float(total()),
            "grad_logits": tensor(grads[0]),
            "grad_features": tensor(grads[1]),
        }
        given = batch.json() | {"attribute": tensor(attribute)}
        hyper = {"lambda": 1.3, "gammas": gammas}
        name = "counterfactual-invariance"
        add(name, "classification", hyper, None, expected, form, batch=given)


def make_deployment():
    for clip in (None, 2.0):
        d, losses = RNG.uniform(0.1, 0.9, 9).round(3), RNG.exponential(1, 9).round(3)
        weights = d / (1 - d) * 40 / 70
        weights = weights if clip is None else np.minimum(weights, clip)
        expected = {
            "weights": weights.tolist(),
            "weighted_risk": float((weights * losses).mean()),
            "self_normalised_risk": float(weights @ losses / weights.sum()),
            "effective_sample_size": float(weights.sum() ** 2 / (weights**2).sum()),
        }
        hyper = {"n_source": 40, "n_target": 70, "clip_max": clip}
        parts = {"target_probability": d.tolist(), "losses": losses.tolist()}
        add("importance-weighting", "classification", hyper, None, expected, **parts)
    for task in INDEX_TASKS:
        batch = Environment(task, 3)

        def entropy():
            p = np.exp(batch.z) / np.exp(batch.z).sum(axis=1, keepdims=True)
            return -(p * np.log(p)).sum(axis=1).mean()

        expected = {"total": float(entropy()), "grad_logits": tensor(gradients(entropy, [batch.z])[0])}
        add("tent", task, {}, None, expected, batch={"logits": tensor(batch.z)})


MAKERS = (
    make_erm,
    make_irm,
    make_rex,
    make_group_dro,
    make_alignment,
    make_dann,
    make_mixup,
    make_deep_coral,
    make_causirl,
    make_sd,
    make_bottleneck,
    make_rdm,
    make_eqrm,
    make_cdann,
    make_counterfactual_invariance,
    make_deployment,
)


def main():
    for make in MAKERS:
        make()
    rows = ",\n".join(json.dumps(case) for case in CASES)
    path = pathlib.Path(__file__).with_name("objectives.json")
    path.write_text('{"schema": "objectives/1", "cases": [\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
