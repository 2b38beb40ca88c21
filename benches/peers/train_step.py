"""Times one training step of seven networks in PyTorch, the peer of the bench `train_step`.

A step is forward, loss, backward and Adam in float32, on fixed inputs of the sizes below, the model
in training mode.
Random numbers that a model draws (the noise of the autoencoders) are drawn within the step.

mlp         256 x 784; 784-256-256-10, ReLU; cross-entropy.
mnist-cnn   64 x 2 x 28 x 28; 3x3 convolutions to 64, 128 (stride 2), 128, 128, padding 1, each
            followed by ReLU and GroupNorm(8); mean over pixels; linear to 2; cross-entropy.
resnet18    32 x 1 x 64 x 64; 7x7 stride 2 to 64, BatchNorm, ReLU, 2x2 max pooling; 2-2-2-2 basic
            blocks of 64-128-256-512, convolutions without bias; mean over pixels; linear to 2;
            cross-entropy.
unet        4 x 1 x 128 x 128; two (3x3 without bias, BatchNorm, ReLU) per level, channels
            16-32-64-128-256; 2x2 max pooling down; 2x2 transposed convolution with bias up; the
            skip stands before the upsampled channels in the concatenation; 1x1 to 1; binary
            cross-entropy with logits, mean.
unet3d      the same in three dimensions: 1 x 1 x 48 x 48 x 48, 8 base channels.  Depth 3 counts
            resolutions, as the five of `unet` do: channels 8-16-32, two poolings.
conv-vae    32 x 1 x 64 x 64; 4x4 stride 2 padding 1 to 32-64-128-256, ReLU; linear 4096 to 2 x 64
            (mean, log variance); linear 64 to 4096, ReLU; 4x4 stride 2 padding 1 transposed
            convolutions to 128-64-32-1, ReLU between them; squared error plus KL, summed, over
            the batch size.
hvae32      32 x 1 x 32 x 32 with 12 parents: the hierarchical VAE that Ribeiro et al. 2023
            (causal-gen) publish and Melistas et al. 2024 (counterfactual benchmark) configure for
            MorphoMNIST: encoder 32b3d2,16b3d2,8b3d2,4b3d4,1b4; decoder 1b4,4b4,8b4,16b4,32b4;
            widths 16-32-64-128-256, bottleneck a quarter of the input width, 16 latent channels.
            - A block is GELU, 1x1; GELU, 3x3; GELU, 3x3; GELU, 1x1 with a residual (projected by
              1x1 where the width changes), then mean pooling where the code says d; 1x1 instead of
              3x3 in the decoder at resolutions up to 2.
            - The stem is 7x7 with padding 3.  What the decoder sees of the encoder at a resolution
              is the output of the last block there.
            - A decoder block has a prior and a posterior network (blocks without residual), a
              projection of latent and parents, and a residual block.  The prior is exogenous: it
              does not see the parents and depends on earlier latents of the prior path only
              (cond_prior and q_correction are false, as configured).
            - The posterior sees hidden state, parents as constant planes, and encoder features.
            - Going up is nearest-neighbour plus a trained bias image per resolution; the first
              hidden state is the bias at 1 x 1.
            - The likelihood is a discretised Gaussian with diagonal covariance and the tanh
              approximation of the normal distribution function, over bins of half width 1/255 on
              [-1, 1]; log scales from -9.  The loss is -log p per pixel plus KL per pixel.
            - First values as published: last convolution of every encoder block, of every decoder
              residual block and every latent projection scaled by sqrt(1 / number of blocks), last
              convolution of every prior zero.
            - The last block has no projection for a following prior (the published class makes
              one and never uses it).

The optimiser is torch.optim.Adam; the faster of its `foreach` (default) and `fused` forms is
taken, measured at the start, unless `--optimiser` names one.

Without `--serve` the script prints one JSON object with the median time.
With `--serve` it speaks a line protocol, so that a caller can alternate between it and another
program: it writes one JSON object when it is ready, then answers each line `step N` with one JSON
object (`seconds`, one per step; `peak_rss_bytes`) and ends at `quit` or at the end of its input.
Two figures of memory are given: `peak_rss_bytes` of the process, and `base_rss_bytes`, what it had
before the model was built.
"""

import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

SEED = 7
LEARNING_RATE = 1e-3
# Steps before anything is measured: the first ones choose algorithms and touch new memory.
WARM_UP = 3
# Steps of each form of Adam when the faster one is looked for.
TRIAL = 4


