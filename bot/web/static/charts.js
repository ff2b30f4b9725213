// The few pictures of the page as SVG: a line, a histogram, a book, an interval. ARCHITECTURE.md says which libraries
// were weighed. A picture is as wide as its panel, so that its letters are as large on a phone as on a desk.
import { svg } from "./dom.js";

const GAP = 8; // between a label and what it names
let across = 600;
export const fitTo = (width) => { across = Math.max(280, Math.floor(width) || 600); };

const pen = document.createElement("canvas").getContext("2d");
pen.font = "12px system-ui, sans-serif"; // as style.css has it for svg text
const widest = (labels) => Math.ceil(Math.max(...labels.map((label) => pen.measureText(label).width)));

const frame = (height, label, ...children) => svg("svg", { viewBox: `0 0 ${across} ${height}`, role: "img", "aria-label": label }, ...children);
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
  const left = widest([show(y0), show(y1)]) + GAP;
  const toX = (x) => left + ((across - left - 6) * (x - x0)) / Math.max(1, x1 - x0);
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
    svg("line", { x1: left, x2: across, y1: height - 20, y2: height - 20, class: "axis" }),
    text(left - GAP / 2, 16, show(y1), "end"), text(left - GAP / 2, height - 24, show(y0), "end"),
    text(left, height - 5, showX(x0, x1 - x0)), text(across, height - 5, showX(x1, x1 - x0), "end"),
    ...marks.flatMap((mark) => [
      svg("line", { x1: left, x2: across, y1: toY(mark.y), y2: toY(mark.y), class: "mark" }),
      text(across, toY(mark.y) - 3, mark.label, "end"),
    ]),
    ...drawn);
}

// closed candles, [open_ms, open, high, low, close, volume] each, with the swings and the leg, and prices to mark
export function candles(rows, { swing_points: swings, start_ms, end_ms, start, end, side }, { label, show, marks, showX, height = 260 }) {
  const [y0, y1] = scale([...rows.flatMap(([, , high, low]) => [high, low]), ...marks.map((mark) => mark.y)]);
  const left = widest([show(y0), show(y1)]) + GAP, [x0, x1] = [rows[0][0], rows.at(-1)[0]];
  const wide = Math.max(1, (0.7 * (across - left - 12)) / rows.length);
  const toX = (x) => left + wide + ((across - left - 2 * wide - 6) * (x - x0)) / Math.max(1, x1 - x0);
  const toY = (y) => 8 + ((height - 30) * (y1 - y)) / (y1 - y0);
  const bar = (x, top, bottom, width, className) => svg("rect", { x: (toX(x) - width / 2).toFixed(1), y: toY(top).toFixed(1), width: width.toFixed(1), height: Math.max(1, toY(bottom) - toY(top)).toFixed(1), class: className });
  return frame(height, label,
    svg("line", { x1: left, x2: across, y1: height - 20, y2: height - 20, class: "axis" }),
    text(left - GAP / 2, 16, show(y1), "end"), text(left - GAP / 2, height - 24, show(y0), "end"),
    text(left, height - 5, showX(x0, x1 - x0)), text(across, height - 5, showX(x1, x1 - x0), "end"),
    ...rows.flatMap(([x, open, high, low, close]) => [bar(x, high, low, 1, close < open ? "ask" : "bid"), bar(x, Math.max(open, close), Math.min(open, close), wide, close < open ? "ask" : "bid")]),
    ...swings.filter((one) => one.open_ms >= x0).map((one) => svg("circle", { cx: toX(one.open_ms).toFixed(1), cy: toY(one.price).toFixed(1), r: 3, class: "point" })),
    side && start_ms >= x0 ? svg("path", { d: `M${toX(start_ms).toFixed(1)} ${toY(start).toFixed(1)}L${toX(end_ms).toFixed(1)} ${toY(end).toFixed(1)}`, class: "line two" }) : null,
    ...marks.flatMap((mark) => [svg("line", { x1: left, x2: across, y1: toY(mark.y), y2: toY(mark.y), class: "mark" }), text(across, toY(mark.y) - 3, mark.label, "end")]));
}

export function histogram(edges, counts, { threshold, label, height = 190 }) {
  const left = GAP, most = Math.max(1, ...counts), wide = (across - 2 * left) / counts.length;
  const toHeight = (n) => (n ? Math.max(2, ((height - 34) * Math.sqrt(n)) / Math.sqrt(most)) : 0);
  const toX = (score) => left + ((across - 2 * left) * (score - edges[0])) / (edges.at(-1) - edges[0]);
  return frame(height, label,
    ...counts.flatMap((n, i) => [
      svg("rect", { x: left + i * wide + 1, y: height - 20 - toHeight(n), width: wide - 2, height: toHeight(n), class: "bar" }),
      n && widest([String(n)]) <= wide + 4 ? text(left + i * wide + wide / 2, height - 23 - toHeight(n), String(n), "middle") : null,
      i % 4 === 0 ? text(left + i * wide, height - 5, String(edges[i])) : null,
    ]),
    svg("line", { x1: toX(threshold), x2: toX(threshold), y1: 6, y2: height - 20, class: "mark" }),
    text(toX(threshold) - 4, 14, `alerts from ${threshold}`, "end"));
}

// a bar for each part of the score, as one path: a leaderboard has thousands of them
export function bars(contributions, label) {
  const path = Object.values(contributions).map((points, i) => {
    const tall = Math.min(14, Math.max(0, points * 0.7));
    return `M${i * 15} 14v-${tall.toFixed(1)}h12v${tall.toFixed(1)}z`;
  }).join("");
  return svg("svg", { viewBox: "0 0 110 14", role: "img", "aria-label": label }, svg("path", { d: path, class: "bar" }));
}

export function book({ bids, asks }, { label, show, height = 150 }) {
  const most = Math.max(...bids.map((one) => one[1]), ...asks.map((one) => one[1]), 1e-12);
  const half = (across - 20) / 2, each = Math.min(12, (height - 24) / Math.max(bids.length, asks.length, 1));
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
  // where names leave too little room beside them, each stands above its line
  const left = widest(known.map((row) => `${row.name}, ${row.note}`)) + 2 * GAP, above = left > across / 2;
  const from = above ? GAP : left, step = above ? 40 : 26, at = above ? 30 : 14;
  const toX = (value) => from + ((across - from - GAP) * (value + edge)) / (2 * edge), height = step * known.length + 24;
  return frame(height, label,
    svg("line", { x1: toX(0), x2: toX(0), y1: 0, y2: height - 18, class: "axis" }),
    text(toX(-edge), height - 4, `−${edge.toFixed(1)} ${unit}`), text(toX(0), height - 4, "0", "middle"), text(across, height - 4, `+${edge.toFixed(1)}`, "end"),
    ...known.flatMap((row, i) => [
      text(0, step * i + 18, `${row.name}, ${row.note}`),
      row.low === null ? null : svg("line", { x1: toX(row.low), x2: toX(row.high), y1: step * i + at, y2: step * i + at, class: "range" }),
      svg("circle", { cx: toX(row.value), cy: step * i + at, r: 4.5, class: "point" }),
    ]));
}
