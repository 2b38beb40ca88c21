"""Golden numbers of the operators with channels last, from PyTorch in double precision.

Inputs are closed formulas that the tests repeat, so that only results are stored.
Writes channels_last.json: one flat array per line, channels last.
Run with torch (2.15 was used).
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def wave(*shape):
    """sin(1.7 i) over the elements in order."""
    count = torch.Size(shape).numel()
    return torch.sin(1.7 * torch.arange(count)).reshape(shape)


def first(x):
    """Channels last to channels first."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


out = {}


def put(name, x):
    out[name] = x.detach().flatten().tolist()


def with_gradient(name, function, *shape):
    """The result, and the gradient of Σ cos(i) · result with respect to the input."""
    x = wave(*shape).requires_grad_()
    y = last(function(first(x)))
    put(name, y)
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
    (y * weights).sum().backward()
    put(name + " gradient", x.grad)


with_gradient("max pool 3 2 1", lambda x: F.max_pool2d(x, 3, 2, 1), 2, 5, 6, 3)
with_gradient("average pool 3 2 1", lambda x: F.avg_pool2d(x, 3, 2, 1), 2, 5, 6, 3)
with_gradient(
    "average pool 3 2 1 inside",
    lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    2, 5, 6, 3,
)
with_gradient("average pool 3d", lambda x: F.avg_pool3d(x, (2, 3, 2), (1, 2, 2), (1, 1, 0)), 1, 4, 5, 6, 2)
with_gradient("nearest 5 7", lambda x: F.interpolate(x, (5, 7)), 1, 3, 4, 2)
with_gradient("nearest 2 3", lambda x: F.interpolate(x, (2, 3)), 1, 5, 7, 2)
for corners in (False, True):
    kind = f"linear {'corners ' if corners else ''}"
    options = {"mode": "bilinear", "align_corners": corners}
    with_gradient(kind + "5 7", lambda x: F.interpolate(x, (5, 7), **options), 1, 3, 4, 2)
    with_gradient(kind + "2 3", lambda x: F.interpolate(x, (2, 3), **options), 1, 5, 7, 2)
    with_gradient(
        kind + "factor 1.5", lambda x: F.interpolate(x, scale_factor=1.5, **options), 1, 5, 7, 2
    )
    with_gradient(
        kind + "volume",
        lambda x: F.interpolate(x, (4, 3, 5), mode="trilinear", align_corners=corners),
        1, 2, 4, 3, 2,
    )

weight, bias = 1 + 0.1 * torch.arange(4.0), 0.2 * torch.arange(4.0) - 0.3
with_gradient(
    "batch norm relu", lambda x: F.relu(F.batch_norm(x, None, None, weight, bias, True)), 3, 2, 3, 4
)
with_gradient("group norm", lambda x: F.group_norm(x, 2, weight, bias), 3, 2, 3, 4)
with_gradient("instance norm", lambda x: F.instance_norm(x, None, None, weight, bias), 3, 2, 3, 4)
with_gradient(
    "layer norm", lambda x: first(F.layer_norm(last(x), (4,), weight, bias)), 3, 2, 3, 4
)
mean, variance = torch.zeros(4), torch.ones(4)
for _ in range(2):
    F.batch_norm(first(wave(3, 2, 3, 4)), mean, variance, weight, bias, True, 0.1)
put("running mean", mean)
put("running variance", variance)
put("evaluation", last(F.batch_norm(first(wave(3, 2, 3, 4)), mean, variance, weight, bias)))

line = 4 * wave(1, 1, 1, 12)
put("gelu", F.gelu(line))
put("gelu tanh", F.gelu(line, approximate="tanh"))
put("silu", F.silu(line))
put("softplus", F.softplus(line))
put("log softmax", F.log_softmax(wave(2, 3, 4), 1))
classes = torch.tensor([0, 2, 1, 3, 3, 0])
put("cross entropy", F.cross_entropy(wave(6, 4), classes))
put("binary", F.binary_cross_entropy_with_logits(3 * wave(8), wave(8).square()))

path = pathlib.Path(__file__).with_name("channels_last.json")
lines = [f"{json.dumps(name)}: [{', '.join(f'{v:.12g}' for v in values)}]" for name, values in out.items()]
path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