class Mlp(nn.Module):
    def __init__(self, inputs=784, hidden=256, outputs=10):
        super().__init__()
        self.hidden1 = nn.Linear(inputs, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, images):
        hidden = F.relu(self.hidden1(images.flatten(1)))
        return self.head(F.relu(self.hidden2(hidden)))


class ConvReluNorm(nn.Module):
    def __init__(self, inputs, outputs, stride, groups):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.norm = nn.GroupNorm(groups, outputs)

    def forward(self, x):
        return self.norm(F.relu(self.conv(x)))


class MnistCnn(nn.Module):
    def __init__(self, channels=2, outputs=2):
        super().__init__()
        self.block0 = ConvReluNorm(channels, 64, 1, 8)
        self.block1 = ConvReluNorm(64, 128, 2, 8)
        self.block2 = ConvReluNorm(128, 128, 1, 8)
        self.block3 = ConvReluNorm(128, 128, 1, 8)
        self.head = nn.Linear(128, outputs)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.block0(x))))
        return self.head(x.mean((2, 3)))


class Unit(nn.Module):
    """Convolution without bias, then batch normalisation."""

    def __init__(self, inputs, outputs, kernel=3, stride=1, dimensions=2):
        super().__init__()
        conv = nn.Conv2d if dimensions == 2 else nn.Conv3d
        norm = nn.BatchNorm2d if dimensions == 2 else nn.BatchNorm3d
        self.conv = conv(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = norm(outputs)

    def forward(self, x):
        return self.norm(self.conv(x))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = Unit(inputs, outputs, 3, stride)
        self.second = Unit(outputs, outputs)
        if inputs != outputs or stride != 1:
            self.shortcut = Unit(inputs, outputs, 1, stride)

    def forward(self, x):
        residual = self.second(F.relu(self.first(x)))
        shortcut = self.shortcut(x) if hasattr(self, "shortcut") else x
        return F.relu(residual + shortcut)


class ResNet18(nn.Module):
    def __init__(self, channels=1, outputs=2):
        super().__init__()
        self.stem = Unit(channels, 64, 7, 2)
        width = 64
        self.stages = []
        for stage, outwards in enumerate([64, 128, 256, 512]):
            blocks = nn.Module()
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                made = BasicBlock(width, outwards, stride)
                blocks.add_module(f"block{block}", made)
                self.stages.append(made)
                width = outwards
            self.add_module(f"stage{stage}", blocks)
        self.head = nn.Linear(512, outputs)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        for block in self.stages:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Level(nn.Module):
    def __init__(self, inputs, outputs, dimensions):
        super().__init__()
        self.first = Unit(inputs, outputs, dimensions=dimensions)
        self.second = Unit(outputs, outputs, dimensions=dimensions)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))))


class UNet(nn.Module):
    def __init__(self, widths=(16, 32, 64, 128, 256), channels=1, outputs=1, dimensions=2):
        super().__init__()
        conv = nn.Conv2d if dimensions == 2 else nn.Conv3d
        transposed = nn.ConvTranspose2d if dimensions == 2 else nn.ConvTranspose3d
        self.pool = F.max_pool2d if dimensions == 2 else F.max_pool3d
        self.downs, self.ups = [], []
        inputs = channels
        for index, width in enumerate(widths):
            self.downs.append(Level(inputs, width, dimensions))
            self.add_module(f"down{index}", self.downs[-1])
            inputs = width
        for index in reversed(range(len(widths) - 1)):
            up = nn.Module()
            up.transposed = transposed(widths[index + 1], widths[index], 2, 2)
            up.level = Level(2 * widths[index], widths[index], dimensions)
            self.ups.append(up)
            self.add_module(f"up{index}", up)
        self.head = conv(widths[0], outputs, 1)

    def forward(self, x):
        skips = []
        for index, level in enumerate(self.downs):
            x = level(x if index == 0 else self.pool(x, 2))
            skips.append(x)
        skips.pop()
        for up in self.ups:
            x = up.level(torch.cat([skips.pop(), up.transposed(x)], 1))
        return self.head(x)


