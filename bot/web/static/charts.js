// The few pictures of the page as SVG: a line, a histogram, a book, an interval. A chart library would be a hundred
// times as large as this, and none ships in a Python package of the size of the bot.
import { svg } from "./dom.js";

const WIDTH = 600;
const LEFT = 76;

const frame = (height, label, ...children) => svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label }, ...children);
const text = (x, y, words, anchor = "start") => svg("text", { x, y, "text-anchor": anchor }, words);

function scale(values) {
  const known = values.filter((value) => value !== null && Number.isFinite(value));
  const low = Math.min(...known), high = Math.max(...known);
  return high > low ? [low, high] : [low - 1, high + 1];
}

// series: [{points: [[x, y]], className}], y may be null; marks: [{y, label}]
export function lines(series, { height = 180, label, show, marks = [], step = false, from, to, showX }) {
  const points = series.flatMap((one) => one.points).filter(([, y]) => y !== null);
  if (!points.length) return null;
  const [x0, x1] = [from ?? Math.min(...points.map(([x]) => x)), to ?? Math.max(...points.map(([x]) => x))];
  const [y0, y1] = scale([...points.map(([, y]) => y), ...marks.map((mark) => mark.y)]);
  const toX = (x) => LEFT + ((WIDTH - LEFT - 6) * (x - x0)) / Math.max(1, x1 - x0);
  const toY = (y) => 8 + ((height - 30) * (y1 - y)) / (y1 - y0);
  const drawn = series.map(({ points: own, className = "" }) => {
    let path = "", before = null;
    for (const [x, y] of own) {
      if (y === null) { before = null; continue; }
      if (before === null) path += `M${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
      else path += step ? `H${toX(x).toFixed(1)}V${toY(y).toFixed(1)}` : `L${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
      before = y;
    }
    return svg("path", { d: path, class: `line ${className}` });
  });
  return frame(height, label,
    svg("line", { x1: LEFT, x2: WIDTH, y1: height - 20, y2: height - 20, class: "axis" }),
    text(LEFT - 4, 16, show(y1), "end"), text(LEFT - 4, height - 24, show(y0), "end"),
    text(LEFT, height - 5, showX(x0)), text(WIDTH, height - 5, showX(x1), "end"),
    ...marks.flatMap((mark) => [
      svg("line", { x1: LEFT, x2: WIDTH, y1: toY(mark.y), y2: toY(mark.y), class: "mark" }),
      text(WIDTH, toY(mark.y) - 3, mark.label, "end"),
    ]),
    ...drawn);
}

export function histogram(edges, counts, { threshold, label, height = 190 }) {
  const most = Math.max(1, ...counts), wide = (WIDTH - LEFT) / counts.length;
  const toHeight = (n) => (n ? Math.max(2, ((height - 34) * Math.sqrt(n)) / Math.sqrt(most)) : 0);
  const toX = (score) => LEFT + ((WIDTH - LEFT) * (score - edges[0])) / (edges.at(-1) - edges[0]);
  return frame(height, label,
    ...counts.flatMap((n, i) => [
      svg("rect", { x: LEFT + i * wide + 1, y: height - 20 - toHeight(n), width: wide - 2, height: toHeight(n), class: "bar" }),
      n ? text(LEFT + i * wide + wide / 2, height - 23 - toHeight(n), String(n), "middle") : null,
      i % 4 === 0 ? text(LEFT + i * wide, height - 5, String(edges[i])) : null,
    ]),
    svg("line", { x1: toX(threshold), x2: toX(threshold), y1: 6, y2: height - 20, class: "mark" }),
    text(toX(threshold) - 4, 14, `alerts from ${threshold}`, "end"));
}

// a bar of so many parts of the full points, for the leaderboard
export function bars(contributions, label) {
  const parts = Object.values(contributions);
  return svg("svg", { viewBox: "0 0 110 14", role: "img", "aria-label": label },
    ...parts.map((points, i) => svg("rect", { x: i * 15, y: 14 - Math.min(14, points * 0.7), width: 12, height: Math.min(14, points * 0.7), class: "bar" })));
}

export function book({ bids, asks }, { label, show, height = 150 }) {
  const most = Math.max(...bids.map((one) => one[1]), ...asks.map((one) => one[1]), 1e-12);
  const half = (WIDTH - 20) / 2, each = Math.min(12, (height - 24) / Math.max(bids.length, asks.length, 1));
  const side = (levels, isBid) => levels.map(([, quantity], i) => {
    const wide = (half * quantity) / most;
    return svg("rect", { x: isBid ? half - wide : half + 20, y: 18 + i * each, width: wide, height: each - 1, class: isBid ? "bid" : "ask" });
  });
  return frame(height, label,
    text(half, 12, bids.length ? `bid ${show(bids[0][0])}` : "no bids", "end"), text(half + 20, 12, asks.length ? `ask ${show(asks[0][0])}` : "no asks"),
    ...side(bids, true), ...side(asks, false));
}

// rows: [{name, value, low, high, note}] as points with intervals around zero
export function intervals(rows, { label, unit }) {
  const known = rows.filter((row) => row.value !== null);
  if (!known.length) return null;
  const edge = Math.max(0.5, ...known.flatMap((row) => [row.value, row.low, row.high].filter((x) => x !== null).map(Math.abs)));
  const toX = (value) => 200 + ((WIDTH - 210) * (value + edge)) / (2 * edge), height = 26 * known.length + 24;
  return frame(height, label,
    svg("line", { x1: toX(0), x2: toX(0), y1: 0, y2: height - 18, class: "axis" }),
    text(toX(-edge), height - 4, `−${edge.toFixed(1)} ${unit}`), text(toX(0), height - 4, "0", "middle"), text(WIDTH, height - 4, `+${edge.toFixed(1)}`, "end"),
    ...known.flatMap((row, i) => [
      text(0, 26 * i + 18, `${row.name}, ${row.note}`),
      row.low === null ? null : svg("line", { x1: toX(row.low), x2: toX(row.high), y1: 26 * i + 14, y2: 26 * i + 14, class: "range" }),
      svg("circle", { cx: toX(row.value), cy: 26 * i + 14, r: 4.5, class: "point" }),
    ]));
}
