"""Draws what bench/peers.mjs measured: chart.py <set.json> <set.svg>. Recall@10 against queries a second, all systems.

Ours are solid, in warm colors, in the engine's own loop; peers are dashed. Text and grid are CSS variables, so that the
picture can be read on light and on dark pages.
"""

import colorsys
import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator, NullFormatter  # noqa: E402

# Hues in turns of the color wheel, and lightnesses that neighbors on it take by turns.
WARM, COLD = (-0.11, 0.13), (0.3, 0.72)
LIGHTNESS = (0.42, 0.58)
# Colors that nothing else has, to be found in the file.
INK, GRID = "#010203", "#040506"
STYLE = """<style>
:root { --ink: #1f2328; --grid: #d0d7de }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --grid: #3d444d } }
</style>
"""


def frontier(points):
    best = []
    for point in sorted(points, key=lambda point: (-point["recall"], -point["qps"])):
        if not best or point["qps"] > best[-1]["qps"]:
            best.append(point)
    return best[::-1]


def shades(hues, count):
    first, last = hues
    for i in range(count):
        hue = first + (last - first) * i / max(1, count - 1)
        yield colorsys.hls_to_rgb(hue % 1, LIGHTNESS[i % len(LIGHTNESS)], 0.8)


def draw(data, path):
    plt.rcParams.update({
        "svg.fonttype": "none",
        "svg.hashsalt": data["set"],
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GRID,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": GRID,
    })
    figure, axes = plt.subplots(figsize=(10, 6))
    kinds = [system["ours"] for system in data["systems"]]
    colors = {True: shades(WARM, kinds.count(True)), False: shades(COLD, kinds.count(False))}
    for system in data["systems"]:
        points = [point for point in frontier(system["curves"][0]["points"]) if point["recall"] >= 0.75]
        ours = system["ours"]
        axes.plot(
            [point["recall"] for point in points],
            [point["qps"] for point in points],
            color=next(colors[ours]),
            linestyle="-" if ours else "--",
            linewidth=2 if ours else 1.5,
            marker="o" if ours else "s",
            markersize=3.5,
            label=system["label"],
        )
    axes.set_yscale("log")
    axes.set_xlim(0.8, 1.002)
    axes.xaxis.set_major_locator(MultipleLocator(0.02))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("recall@10")
    axes.set_ylabel("queries a second, one thread, one query a call")
    axes.set_title(f"{data['set']}: {data['rows']:,} x {data['dimensions']}")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None})


def title_of(data):
    return f"Recall@10 against queries a second on {data['set']}"


def follow_theme(path, title):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = text.replace(INK, "var(--ink)").replace(GRID, "var(--grid)").replace(" <defs>", STYLE + " <defs>", 1)
    # What readers of the screen say of the picture.
    text = text.replace(" <metadata>", f" <title>{title}</title>\n <metadata>", 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(line.rstrip() for line in text.splitlines()) + "\n")


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        found = json.load(file)
    draw(found, sys.argv[2])
    follow_theme(sys.argv[2], title_of(found))
