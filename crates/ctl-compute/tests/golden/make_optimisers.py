"""Golden numbers of optimisers and schedules, from PyTorch in double precision.

Two variables, θ = sin(i) of 5 and cos(i) of 3 values; the loss Σ (θ − i / 10)² (1 + i) / 2 is summed
over both, so that the gradients are known in closed form.
Writes optimisers.json: one flat array per line. Run with torch (2.15 was used).
"""

import json
import pathlib

import torch
from torch.optim import lr_scheduler as schedules

torch.set_default_dtype(torch.float64)
STEPS = 6
out = {}


def variables():
    a = torch.sin(torch.arange(5.0)).requires_grad_()
    b = torch.cos(torch.arange(3.0)).requires_grad_()
    return a, b


def loss(theta):
    i = torch.arange(float(theta.numel()))
    return ((theta - i / 10) ** 2 * (1 + i)).sum() / 2


def run(name, make, clip=lambda v: None, schedule=None):
    a, b = variables()
    optimiser = make([{"params": [a]}, {"params": [b], "lr": 0.05, "weight_decay": 0.2}])
    schedule = schedule and schedule(optimiser)
    for _ in range(STEPS):
        optimiser.zero_grad()
        (loss(a) + loss(b)).backward()
        clip([a, b])
        optimiser.step()
        if schedule:
            schedule.step()
    out[name] = torch.cat([a, b]).tolist()


adam = {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1}
run("adam", lambda g: torch.optim.Adam(g, **adam))
run("adamw", lambda g: torch.optim.AdamW(g, **adam))
sgd = {"lr": 0.1, "momentum": 0.7, "weight_decay": 0.1}
run("sgd", lambda g: torch.optim.SGD(g, **sgd))
run("nesterov", lambda g: torch.optim.SGD(g, **sgd, nesterov=True))
run(
    "clipped norm",
    lambda g: torch.optim.SGD(g, **sgd),
    lambda v: torch.nn.utils.clip_grad_norm_(v, 0.5),
)
run(
    "clipped value",
    lambda g: torch.optim.SGD(g, **sgd),
    lambda v: torch.nn.utils.clip_grad_value_(v, 0.3),
)
run(
    "scheduled",
    lambda g: torch.optim.AdamW(g, **adam),
    schedule=lambda o: schedules.CosineAnnealingLR(o, 5),
)


def rates(name, make, steps=12):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = make(optimiser)
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    out[name] = found


rates("step", lambda o: schedules.StepLR(o, 4, 0.3))
rates("cosine", lambda o: schedules.CosineAnnealingLR(o, 12, 0.1))
rates("polynomial", lambda o: schedules.PolynomialLR(o, 8, 2.0))
rates("one cycle", lambda o: schedules.OneCycleLR(o, 1.0, 12, pct_start=0.3, cycle_momentum=False))
rates("warm up", lambda o: schedules.LinearLR(o, 0.2, 1.0, 5))

path = pathlib.Path(__file__).with_name("optimisers.json")
lines = [f"{json.dumps(name)}: [{', '.join(f'{v:.12g}' for v in values)}]" for name, values in out.items()]
path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