class ConvVae(nn.Module):
    def __init__(self, widths=(32, 64, 128, 256), latent=64, side=64, channels=1):
        super().__init__()
        self.width, self.side = widths[-1], side // 2 ** len(widths)
        flat = self.width * self.side**2
        self.down, self.up = [], []
        inputs = channels
        for index, width in enumerate(widths):
            self.down.append(nn.Conv2d(inputs, width, 4, 2, 1))
            self.add_module(f"encoder{index}", self.down[-1])
            inputs = width
        self.latent = nn.Linear(flat, 2 * latent)
        self.expand = nn.Linear(latent, flat)
        for index, width in enumerate([*reversed(widths[:-1]), channels]):
            self.up.append(nn.ConvTranspose2d(inputs, width, 4, 2, 1))
            self.add_module(f"decoder{index}", self.up[-1])
            inputs = width

    def forward(self, x, noise=None):
        for layer in self.down:
            x = F.relu(layer(x))
        mean, log_variance = self.latent(x.flatten(1)).chunk(2, 1)
        noise = torch.randn_like(mean) if noise is None else noise
        z = mean + (0.5 * log_variance).exp() * noise
        x = F.relu(self.expand(z)).view(-1, self.width, self.side, self.side)
        for layer in self.up[:-1]:
            x = F.relu(layer(x))
        return self.up[-1](x), mean, log_variance


def conv_vae_loss(model, images, noise=None):
    reconstruction, mean, log_variance = model(images, noise)
    error = (reconstruction - images).square().sum()
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return (error + kl) / len(images)


class HvaeBlock(nn.Module):
    def __init__(self, inputs, middle, outputs, kernel=3, residual=True, down=None):
        super().__init__()
        self.residual, self.down = residual, down
        pad = kernel // 2
        self.conv = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(inputs, middle, 1),
            nn.GELU(),
            nn.Conv2d(middle, middle, kernel, padding=pad),
            nn.GELU(),
            nn.Conv2d(middle, middle, kernel, padding=pad),
            nn.GELU(),
            nn.Conv2d(middle, outputs, 1),
        )
        if residual and inputs != outputs:
            self.width_proj = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        out = self.conv(x)
        if self.residual:
            out = out + (self.width_proj(x) if hasattr(self, "width_proj") else x)
        return F.avg_pool2d(out, self.down) if self.down else out


class HvaeEncoder(nn.Module):
    def __init__(self, stages, widths, channels, bottleneck):
        super().__init__()
        self.stem = nn.Conv2d(channels, widths[0], 7, padding=3)
        blocks, inputs = [], widths[0]
        for index, (_, count, down) in enumerate(stages):
            plan = [(widths[index], None)] * count
            plan += [(widths[index + 1], down)] if down else []
            for width, rate in plan:
                blocks.append(HvaeBlock(inputs, inputs // bottleneck, width, down=rate))
                inputs = width
        for block in blocks:
            block.conv[-1].weight.data *= len(blocks) ** -0.5
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x):
        x = self.stem(x)
        features = {}
        for block in self.blocks:
            x = block(x)
            features[x.shape[-1]] = x
        return features


class HvaeDecoderBlock(nn.Module):
    def __init__(self, inputs, outputs, resolution, latent, context, bottleneck, last):
        super().__init__()
        self.resolution, self.latent = resolution, latent
        middle, kernel = inputs // bottleneck, 3 if resolution > 2 else 1
        self.prior = HvaeBlock(inputs, middle, 2 * latent + inputs, kernel, False)
        self.posterior = HvaeBlock(2 * inputs + context, middle, 2 * latent, kernel, False)
        self.z_proj = nn.Conv2d(latent + context, inputs, 1)
        if not last:
            self.z_feat_proj = nn.Conv2d(latent + inputs, outputs, 1)
        self.conv = HvaeBlock(inputs, middle, outputs, kernel)

    def forward(self, h, z, features, parents, noise):
        prior = self.prior(z)
        p_loc, p_log, p_features = prior.split([self.latent, self.latent, h.shape[1]], 1)
        q_loc, q_log = self.posterior(torch.cat([h, parents, features], 1)).chunk(2, 1)
        noise = torch.randn_like(q_loc) if noise is None else noise
        z = q_loc + q_log.exp() * noise
        ratio = (q_log.exp().square() + (q_loc - p_loc).square()) / p_log.exp().square()
        kl = (-0.5 + p_log - q_log + 0.5 * ratio).sum((1, 2, 3))
        h = h + p_features
        h = self.conv(h + self.z_proj(torch.cat([z, parents], 1)))
        if hasattr(self, "z_feat_proj"):
            z = self.z_feat_proj(torch.cat([z, p_features], 1))
        return h, z, kl


class HvaeDecoder(nn.Module):
    def __init__(self, stages, widths, latent, context, bottleneck):
        super().__init__()
        plan = [
            (resolution, width)
            for (resolution, count), width in zip(stages, reversed(widths), strict=True)
            for _ in range(count)
        ]
        blocks = []
        for index, (resolution, width) in enumerate(plan):
            last = index + 1 == len(plan)
            outputs = width if last else plan[index + 1][1]
            sizes = (width, outputs, resolution, latent, context, bottleneck, last)
            blocks.append(HvaeDecoderBlock(*sizes))
        for block in blocks:
            block.z_proj.weight.data *= len(blocks) ** -0.5
            block.conv.conv[-1].weight.data *= len(blocks) ** -0.5
            block.prior.conv[-1].weight.data *= 0.0
        self.blocks = nn.ModuleList(blocks)
        sizes = zip((r for r, _ in stages), reversed(widths), strict=True)
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(1, w, r, r)) for r, w in sizes)

    def forward(self, features, parents, noise=None):
        bias = {image.shape[-1]: image for image in self.bias}
        h = z = bias[1].expand(len(parents), -1, -1, -1)
        total = 0
        for index, block in enumerate(self.blocks):
            side = block.resolution
            planes = parents[:, :, None, None].expand(-1, -1, side, side)
            if h.shape[-1] < side:
                rate = side // h.shape[-1]
                h = bias[side] + F.interpolate(h, scale_factor=rate)
                z = bias[side] + F.interpolate(z, scale_factor=rate)
            drawn = None if noise is None else noise[index]
            h, z, kl = block(h, z, features[side], planes, drawn)
            total = total + kl
        return h, total


