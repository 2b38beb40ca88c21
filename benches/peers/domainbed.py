"""Times `ctl benchmark` beside DomainBed: steps of five methods, and a sweep from start to table.

Both sides train the same network (DomainBed's MNIST_CNN, `mnist-cnn` here) on ColoredMNIST, images
of 2 x 28 x 28, 64 from each of two environments in a step; the third, -90 %, is held out.
Learning rate and penalty weights are the defaults, the same on both sides.

DomainBed's code runs unchanged from a checkout, on the CPU, with the Python of this script.
This script starts each of its processes, prepares the following and runs the module as `python -m`
would:
- Empty modules stand for timm and wilds, which it imports for networks and data that are not used.
- Fishr wants backpack-for-pytorch 1.3.0, which imports a function that PyTorch no longer has, for
  convolutions; Fishr asks it about a linear layer, so that an empty name will do.
- PyTorch is told its number of threads.
- DomainBed loads images in worker processes, 8 for each of its eight loaders, beside the process
  that trains.  They are left as they are, so that its one thread of PyTorch has company on other
  cores; `--workers 0` loads in the process that trains, as ours does.

`steps`: steps per second.  A whole process is timed with N and with M steps (`--steps N,M`), and
the rate is (M - N) over the difference of the times: start, loading and evaluation cancel.
- Theirs is `domainbed.scripts.train`.  It evaluates after the first step and after the last, all
  parts of all environments; here each part is cut to 128 images, because the scatter of a long
  evaluation does not cancel.
- Ours is `ctl benchmark` with one run, evaluated after the last step, 128 images of a site in each
  part; it writes its report, too.
- A run of ours has one thread, whatever `--threads` gives to PyTorch.
- A step is one batch from every environment.  DANN is not quite like for like: a step of DomainBed
  updates either the discriminator or the network, in turn, a step of ours both.
- The sides alternate.  The rate of a side is the median over `--rounds`; `ratio` is ours over
  theirs, above 1 where we are faster.

`sweep`: seconds of `--runs` short runs from start to table, by default of 50: five methods with ten
draws of hyperparameters each, the defaults first, one trial, `--sweep-steps` steps.
Each side draws its own, from much the same distributions, but the batch stays 64: drawn from 8 to
512 it would decide the times.
- Theirs is `domainbed.scripts.sweep launch` with `--single_test_envs`, of whose runs those are
  started that hold out -90 %, then `domainbed.scripts.collect_results`.  With `--launcher local`
  they run one after the other, by DomainBed's launcher of that name, with `--jobs` threads of
  PyTorch each; with `--launcher parallel`, `--jobs` at once with one thread each.
- Ours is one `ctl benchmark`, `--jobs` runs at once, which writes its report.
- Both evaluate after the first step and after the last, on all images: DomainBed every part of
  every environment, 140,000 images in a run; ours the parts that choose a checkpoint, and for each
  chosen one the parts that are reported, 56,000 or 84,000 together.  Beside this a short training
  is little; `--scored N` cuts every part to N images on both sides.
- One process of ours reads the images for all runs; each run of theirs is a process of its own.
- `ratio` is theirs over ours, above 1 where we are faster.
- Runs of ours whose loss is not finite end early; they are counted as `diverged`.

Not timed: a short run of each side at the beginning, after which files are in memory; MNIST's files
unpacked for theirs; and the cohort of images that `ctl data digits` makes of them once for ours
(`cohort_seconds`), which `--cohort` keeps in a folder for the next time.

The script prints one JSON object, and its progress on stderr.  A method that cannot be measured has
the reason as `failed` in place of its rates.
"""

