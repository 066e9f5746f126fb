"""The graph of a pipeline: where nodes stand, what is written on edges."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from fake_pipeline import write_pipeline
from r1.report.pipeline.drawing import edge_path, graph_svg, label_places, short
from r1.report.pipeline.graph import make_graph, short_number
from r1.report.pipeline.layout import NODE_HEIGHT, NODE_WIDTH, depths, lay_out
from r1.report.pipeline.load import load_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("graph") / "run"
    return write_pipeline(place, until="eval_dev2", num_problems=6)


def test_depth_is_below_the_deepest_parent_and_near_the_first_child() -> None:
    nodes = ["a", "b", "c", "late", "d", "alone"]
    edges = [("a", "b"), ("b", "c"), ("a", "d"), ("c", "d"), ("late", "d")]
    assert depths(nodes, edges) == {"a": 0, "b": 1, "c": 2, "d": 3, "late": 2, "alone": 3}


def test_boxes_never_overlap_and_edges_go_down(folder: Path) -> None:
    layout = make_graph(load_pipeline(folder)).layout
    for (x, y), (x_2, y_2) in combinations(layout.centres.values(), 2):
        assert abs(x - x_2) >= NODE_WIDTH or abs(y - y_2) >= NODE_HEIGHT
    for x, y in layout.centres.values():
        assert NODE_WIDTH / 2 <= x <= layout.width - NODE_WIDTH / 2 + 1e-6
        assert NODE_HEIGHT / 2 <= y <= layout.height - NODE_HEIGHT / 2 + 1e-6
    for route in layout.routes:
        x, y = layout.centres[route.parent]
        assert route.points[0] == (x, y + NODE_HEIGHT / 2)
        x, y = layout.centres[route.child]
        assert route.points[-1] == (x, y - NODE_HEIGHT / 2)
        heights = [point[1] for point in route.points]
        assert heights == sorted(heights)
        for name, (x, y) in layout.centres.items():
            for way_x, way_y in route.points[1:-1]:
                inside = abs(way_x - x) < NODE_WIDTH / 2 and abs(way_y - y) < NODE_HEIGHT / 2
                assert not inside, f"{route.parent} -> {route.child} runs through {name}"


def test_crossings_that_can_be_avoided_are() -> None:
    layout = lay_out(["a", "b", "x", "y"], {("a", "y"): 1.0, ("b", "x"): 1.0})
    places = layout.centres
    assert (places["a"][0] - places["b"][0]) * (places["y"][0] - places["x"][0]) > 0


def test_nothing_to_lay_out() -> None:
    assert lay_out([], {})[:2] == (0.0, 0.0)


def test_nodes_carry_state_and_score_and_edges_what_travels(folder: Path) -> None:
    pipeline = load_pipeline(folder)
    graph = make_graph(pipeline)
    assert not any(name.startswith("eval_") for name in graph.nodes)
    solved = pipeline.evaluations["dev1"].overall["pass_at_1"].value
    assert graph.nodes["dev1"].score == f"pass@1 {100 * solved:.1f}%"
    assert graph.nodes["dev2"].score == ""
    assert graph.nodes["helpful"].score == "held-out 95.0%"
    assert graph.nodes["student_rl"].about == "RL · 50 s · from qwen"
    links = {(link.parent, link.child): link for link in graph.links}
    assert links["mixture", "dev3"][2:] == ("data", "2,312 rows, 1.2M tokens", True)
    assert links["helpful", "r1"][2:] == ("reward model", "8 steps, 3,600 pairs", True)
    assert links["dev3", "r1"].what == "weights"
    assert {child for parent, child in links if parent == "base"} == {
        "r1_zero", "dev1", "dev3", "helpful", "harmless",
    }  # fmt: skip
    svg = graph_svg(graph)
    assert svg.count("<g class=") == len(graph.nodes)
    assert "2,312 rows, 1.2M tokens" in svg


def test_a_stage_to_do_is_drawn_as_such(tmp_path: Path) -> None:
    graph = make_graph(load_pipeline(write_pipeline(tmp_path / "run", until="dev2")))
    assert (graph.nodes["dev1"].state, graph.nodes["dev2"].state) == ("done", "to do")
    links = {(link.parent, link.child): link for link in graph.links}
    assert (links["dev2", "rejection"].done, links["dev2", "rejection"].counts) == (False, "")
    assert 'class="edge waiting"' in graph_svg(graph)


def test_a_search_that_is_learnt_from_is_a_stage_and_no_evaluation(tmp_path: Path) -> None:
    def stage(name: str, kind: str, given: str, **inputs: str) -> dict:
        edges = {field: {"stage": s, "output": "results"} for field, s in inputs.items()}
        return {"name": name, "kind": kind, "outputs": {"results": given}, "inputs": edges}

    stages = [
        stage("tree", "search", "results"),
        stage("found", "search_data", "dataset", searched="tree"),
        stage("looked_at", "search", "results"),
    ]
    tables = {each["name"]: {"model": "tiny"} for each in stages}
    told = {"kind": "r1", "recipe": {"stages": tables}, "stages": stages}
    (tmp_path / "pipeline.json").write_text(json.dumps(told))
    pipeline = load_pipeline(tmp_path)
    assert [s.evaluates for s in pipeline.stages.values()] == [None, None, "base"]
    graph = make_graph(pipeline)
    assert set(graph.nodes) == {"base", "tree", "found"}
    [link] = [link for link in graph.links if link.parent == "tree"]
    assert (link.child, link.what) == ("found", "what was found")


def test_labels_of_neighbouring_edges_stand_apart(folder: Path) -> None:
    graph = make_graph(load_pipeline(folder))
    links = {(link.parent, link.child): link for link in graph.links}
    routes = [route for route in graph.layout.routes if links[route[:2]].what]
    for (x, y), (x_2, y_2) in combinations(label_places(routes), 2):
        assert abs(x - x_2) > 100 or abs(y - y_2) > 26


def test_small_things() -> None:
    assert edge_path([(0, 0), (0, 10)]) == "M0.0 0.0L0.0 10.0"
    assert edge_path([(0, 0), (4, 10)]) == "M0.0 0.0C0.0 5.0 4.0 5.0 4.0 10.0"
    numbers = (950, 6210, 48_100, 870_000, 1_234_567, 3.4e9, 0.25)
    assert [short_number(value) for value in numbers] == [
        "950", "6,210", "48.1k", "870k", "1.2M", "3.4B", "0.25",
    ]  # fmt: skip
    assert (short("four", 4), short("longer", 4)) == ("four", "lon…")