class DiscretisedGaussian(nn.Module):
    def __init__(self, inputs, channels):
        super().__init__()
        self.x_loc = nn.Conv2d(inputs, channels, 1)
        self.x_logscale = nn.Conv2d(inputs, channels, 1)

    @staticmethod
    def cdf(x):
        return 0.5 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x.pow(3))))

    def forward(self, h, images):
        """-log p per image, mean over its pixels."""
        loc, log_scale = self.x_loc(h), self.x_logscale(h).clamp(min=-9)
        precision, centred = (-log_scale).exp(), images - loc
        above = self.cdf(precision * (centred + 1 / 255))
        below = self.cdf(precision * (centred - 1 / 255))
        inside = (above - below).clamp(min=1e-12)
        right = (1 - below).clamp(min=1e-12)
        right = torch.where(images > 0.999, right.log(), inside.log())
        left = above.clamp(min=1e-12).log()
        return -torch.where(images < -0.999, left, right).mean((1, 2, 3))


MORPHOMNIST = {
    "encoder": ((32, 3, 2), (16, 3, 2), (8, 3, 2), (4, 3, 4), (1, 4, None)),
    "decoder": ((1, 4), (4, 4), (8, 4), (16, 4), (32, 4)),
    "widths": (16, 32, 64, 128, 256),
}


class Hvae(nn.Module):
    def __init__(
        self,
        encoder=MORPHOMNIST["encoder"],
        decoder=MORPHOMNIST["decoder"],
        widths=MORPHOMNIST["widths"],
        latent=16,
        context=12,
        channels=1,
        bottleneck=4,
    ):
        super().__init__()
        self.encoder = HvaeEncoder(encoder, widths, channels, bottleneck)
        self.decoder = HvaeDecoder(decoder, widths, latent, context, bottleneck)
        self.likelihood = DiscretisedGaussian(widths[0], channels)

    def forward(self, images, parents, noise=None):
        """-log p and KL, both per pixel and over the batch."""
        h, kl = self.decoder(self.encoder(images), parents, noise)
        return self.likelihood(h, images).mean(), kl.mean() / images[0].numel()


def hvae_loss(model, images, parents, noise=None):
    distortion, kl = model(images, parents, noise)
    return distortion + kl


def classification(model, images, labels):
    return F.cross_entropy(model(images), labels)


def segmentation(model, images, masks):
    return F.binary_cross_entropy_with_logits(model(images), masks)


def inputs_of(name):
    """The fixed inputs of a model; values are uniform on [-1, 1), labels and masks even."""
    generator = torch.Generator().manual_seed(SEED)

    def uniform(*shape):
        return 2 * torch.rand(shape, generator=generator) - 1

    def labels(count, classes):
        return torch.randint(classes, (count,), generator=generator)

    match name:
        case "mlp":
            return uniform(256, 1, 28, 28), labels(256, 10)
        case "mnist-cnn":
            return uniform(64, 2, 28, 28), labels(64, 2)
        case "resnet18":
            return uniform(32, 1, 64, 64), labels(32, 2)
        case "unet":
            return uniform(4, 1, 128, 128), (uniform(4, 1, 128, 128) > 0).float()
        case "unet3d":
            return uniform(1, 1, 48, 48, 48), (uniform(1, 1, 48, 48, 48) > 0).float()
        case "conv-vae":
            return (uniform(32, 1, 64, 64),)
        case "hvae32":
            return uniform(32, 1, 32, 32), uniform(32, 12)