import argparse
import concurrent.futures
import gzip
import importlib.metadata
import importlib.util
import itertools
import json
import multiprocessing
import os
import pathlib
import runpy
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATASET = "ColoredMNIST"
BATCH = 64
# The place of -90 % among DomainBed's environments, and its name among ours.
TEST_ENV, TARGET = 2, "minus-90"
METHODS = {"erm": "ERM", "irm": "IRM", "coral": "CORAL", "dann": "DANN", "fishr": "Fishr"}
# Images of a part in an evaluation where steps are timed, and in a batch of DomainBed's evaluation.
SCORED, EVALUATION_BATCH = 128, 64
# DomainBed evaluates every so many steps in a sweep; below, it evaluates twice.
CHECKPOINT_STEPS = 100
MNIST = [f"{part}-ubyte" for stem in ("train", "t10k") for part in
         (f"{stem}-images-idx3", f"{stem}-labels-idx1")]
# Modules that DomainBed imports and what it takes from them, none of it used here.
STUBS = {
    "timm": [],
    "wilds": [],
    "wilds.datasets": [],
    "wilds.datasets.camelyon17_dataset": ["Camelyon17Dataset"],
    "wilds.datasets.fmow_dataset": ["FMoWDataset"],
}
TRAIN = "domainbed.scripts.train"
INSIDE = "--inside"

SUITE = """
schema = 1
name = "peer"
title = "Beside DomainBed"
methods = {methods}
seeds = 1
draws = {draws}
oracle_checkpoint = "last"

[training]
network = "mnist-cnn"
size = 28
colour = true
steps = {steps}
batch_size = {batch}
learning_rate = 1e-3
evaluate_every = {steps}
metric = "accuracy"
shares = {{ validation = 0.2, test = 0.0, open = 0.2 }}
{evaluation}

[search]
learning_rate = {{ log-uniform = {{ low = -4.5, high = -2.5 }} }}

[folders]
protocols = ["leave-one-site-out"]
tasks = ["classification"]
shift = "combined"
only_targets = ["{target}"]
"""


class Failed(Exception):
    """Why something was not measured, in one line."""


# What runs in DomainBed's processes.


def add_stubs():
    for name, members in STUBS.items():
        module = types.ModuleType(name)
        for member in members:
            setattr(module, member, type(member, (), {}))
        sys.modules[name] = module


def cut(accuracy, batches):
    """DomainBed's accuracy over the first batches of a loader."""

    def first(network, loader, weights, device):
        return accuracy(network, itertools.islice(loader, batches), weights, device)

    return first


def launcher(facts, local):
    """DomainBed's launcher of commands, for those that hold the target out."""
    own = shlex.join(inside_command(facts))

    def launch(commands):
        wanted = [line for line in commands if f"--test_envs {TEST_ENV} " in f"{line} "]
        lines = [line.replace(f"python -m {TRAIN}", f"{own} {TRAIN}", 1) for line in wanted]
        if facts["at_once"] == 1:
            return local(lines)
        with concurrent.futures.ThreadPoolExecutor(facts["at_once"]) as pool:
            list(pool.map(lambda line: local([line]), lines))

    return launch


