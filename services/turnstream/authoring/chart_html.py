"""A chart of stories as one HTML file that needs nothing else: no script, no font, no net."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from grandalf.graphs import Edge, Graph, Vertex  # type: ignore[import-untyped]
from grandalf.layouts import SugiyamaLayout  # type: ignore[import-untyped]
from grandalf.routing import EdgeViewer  # type: ignore[import-untyped]

from turnstream.authoring.story_chart import Chart, Key

CHARACTER_WIDTH = 7.2
NODE_HEIGHT = 26
PADDING = 12
GAP_BETWEEN_COLUMNS = 46
GAP_BETWEEN_ROWS = 14
MARGIN = 24
MAX_LABEL = 60
SWEEPS = 4
"""How often the order in the columns is improved, back and forth."""

STYLE = """
body { font: 14px system-ui, sans-serif; margin: 1.5em; color: #222; background: #fff; }
h1 { font-size: 1.3em; } figure { margin: 0; overflow: auto; }
.key span { display: inline-block; padding: .15em .7em; margin-right: .6em; }
.key span { border: 1px solid #888; border-radius: 4px; }
text { font: 12px ui-monospace, monospace; dominant-baseline: central; text-anchor: middle; }
rect { stroke: #888; fill: #fff; } path { fill: none; stroke: #999; }
.start rect, .end rect, .start, .end { fill: #eee; background: #eee; }
.anywhere rect, .key .anywhere { fill: #f3e8fd; background: #f3e8fd; }
.message rect, .key .message { fill: #e6f0fb; background: #e6f0fb; }
.action rect, .key .action { fill: #e7f6e9; background: #e7f6e9; }
.fact rect, .key .fact { fill: #fff7dc; background: #fff7dc; }
.start text, .end text { fill: #222; }
"""
KEY = (
    ("start", "a conversation begins"),
    ("anywhere", "a rule begins"),
    ("message", "the user says"),
    ("action", "the assistant does"),
    ("fact", "a slot or a loop is set"),
)
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Box:
    """The middle of a node in pixels, and its width."""

    x: float
    y: float
    width: float


class _View:
    """What grandalf asks of a node. It draws downwards and we draw to the right, so width and height change places."""

    def __init__(self, width: float) -> None:
        self.w = NODE_HEIGHT
        self.h = width
        self.xy = (0.0, 0.0)


def chart_html(chart: Chart, title: str) -> str:
    """The page; every text of the stories is escaped."""
    page = ET.Element("html", lang="en")
    head = ET.SubElement(page, "head")
    ET.SubElement(head, "meta", charset="utf-8")
    _text(ET.SubElement(head, "title"), title)
    ET.SubElement(head, "style").text = STYLE
    body = ET.SubElement(page, "body")
    _text(ET.SubElement(body, "h1"), title)
    legend = ET.SubElement(body, "p", {"class": "key"})
    for kind, meaning in KEY:
        _text(ET.SubElement(legend, "span", {"class": kind}), meaning)
    ET.SubElement(body, "figure").append(_svg(chart))
    return "<!DOCTYPE html>\n" + ET.tostring(page, encoding="unicode") + "\n"


def _svg(chart: Chart) -> ET.Element:
    boxes, ways = _layout(chart)
    right = max((box.x + box.width / 2 for box in boxes.values()), default=0.0)
    bottom = max((y for way in [*ways.values(), [(b.x, b.y) for b in boxes.values()]] for _, y in way), default=0.0)
    width, height = f"{right + MARGIN:.0f}", f"{bottom + NODE_HEIGHT + MARGIN:.0f}"
    size = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size})
    numbers = {key: f"n{number}" for number, key in enumerate(chart.nodes)}
    marker = {"id": "arrow", "viewBox": "0 0 8 8", "refX": "8", "refY": "4", "markerWidth": "7", "markerHeight": "7"}
    arrow = ET.SubElement(ET.SubElement(svg, "defs"), "marker", {**marker, "orient": "auto"})
    ET.SubElement(arrow, "path", d="M0,0 L8,4 L0,8 z", style="fill: #999; stroke: none")
    for (source, target), way in ways.items():
        ends = {"data-from": numbers[source], "data-to": numbers[target], "class": "edge"}
        ET.SubElement(svg, "path", {**ends, "d": _curve(way), "marker-end": "url(#arrow)"})
    for key, names in chart.nodes.items():
        svg.append(_node(key, numbers[key], boxes[key], names))
    return svg


def _node(key: Key, number: str, box: _Box, stories: Iterable[str]) -> ET.Element:
    item = key[-1]
    group = ET.Element("g", {"id": number, "class": f"node {item.kind}"})
    _text(ET.SubElement(group, "title"), "\n".join([item.label, *stories]))
    place = {"x": f"{box.x - box.width / 2:.1f}", "y": f"{box.y - NODE_HEIGHT / 2:.1f}"}
    ET.SubElement(group, "rect", {**place, "width": f"{box.width:.1f}", "height": str(NODE_HEIGHT), "rx": "5"})
    _text(ET.SubElement(group, "text", x=f"{box.x:.1f}", y=f"{box.y:.1f}"), _short(item.label))
    return group


def _short(label: str) -> str:
    label = " ".join(label.split())
    return label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 1] + "…"


def _text(element: ET.Element, text: str) -> None:
    element.text = _NOT_XML.sub("\ufffd", text)


Points = list[tuple[float, float]]


def _layout(chart: Chart) -> tuple[dict[Key, _Box], dict[tuple[Key, Key], Points]]:
    """Columns from left to right, the parts of the graph one below the other.

    Method: https://doi.org/10.1109/TSMC.1981.4308636.
    """
    vertices = {key: Vertex(key) for key in chart.nodes}
    for key, vertex in vertices.items():
        vertex.view = _View(len(_short(key[-1].label)) * CHARACTER_WIDTH + 2 * PADDING)
    edges = {pair: Edge(vertices[pair[0]], vertices[pair[1]]) for pair in chart.edges if pair[0] != pair[1]}
    for edge in edges.values():
        edge.view = EdgeViewer()
    top = float(MARGIN)
    boxes: dict[Key, _Box] = {}
    ways: dict[tuple[Key, Key], Points] = {}
    order = {key: number for number, key in enumerate(chart.nodes)}
    parts = Graph(list(vertices.values()), list(edges.values())).C
    for part in sorted(parts, key=lambda p: min(order[v.data] for v in p.V())):
        _arrange(part, chart)
        found = {v.data: v.view for v in part.V()}
        bends = {pair: _bends(edge) for pair, edge in edges.items() if pair[0] in found}
        ys = [view.xy[0] for view in found.values()] + [y for way in bends.values() for _, y in way]
        left = min(view.xy[1] - view.h / 2 for view in found.values())
        dx, dy = MARGIN - left, top - min(ys) + NODE_HEIGHT / 2
        boxes |= {key: _Box(view.xy[1] + dx, view.xy[0] + dy, view.h) for key, view in found.items()}
        for (source, target), way in bends.items():
            ways[source, target] = [
                (boxes[source].x + boxes[source].width / 2, boxes[source].y),
                *((x + dx, y + dy) for x, y in way),
                (boxes[target].x - boxes[target].width / 2, boxes[target].y),
            ]
        top += max(ys) - min(ys) + NODE_HEIGHT + 3 * GAP_BETWEEN_ROWS
    return boxes, ways | {pair: _around(boxes[pair[0]]) for pair in chart.edges if pair[0] == pair[1]}


def _around(box: _Box) -> Points:
    """The way of a node to itself."""
    half = box.width / 2
    return [(box.x + half, box.y), (box.x, box.y - NODE_HEIGHT), (box.x - half, box.y)]


def _arrange(part: "Graph", chart: Chart) -> None:
    layout = SugiyamaLayout(part)
    layout.xspace, layout.yspace = GAP_BETWEEN_ROWS, GAP_BETWEEN_COLUMNS
    targets = {target for source, target in chart.edges if source != target}
    vertices = list(part.V())
    roots = [vertex for vertex in vertices if vertex.data not in targets] or vertices[:1]
    layout.init_all(roots=roots)
    layout.draw(SWEEPS)


def _bends(edge: "Edge") -> Points:
    """Where an edge passes the columns between its ends."""
    points = [(y, x) for x, y in getattr(edge.view, "_pts", ())]
    source, target = (vertex.view.xy[1] for vertex in edge.v)
    forwards = source <= target
    return points[1:-1] if forwards == (not points or points[0][0] <= points[-1][0]) else points[1:-1][::-1]


def _curve(points: Sequence[tuple[float, float]]) -> str:
    x, y = points[0]
    parts = [f"M{x:.1f},{y:.1f}"]
    for to_x, to_y in points[1:]:
        middle = (x + to_x) / 2
        parts.append(f"C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}")
        x, y = to_x, to_y
    return " ".join(parts)