MODELS = {
    "mlp": (Mlp, classification),
    "mnist-cnn": (MnistCnn, classification),
    "resnet18": (ResNet18, classification),
    "unet": (UNet, segmentation),
    "unet3d": (lambda: UNet((8, 16, 32), dimensions=3), segmentation),
    "conv-vae": (ConvVae, conv_vae_loss),
    "hvae32": (Hvae, hvae_loss),
}


def in_layout(value, layout):
    if layout == "default":
        return value
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if isinstance(value, nn.Module):
        for parameter in value.parameters():
            parameter.data = in_layout(parameter.data, layout)
        return value
    form = formats.get(value.dim(), torch.contiguous_format)
    return value.contiguous(memory_format=form)


class Step:
    """A model, its inputs and its optimiser."""

    def __init__(self, name, layout, optimiser):
        torch.manual_seed(SEED)
        build, self.loss = MODELS[name]
        self.model = in_layout(build().train(), layout)
        self.inputs = [in_layout(value, layout) for value in inputs_of(name)]
        self.choose(optimiser)

    def adam(self, form):
        return torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, **{form: True})

    def choose(self, optimiser):
        if optimiser == "fastest":
            optimiser = min(["foreach", "fused"], key=self.trial)
        self.form, self.optimiser = optimiser, self.adam(optimiser)
        self.run(WARM_UP)

    def trial(self, form):
        # The state of the form before is dropped first: peak memory is that of one.
        self.optimiser = None
        self.optimiser = self.adam(form)
        self.run(WARM_UP)
        return statistics.median(self.run(TRIAL))

    def once(self):
        self.optimiser.zero_grad(set_to_none=True)
        self.loss(self.model, *self.inputs).backward()
        self.optimiser.step()

    def run(self, count):
        seconds = []
        for _ in range(count):
            begun = time.perf_counter()
            self.once()
            seconds.append(time.perf_counter() - begun)
        return seconds


def memory(field):
    """`VmHWM` (peak) or `VmRSS` (now) in bytes, None where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            lines = [line for line in status if line.startswith(field)]
        return int(lines[0].split()[1]) * 1024
    except (OSError, IndexError):
        return None


def warm_up():
    """Loads what PyTorch loads on first use, so that it is not taken for a step's memory."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    for form in ["foreach", "fused"]:
        optimiser = torch.optim.Adam(model.parameters(), **{form: True})
        loss = F.cross_entropy(model(torch.zeros(2, 1, 3, 3)), torch.tensor([0, 1]))
        loss.backward()
        optimiser.step()


def say(value):
    print(json.dumps(value), flush=True)


def serve(step):
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        if len(words) != 2 or words[0] != "step" or not words[1].isdigit():
            sys.exit(f"expected `step N` or `quit`, found {line.strip()!r}")
        say({"seconds": step.run(int(words[1])), "peak_rss_bytes": memory("VmHWM")})


def arguments():
    parser = argparse.ArgumentParser(description="Times training steps in PyTorch.")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layout", choices=["default", "channels-last"], default="default")
    parser.add_argument("--optimiser", choices=["foreach", "fused", "fastest"], default="fastest")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--serve", action="store_true", help="answer `step N` lines on stdin")
    chosen = parser.parse_args()
    if chosen.threads < 1 or chosen.iterations < 1:
        parser.error("--threads and --iterations must be at least 1")
    return chosen


def main():
    chosen = arguments()
    torch.set_num_threads(chosen.threads)
    warm_up()
    base = memory("VmRSS")
    step = Step(chosen.model, chosen.layout, chosen.optimiser)
    facts = {
        "software": f"PyTorch {torch.__version__}",
        "model": chosen.model,
        "threads": chosen.threads,
        "layout": chosen.layout,
        "optimiser": step.form,
        "parameters": sum(p.numel() for p in step.model.parameters()),
        "base_rss_bytes": base,
    }
    if chosen.serve:
        say(facts)
        serve(step)
    else:
        seconds = statistics.median(step.run(chosen.iterations))
        say({**facts, "median_seconds": seconds, "peak_rss_bytes": memory("VmHWM")})


if __name__ == "__main__":
    main()
