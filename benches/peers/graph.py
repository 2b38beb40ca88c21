"""Times questions to causal diagrams, and searches for them, in other software.

The peer of the bench `graph`; a workload is timed as a whole, on one thread, without reading its
input.

d_separation_1000           400 queries in a diagram of 1000 nodes: networkx, pgmpy.
minimal_adjustment_15       all minimal adjustment sets in 20 diagrams: pydagitty.
minimal_adjustment_one_200  one minimal adjustment set in 20 diagrams of 200 nodes: pgmpy.
identify_10_15              60 queries of identification: y0, ananke.
pc_50x10000                 PC-stable, Fisher's z, level 0.05: causal-learn.
fci_20x2000                 FCI, Fisher's z, level 0.05: causal-learn.
ges_20x2000                 greedy equivalence search, BIC: causal-learn, ges.
direct_lingam_20x2000       DirectLiNGAM: lingam.
dagma_50x1000               DAGMA, least squares, lambda 0.02, threshold 0.3: dagma.
icp_10x1500                 invariant prediction of column 3 of the first ten, from rows 0-499,
                            500-999 times 1.5, 1000-1499: causalicp.
kci_500                     the kernel test of columns 0 and 1 given 2 and 3, 500 rows: causal-learn.

Inputs are the files of `shared/bench/graph` beside the repository, or of `--data`; where the folder
is absent, inputs of the same kind and size are drawn.
Software that cannot be imported is skipped with a notice on stderr; the packages need different
versions of each other's dependencies, so several environments may be needed for all of them.

`--list` prints the pairs of workload and peer that can be timed here.
Without `--serve` the script prints a JSON object for each pair with its median time.
With `--serve`, `--workload` and `--peer` it speaks the line protocol of `train_step.py`: one JSON
object when it is ready, one for each line `step N` (`seconds`, one per repetition), until `quit`.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import pathlib
import random
import statistics
import sys
import time
import warnings

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

# A script that is handed over by `python -c` has no place of its own, and is told one.
PLACE = pathlib.Path(globals().get("__file__", pathlib.Path.cwd() / "benches" / "peers" / "-c"))
FOLDER = PLACE.resolve().parents[2].parent / "shared" / "bench" / "graph"
SEED = 7
ALPHA = 0.05


def read_json(options, name):
    path = options.data / name
    return json.loads(path.read_text(encoding="utf-8")) if options.data.is_dir() else None


def read_columns(options, name, columns, rows, gaussian=True):
    import numpy

    if options.data.is_dir():
        return numpy.loadtxt(options.data / name, delimiter=",", skiprows=1)
    generator = numpy.random.default_rng(SEED)
    data = numpy.empty((rows, columns))
    for column in range(columns):
        noise = generator.normal if gaussian else lambda size: generator.uniform(-1.7, 1.7, size)
        data[:, column] = noise(size=rows)
        for parent in set(generator.integers(0, column, generator.integers(0, 4))) if column else ():
            weight = generator.choice([-1, 1]) * generator.uniform(0.5, 1.5)
            data[:, column] += weight * data[:, parent]
    return data


def drawn_graph(generator, nodes, confounded=0.0):
    directed, bidirected = [], []
    for node in range(nodes):
        parents = {generator.randrange(node) for _ in range(min(node, generator.randrange(4)))}
        directed += [[f"V{parent}", f"V{node}"] for parent in sorted(parents)]
        earlier = [other for other in range(node) if generator.random() < confounded]
        bidirected += [[f"V{other}", f"V{node}"] for other in earlier]
    names = [f"V{node}" for node in range(nodes)]
    return {"nodes": names, "directed": directed, "bidirected": bidirected}


def drawn_question(generator, nodes):
    third = nodes // 3
    given = {f"V{generator.randrange(third, nodes - third)}" for _ in range(10)}
    x, y = generator.randrange(third), generator.randrange(nodes - third, nodes)
    return {"x": f"V{x}", "y": f"V{y}", "given": sorted(given)}


def read_cases(options, name, nodes, graphs, confounded=0.0):
    cases = read_json(options, name)
    if cases is None:
        generator = random.Random(SEED)
        cases = [
            {"graph": drawn_graph(generator, nodes, confounded), **drawn_question(generator, nodes)}
            for _ in range(graphs)
        ]
    return cases


def separation_queries(options):
    content = read_json(options, "dsep1000.json")
    if content is None:
        generator = random.Random(SEED)
        graph = drawn_graph(generator, 1000)
        queries = [drawn_question(generator, 1000) for _ in range(400)]
        return graph, [([q["x"]], [q["y"]], q["given"]) for q in queries]
    return content["graph"], [(q["x"], q["y"], q["given"]) for q in content["queries"]]


def digraph(graph):
    import networkx

    result = networkx.DiGraph()
    result.add_nodes_from(graph["nodes"])
    result.add_edges_from(graph["directed"])
    return result


def separation_networkx(options):
    import networkx

    graph, queries = separation_queries(options)
    graph = digraph(graph)
    return lambda: sum(
        networkx.is_d_separator(graph, set(x), set(y), set(z)) for x, y, z in queries
    )


def separation_pgmpy(options):
    from pgmpy.base import DAG

    graph, queries = separation_queries(options)
    model = DAG()
    model.add_nodes_from(graph["nodes"])
    model.add_edges_from(graph["directed"])
    return lambda: sum(
        not model.is_dconnected(x[0], y[0], observed=z) for x, y, z in queries
    )


def adjustment_pydagitty(options):
    from pydagitty import DAG, Edge, Node

    cases = []
    for case in read_cases(options, "adj15.json", 15, 20):
        nodes = {name: Node(name) for name in case["graph"]["nodes"]}
        edges = [Edge(nodes[a], nodes[b]) for a, b in case["graph"]["directed"]]
        graph = DAG(nodes=nodes.values(), edges=edges)
        cases.append((graph, nodes[case["x"]], nodes[case["y"]]))

    def work():
        return sum(len(graph.adjustment_sets(exposure=x, outcome=y)) for graph, x, y in cases)

    return work


def adjustment_pgmpy(options):
    from pgmpy.inference import CausalInference
    from pgmpy.models import DiscreteBayesianNetwork

    cases = []
    for case in read_cases(options, "adj200.json", 200, 20):
        model = DiscreteBayesianNetwork()
        model.add_nodes_from(case["graph"]["nodes"])
        model.add_edges_from(case["graph"]["directed"])
        cases.append((CausalInference(model), case["x"], case["y"]))

    def work():
        sets = [model.get_minimal_adjustment_set(x, y) for model, x, y in cases]
        return sum(len(found) + 1 for found in sets if found is not None)

    return work


def identify_y0(options):
    from y0.algorithm.identify import identify_outcomes
    from y0.dsl import Variable
    from y0.graph import NxMixedGraph

    cases = []
    for case in read_cases(options, "id15.json", 12, 60, 0.05):
        edges = [
            [(Variable(a), Variable(b)) for a, b in case["graph"][kind]]
            for kind in ("directed", "bidirected")
        ]
        graph = NxMixedGraph.from_edges(
            nodes=[Variable(name) for name in case["graph"]["nodes"]],
            directed=edges[0],
            undirected=edges[1],
        )
        cases.append((graph, Variable(case["x"]), Variable(case["y"])))

    def work():
        return sum(identify_outcomes(graph, x, y) is not None for graph, x, y in cases)

    return work


def identify_ananke(options):
    from ananke.graphs import ADMG
    from ananke.identification import OneLineID

    cases = []
    for case in read_cases(options, "id15.json", 12, 60, 0.05):
        graph = case["graph"]
        edges = [[tuple(edge) for edge in graph[kind]] for kind in ("directed", "bidirected")]
        cases.append((ADMG(graph["nodes"], *edges), [case["x"]], [case["y"]]))

    def work():
        return sum(bool(OneLineID(graph, x, y).id()) for graph, x, y in cases)

    return work


def pc_causal_learn(options):
    from causallearn.search.ConstraintBased.PC import pc

    data = read_columns(options, "lin_d50_n10000.csv", 50, 10_000)
    return lambda: pc(data, ALPHA, "fisherz", stable=True, show_progress=False).G.get_num_edges()


def fci_causal_learn(options):
    from causallearn.search.ConstraintBased.FCI import fci

    data = read_columns(options, "lin_d20_n2000.csv", 20, 2000)

    def work():
        graph, _ = fci(data, "fisherz", ALPHA, verbose=False, show_progress=False)
        return graph.get_num_edges()

    return work


def ges_causal_learn(options):
    from causallearn.search.ScoreBased.GES import ges

    data = read_columns(options, "lin_d20_n2000.csv", 20, 2000)
    return lambda: ges(data, "local_score_BIC")["G"].get_num_edges()


def ges_ges(options):
    import ges

    data = read_columns(options, "lin_d20_n2000.csv", 20, 2000)

    def work():
        found, _ = ges.fit_bic(data)
        return int(((found + found.T) > 0).sum() // 2)

    return work


def lingam_lingam(options):
    import lingam

    data = read_columns(options, "ling_d20_n2000.csv", 20, 2000, gaussian=False)
    return lambda: int((lingam.DirectLiNGAM().fit(data).adjacency_matrix_ != 0).sum())


def dagma_dagma(options):
    import dagma.linear as linear

    # The progress bar costs a share of the time that is the terminal's.
    linear.tqdm = without_bar(linear.tqdm)
    data = read_columns(options, "lin_d50_n1000.csv", 50, 1000)

    def work():
        model = linear.DagmaLinear(loss_type="l2")
        return int((model.fit(data.copy(), lambda1=0.02, w_threshold=0.3) != 0).sum())

    return work


def without_bar(bar):
    return lambda *values, **named: bar(*values, **{**named, "disable": True})


def icp_causalicp(options):
    import causalicp

    data = read_columns(options, "lin_d20_n2000.csv", 20, 2000)[:, :10]
    data = [data[:500], data[500:1000] * 1.5, data[1000:1500]]

    def work():
        return len(causalicp.fit(data, 3, alpha=ALPHA).accepted_sets)

    return work


def kci_causal_learn(options):
    from causallearn.utils.cit import CIT

    data = read_columns(options, "lin_d20_n2000.csv", 20, 2000)[:500, :4]
    # The test remembers its answers, so that each repetition needs a new one.
    return lambda: int(CIT(data, "kci")(0, 1, [2, 3]) > ALPHA)


# Workload, peer, package in the registry, module, preparation.
PAIRS = [
    ("d_separation_1000", "networkx", "networkx", "networkx", separation_networkx),
    ("d_separation_1000", "pgmpy", "pgmpy", "pgmpy.base", separation_pgmpy),
    ("minimal_adjustment_15", "pydagitty", "pydagitty", "pydagitty", adjustment_pydagitty),
    ("minimal_adjustment_one_200", "pgmpy", "pgmpy", "pgmpy.inference", adjustment_pgmpy),
    ("identify_10_15", "y0", "y0", "y0.algorithm.identify", identify_y0),
    ("identify_10_15", "ananke", "ananke-causal", "ananke.identification", identify_ananke),
    ("pc_50x10000", "causal-learn", "causal-learn", "causallearn", pc_causal_learn),
    ("fci_20x2000", "causal-learn", "causal-learn", "causallearn", fci_causal_learn),
    ("ges_20x2000", "causal-learn", "causal-learn", "causallearn", ges_causal_learn),
    ("ges_20x2000", "ges", "ges", "ges", ges_ges),
    ("direct_lingam_20x2000", "lingam", "lingam", "lingam", lingam_lingam),
    ("dagma_50x1000", "dagma", "dagma", "dagma.linear", dagma_dagma),
    ("icp_10x1500", "causalicp", "causalicp", "causalicp", icp_causalicp),
    ("kci_500", "causal-learn", "causal-learn", "causallearn", kci_causal_learn),
]


def say(value):
    # What a peer prints in the meantime must not break the protocol.
    sys.__stdout__.write(json.dumps(value) + "\n")
    sys.__stdout__.flush()


def available(options):
    chosen, missing = [], {}
    for pair in PAIRS:
        workload, peer, _, module, _ = pair
        if options.workload not in (None, workload) or options.peer not in (None, peer):
            continue
        try:
            if module not in missing:
                importlib.import_module(module)
        except Exception as reason:  # a package may fail on a dependency in any way
            missing[module] = reason
            print(f"{peer} is not timed: {reason}", file=sys.stderr)
        if module not in missing:
            chosen.append(pair)
    return chosen


class Step:
    def __init__(self, pair, options):
        workload, peer, package, _, prepare = pair
        self.work = prepare(options)
        begun = time.perf_counter()
        answer = self.work()
        self.first = time.perf_counter() - begun
        self.facts = {
            "software": f"{peer} {importlib.metadata.version(package)}",
            "workload": workload,
            "threads": 1,
            "answer": int(answer),
        }

    def run(self, count):
        seconds = []
        for _ in range(count):
            begun = time.perf_counter()
            self.work()
            seconds.append(time.perf_counter() - begun)
        return seconds


def serve(step):
    say(step.facts)
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        if len(words) != 2 or words[0] != "step" or not words[1].isdigit():
            sys.exit(f"expected `step N` or `quit`, found {line.strip()!r}")
        say({"seconds": step.run(int(words[1]))})


def arguments():
    parser = argparse.ArgumentParser(description="Times causal graph software.")
    parser.add_argument("--workload", choices=sorted({pair[0] for pair in PAIRS}))
    parser.add_argument("--peer", choices=sorted({pair[1] for pair in PAIRS}))
    parser.add_argument("--data", type=pathlib.Path, default=FOLDER)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--list", action="store_true", help="print what can be timed here")
    parser.add_argument("--serve", action="store_true", help="answer `step N` lines on stdin")
    chosen = parser.parse_args()
    if chosen.iterations < 1:
        parser.error("--iterations must be at least 1")
    if chosen.serve and None in (chosen.workload, chosen.peer):
        parser.error("--serve needs --workload and --peer")
    return chosen


def main():
    warnings.simplefilter("ignore")
    options = arguments()
    sys.stdout = sys.stderr
    pairs = available(options)
    if options.list:
        for workload, peer, *_ in pairs:
            say({"workload": workload, "peer": peer})
        return
    if options.serve:
        if not pairs:
            sys.exit(1)
        serve(Step(pairs[0], options))
        return
    for pair in pairs:
        step = Step(pair, options)
        seconds = step.run(options.iterations)
        say({**step.facts, "median_seconds": statistics.median(seconds)})


if __name__ == "__main__":
    main()