def inside(facts, module, *arguments):
    """Runs a module of DomainBed as `python -m` would."""
    facts = json.loads(facts)
    # The folder of this script, whose name is that of the package, gives way to DomainBed's.
    sys.path[0] = facts["domainbed"]
    add_stubs()
    multiprocessing.set_start_method("fork")
    import torch

    if not hasattr(torch.nn.grad, "_grad_input_padding"):
        torch.nn.grad._grad_input_padding = None
    from domainbed import command_launchers, datasets
    from domainbed.lib import misc

    torch.set_num_threads(facts["threads"])
    if facts["workers"] is not None:
        datasets.MultipleDomainDataset.N_WORKERS = facts["workers"]
    if facts["scored"] is not None:
        misc.accuracy = cut(misc.accuracy, facts["scored"] // EVALUATION_BATCH)
    command_launchers.REGISTRY["peer"] = launcher(facts, command_launchers.local_launcher)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


# What starts and times the processes of both sides.


def inside_command(facts):
    return [sys.executable, str(pathlib.Path(__file__).resolve()), INSIDE, json.dumps(facts)]


def note(text):
    print(text, file=sys.stderr, flush=True)


def last_line(*paths):
    """What the first file that says something says last."""
    for path in filter(pathlib.Path.is_file, paths):
        text = path.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            return lines[-1]
    return "it said nothing"


def timed(command, folder, threads=None):
    """Seconds of a process from start to end; `threads` is what libraries of numbers may use."""
    environment = dict(os.environ)
    if threads is not None:
        for library in ("OMP", "MKL", "OPENBLAS"):
            environment[f"{library}_NUM_THREADS"] = str(threads)
    # Files, because workers that outlive the process would keep a pipe open.
    with open(folder / "out.log", "wb") as out, open(folder / "err.log", "wb") as err:
        begun = time.perf_counter()
        code = subprocess.run(command, stdout=out, stderr=err, env=environment).returncode
        seconds = time.perf_counter() - begun
    if code != 0:
        # DomainBed sends its errors to its output.
        said_last = last_line(folder / "err.log", folder / "out.log")
        raise Failed(f"{folder.name.rstrip('0123456789')} ended with {code}: {said_last}")
    return seconds


class Side:
    """What both sides need: options, and a new folder for each process."""

    def __init__(self, options, scratch):
        self.options, self.scratch, self.count = options, scratch, 0

    def folder(self):
        self.count += 1
        path = self.scratch / f"{type(self).__name__.lower()}{self.count}"
        path.mkdir()
        return path


class Ours(Side):
    def __init__(self, options, scratch):
        super().__init__(options, scratch)
        self.cohort = options.cohort or scratch / "cohort"
        self.cohort_seconds = None
        if not (self.cohort / "cohort.toml").is_file():
            note("making the cohort")
            command = [options.ctl, "data", "digits", "--mnist", options.mnist]
            command += ["--kind", "colored-domainbed", self.cohort]
            self.cohort_seconds = round(timed(list(map(str, command)), self.folder()), 1)

    def benchmark(self, methods, steps, draws, evaluation, jobs):
        """Seconds, and how many runs diverged."""
        folder = self.folder()
        text = SUITE.format(methods=json.dumps(methods), steps=steps, draws=draws, batch=BATCH,
                            evaluation=evaluation, target=TARGET)
        (folder / "suite.toml").write_text(text, encoding="utf-8")
        out = folder / "sweep"
        command = [self.options.ctl, "benchmark", "--suite", folder / "suite.toml"]
        command += ["--data", self.cohort, "--out", out, "--jobs", jobs]
        seconds = timed(list(map(str, command)), folder)
        records = [json.loads(path.read_text(encoding="utf-8"))
                   for path in out.glob("runs/*/record.json")]
        if len(records) != len(methods) * draws or not (out / "report.md").is_file():
            raise Failed(f"ours left {len(records)} of {len(methods) * draws} runs")
        diverged = sum(record["status"] != "finished" for record in records)
        shutil.rmtree(folder)
        return seconds, diverged

    def steps(self, method, steps):
        seconds, diverged = self.benchmark([method], steps, 1, at_most(SCORED), 1)
        if diverged:
            raise Failed("ours diverged")
        return seconds

    def sweep(self):
        options = self.options
        evaluation = f"first_evaluation = 1\n{at_most(options.scored)}"
        seconds, diverged = self.benchmark(
            options.methods, options.sweep_steps, options.draws, evaluation, options.jobs)
        return {"seconds": round(seconds, 2), "diverged": diverged}


def at_most(scored):
    return "" if scored is None else f"score_at_most = {scored}"


class Theirs(Side):
    def __init__(self, options, scratch):
        super().__init__(options, scratch)
        self.data = scratch / "data"
        raw = self.data / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name in MNIST:
            opened = open if (options.mnist / name).is_file() else gzip.open
            suffix = "" if opened is open else ".gz"
            with opened(options.mnist / (name + suffix), "rb") as packed:
                (raw / name).write_bytes(packed.read())

    def run(self, module, arguments, folder, threads, scored=None, at_once=1):
        facts = {
            "domainbed": str(self.options.domainbed),
            "threads": threads,
            "workers": self.options.workers,
            "scored": scored,
            "at_once": at_once,
        }
        command = [*inside_command(facts), module, *map(str, arguments)]
        return timed(command, folder, threads)

    def steps(self, method, steps):
        folder = self.folder()
        arguments = ["--data_dir", self.data, "--dataset", DATASET, "--test_env", TEST_ENV]
        arguments += ["--algorithm", METHODS[method], "--hparams", batch_only()]
        arguments += ["--steps", steps, "--checkpoint_freq", 1_000_000, "--skip_model_save"]
        arguments += ["--output_dir", folder / "run"]
        seconds = self.run(TRAIN, arguments, folder, self.options.threads, SCORED)
        if not (folder / "run" / "done").is_file():
            raise Failed("theirs left no run")
        shutil.rmtree(folder)
        return seconds

    def sweep(self, way):
        options, folder = self.options, self.folder()
        threads, at_once = (options.jobs, 1) if way == "local" else (1, options.jobs)
        out = folder / "sweep"
        arguments = ["launch", "--command_launcher", "peer", "--skip_confirmation"]
        arguments += ["--datasets", DATASET, "--single_test_envs", "--n_trials", 1]
        arguments += ["--algorithms", *(METHODS[method] for method in options.methods)]
        arguments += ["--n_hparams", options.draws, "--hparams", batch_only()]
        arguments += ["--steps", options.sweep_steps, "--data_dir", self.data]
        arguments += ["--output_dir", out]
        module, scored = "domainbed.scripts.sweep", options.scored
        seconds = self.run(module, arguments, folder, threads, scored, at_once)
        failed = failures(out, options.runs)
        collect = ["--input_dir", out]
        seconds += self.run("domainbed.scripts.collect_results", collect, folder, threads)
        if not (out / "results.txt").is_file():
            raise Failed("theirs wrote no table")
        shutil.rmtree(folder)
        return {"seconds": round(seconds, 2), "failed": failed}


def batch_only():
    return json.dumps({"batch_size": BATCH})


def failures(out, runs):
    """How many of DomainBed's runs did not end, by the reason."""
    done = len(list(out.glob("*/done")))
    found = {}
    for folder in sorted(out.iterdir()):
        # Folders of environments that are not held out here stay empty.
        if (folder / "out.txt").is_file() and not (folder / "done").is_file():
            reason = last_line(folder / "err.txt", folder / "out.txt")
            found[reason] = found.get(reason, 0) + 1
    if done + sum(found.values()) != runs:
        said_last = last_line(out.parent / "err.log", out.parent / "out.log")
        raise Failed(f"theirs left {done} of {runs} runs: {said_last}")
    return found


# The two measurements.


def warm_up(sides, options):
    """A run of each side: what is read first from a disk is not to count."""
    for name, side in sides.items():
        note(f"warming up, {name}")
        try:
            side.steps(options.methods[0], 2)
        except Failed as reason:
            note(str(reason))


def rounds_of(method, sides, options):
    """Times with few and with many steps of every round, by side."""
    times = {name: [] for name in sides}
    for number in range(options.rounds):
        # Who begins alternates, too.
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in order:
            pair = [sides[name].steps(method, steps) for steps in options.steps]
            note(f"{method}, round {number + 1}, {name}: {pair[0]:.1f} s and {pair[1]:.1f} s")
            times[name].append(pair)
    return times


def rate(pairs, options):
    few, many = options.steps
    rates = []
    for before, after in pairs:
        if after <= before:
            raise Failed(f"{many} steps took no longer than {few}: choose more with --steps")
        rates.append((many - few) / (after - before))
    return {
        "steps_per_second": round(statistics.median(rates), 3),
        "rounds": [round(value, 3) for value in rates],
        "seconds": [[round(value, 2) for value in pair] for pair in pairs],
    }


def measure_steps(sides, options):
    found = {}
    for method in options.methods:
        try:
            times = rounds_of(method, sides, options)
            entry = {name: rate(pairs, options) for name, pairs in times.items()}
            ours, theirs = (entry[name]["steps_per_second"] for name in ("ours", "theirs"))
            entry["ratio"] = round(ours / theirs, 3)
        except Failed as reason:
            note(f"{method} is not timed: {reason}")
            entry = {"failed": str(reason)}
        found[method] = entry
    return {
        "steps": options.steps,
        "rounds": options.rounds,
        "threads": {"ours": 1, "theirs": options.threads},
        "methods": found,
    }


def measure_sweep(sides, options):
    entry = {
        "methods": options.methods,
        "runs": options.runs,
        "steps": options.sweep_steps,
        "jobs": options.jobs,
        "scored": options.scored,
    }
    try:
        note(f"sweep, ours: {options.runs} runs")
        entry["ours"] = sides["ours"].sweep()
        note(f"sweep, ours: {entry['ours']['seconds']} s")
        for way in options.launcher:
            note(f"sweep, theirs, {way}: {options.runs} runs")
            theirs = sides["theirs"].sweep(way)
            note(f"sweep, theirs, {way}: {theirs['seconds']} s")
            # A sweep that lacks runs is no sweep of as many.
            whole = not theirs["failed"]
            ratio = round(theirs["seconds"] / entry["ours"]["seconds"], 3) if whole else None
            entry[f"theirs_{way}"] = {**theirs, "ratio": ratio}
    except Failed as reason:
        note(f"the sweep is not timed: {reason}")
        entry["failed"] = str(reason)
    return entry


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def said(command):
    try:
        answer = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def software(options):
    packages = ("torch", "torchvision", "numpy", "backpack-for-pytorch")
    return {
        "ctl": said([str(options.ctl), "--version"]),
        "domainbed": said(["git", "-C", str(options.domainbed), "rev-parse", "HEAD"]),
        "python": sys.version.split()[0],
        **{package: version(package) for package in packages},
        "cores": os.cpu_count(),
    }


# The command line.


def parser():
    made = argparse.ArgumentParser(description="Times `ctl benchmark` beside DomainBed.")
    path = pathlib.Path
    made.add_argument("--domainbed", type=path, required=True, metavar="DIR",
                      help="a checkout of DomainBed")
    made.add_argument("--mnist", type=path, required=True, metavar="DIR",
                      help="MNIST's four IDX files, plain or gzipped")
    made.add_argument("--ctl", type=path, default=ROOT / "target" / "release" / "ctl")
    made.add_argument("--cohort", type=path, metavar="DIR",
                      help="where the images of ours are kept; made where there is none")
    made.add_argument("--part", choices=["steps", "sweep", "both"], default="both")
    made.add_argument("--methods", default=",".join(METHODS), metavar="ID,…")
    made.add_argument("--steps", default="20,80", metavar="N,M")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--threads", type=int, default=1, help="of PyTorch, where steps are timed")
    made.add_argument("--workers", type=int, metavar="N",
                      help="processes of each of DomainBed's loaders [default: its own, 8]")
    made.add_argument("--runs", type=int, help="of the sweep [default: 10 for each method]")
    made.add_argument("--sweep-steps", type=int, default=20)
    made.add_argument("--scored", type=int, metavar="N",
                      help="images of a part that a sweep evaluates, a multiple of 64 "
                           "[default: all]")
    made.add_argument("--jobs", type=int, default=2, help="runs at once in the sweep")
    made.add_argument("--launcher", default="local", metavar="local,parallel",
                      help="how DomainBed's sweep runs: one or both")
    return made


def words(text, allowed, option):
    chosen = text.split(",")
    wrong = [word for word in chosen if word not in allowed]
    if wrong or len(set(chosen)) < len(chosen):
        sys.exit(f"{option}: {text!r} is not allowed: some of {', '.join(allowed)}, each once")
    return chosen


def check_numbers(options):
    pair = options.steps.split(",")
    if len(pair) != 2 or not all(word.isdigit() for word in pair):
        sys.exit(f"--steps: {options.steps!r} is not allowed: two numbers, such as 20,80")
    options.steps = [int(word) for word in pair]
    if not 2 <= options.steps[0] < options.steps[1]:
        sys.exit("--steps: the first must be at least 2, the second larger")
    for name in ("rounds", "threads", "jobs"):
        if getattr(options, name) < 1:
            sys.exit(f"--{name} must be at least 1")
    if options.workers is not None and options.workers < 0:
        sys.exit("--workers must not be negative")
    if not 2 <= options.sweep_steps <= CHECKPOINT_STEPS:
        sys.exit(f"--sweep-steps must be from 2 to {CHECKPOINT_STEPS}")
    if options.scored is not None:
        if options.scored < EVALUATION_BATCH or options.scored % EVALUATION_BATCH:
            sys.exit(f"--scored must be a multiple of {EVALUATION_BATCH}")
    count = len(options.methods)
    options.runs = 10 * count if options.runs is None else options.runs
    if options.runs < count or options.runs % count:
        sys.exit(f"--runs: {options.runs} is not allowed: a multiple of the {count} methods")
    options.draws = options.runs // count


def check_places(options):
    for name in ("domainbed", "mnist", "ctl", "cohort"):
        given = getattr(options, name)
        setattr(options, name, given and given.resolve())
    if not os.access(options.ctl, os.X_OK) or options.ctl.is_dir():
        sys.exit(f"--ctl: no program at {options.ctl}: `cargo build --release` makes one")
    if not (options.domainbed / "domainbed" / "scripts" / "train.py").is_file():
        sys.exit(f"--domainbed: {options.domainbed} is no checkout of DomainBed")
    for name in MNIST:
        if not any((options.mnist / f"{name}{suffix}").is_file() for suffix in ("", ".gz")):
            sys.exit(f"--mnist: {options.mnist} lacks {name}.gz")
    if options.cohort and options.cohort.exists() and any(options.cohort.iterdir()):
        if not (options.cohort / "cohort.toml").is_file():
            sys.exit(f"--cohort: {options.cohort} is neither a cohort nor empty")
    for module in ("torch", "torchvision", "tqdm"):
        if importlib.util.find_spec(module) is None:
            sys.exit(f"{module} is missing: python -m pip install torch torchvision tqdm")
    if "fork" not in multiprocessing.get_all_start_methods():
        sys.exit("DomainBed's loaders need a system that can fork")


def main():
    options = parser().parse_args()
    options.methods = words(options.methods, METHODS, "--methods")
    options.launcher = words(options.launcher, ["local", "parallel"], "--launcher")
    check_numbers(options)
    check_places(options)
    with tempfile.TemporaryDirectory(prefix="domainbed-peer-") as scratch:
        scratch = pathlib.Path(scratch)
        try:
            sides = {"ours": Ours(options, scratch), "theirs": Theirs(options, scratch)}
        except Failed as reason:
            sys.exit(str(reason))
        found = software(options)
        found["workers"] = "DomainBed's own" if options.workers is None else options.workers
        found["cohort_seconds"] = sides["ours"].cohort_seconds
        warm_up(sides, options)
        if options.part != "sweep":
            found["steps"] = measure_steps(sides, options)
        if options.part != "steps":
            found["sweep"] = measure_sweep(sides, options)
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    if sys.argv[1:2] == [INSIDE]:
        inside(*sys.argv[2:])
    else:
        main()
