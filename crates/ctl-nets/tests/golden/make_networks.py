"""Computes outputs and gradients of the networks in PyTorch, in double precision.

    python crates/ctl-nets/tests/golden/make_networks.py > crates/ctl-nets/tests/golden/networks.json

Made with PyTorch 2.15.0.
The networks are those of `benches/peers/train_step.py`, smaller where their sizes are free.
Weights and inputs follow from the formula in `numbers`, which the Rust test repeats:
the tensor of index t (weights by the order of their names, inputs from 1000 on) has values on
[-1, 1) that are rounded to single precision after scaling: weights of matrices and kernels by
sqrt(3 / fan in), where the fan in is the product of all sizes but the first; one-dimensional
`weight` (of norms) by 0.2 around 1; all others by 0.1.
"""

import importlib.util
import json
import pathlib
import sys

import numpy
import torch

ROOT = pathlib.Path(__file__).parents[4]
FIRST_INPUT = 1000
# Outputs are stored at this many places, evenly spread.
SHOWN = 24


def peers():
    path = ROOT / "benches/peers/train_step.py"
    spec = importlib.util.spec_from_file_location("train_step", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(tensor, count):
    mask = 0xFFFFFFFF
    h = (numpy.arange(count, dtype=numpy.uint64) * 2654435761 + tensor * 2246822519) & mask
    h ^= h >> numpy.uint64(15)
    h = (h * numpy.uint64(3266489917)) & mask
    h ^= h >> numpy.uint64(13)
    return h.astype(numpy.float64) / 2**31 - 1


def tensor_of(index, shape, scale=1.0, centre=0.0):
    count = int(numpy.prod(shape))
    values = (centre + scale * numbers(index, count)).astype(numpy.float32)
    return torch.from_numpy(values.astype(numpy.float64)).reshape(shape)


def fill(model):
    for index, (name, weight) in enumerate(sorted(model.named_parameters())):
        shape = tuple(weight.shape)
        if "bias" not in name and len(shape) > 1:
            weight.data = tensor_of(index, shape, (3 / numpy.prod(shape[1:])) ** 0.5)
        elif name.endswith("weight"):
            weight.data = tensor_of(index, shape, 0.2, 1.0)
        else:
            weight.data = tensor_of(index, shape, 0.1)


def input_of(index, *shape):
    return tensor_of(FIRST_INPUT + index, shape)


def shown(output):
    flat = output.detach().flatten()
    count = min(SHOWN, len(flat))
    places = [place * len(flat) // count for place in range(count)]
    return flat[places].tolist()


def case(model, run):
    """Outputs, the loss, and the length of every weight's gradient."""
    model = model.double().train()
    fill(model)
    output, loss = run(model)
    loss.backward()
    lengths = {name: w.grad.norm().item() for name, w in sorted(model.named_parameters())}
    return {"output": shown(output), "loss": loss.item(), "gradients": lengths}


def classified(model, images, classes):
    labels = torch.arange(len(images)) % classes
    output = model(images)
    return output, torch.nn.functional.cross_entropy(output, labels)


def segmented(model, images):
    output = model(images)
    masks = (images[:, :1] > 0).double()
    return output, torch.nn.functional.binary_cross_entropy_with_logits(output, masks)


def main():
    nets = peers()
    # Rounding of the script's constants to single precision must not enter.
    torch.set_default_dtype(torch.float64)
    tiny = {
        "encoder": ((4, 1, 2), (2, 1, 2), (1, 1, None)),
        "decoder": ((1, 1), (2, 1), (4, 2)),
        "widths": (4, 8, 12),
        "latent": 3,
        "context": 2,
        "bottleneck": 2,
    }

    def vae(model):
        images, noise = input_of(0, 2, 1, 16, 16), input_of(1, 2, 5)
        loss = nets.conv_vae_loss(model, images, noise)
        return model(images, noise)[0], loss

    def hvae(model, images, sizes):
        parents = input_of(1, len(images), model.decoder.blocks[0].z_proj.weight.shape[1] - sizes)
        noise = [
            input_of(2 + i, len(images), sizes, b.resolution, b.resolution)
            for i, b in enumerate(model.decoder.blocks)
        ]
        distortion, kl = model(images, parents, noise)
        return torch.stack([distortion, kl]), distortion + kl

    # The edges of the likelihood are met as well.
    edged = input_of(0, 2, 1, 4, 4).clone()
    edged[0, 0, 0, :2] = torch.tensor([1.0, -1.0])
    cases = {
        "mlp": case(nets.Mlp(32, 256, 3), lambda m: classified(m, input_of(0, 3, 2, 4, 4), 3)),
        "mnist-cnn": case(
            nets.MnistCnn(2, 3), lambda m: classified(m, input_of(0, 3, 2, 9, 9), 3)
        ),
        "resnet18": case(
            nets.ResNet18(2, 3), lambda m: classified(m, input_of(0, 3, 2, 48, 48), 3)
        ),
        "unet": case(
            nets.UNet((4, 6, 8), 2, 1), lambda m: segmented(m, input_of(0, 2, 2, 8, 12))
        ),
        "unet3d": case(
            nets.UNet((3, 5, 7), 1, 1, 3), lambda m: segmented(m, input_of(0, 2, 1, 4, 8, 12))
        ),
        "conv-vae": case(nets.ConvVae((6, 8), 5, 16), vae),
        "hvae": case(nets.Hvae(**tiny), lambda m: hvae(m, edged, 3)),
        "hvae32": case(nets.Hvae(), lambda m: hvae(m, input_of(0, 2, 1, 32, 32), 16)),
    }
    json.dump(cases, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
