// One function a panel: what the API said goes in, elements come out.
import { bars, book, candles, histogram, intervals, lines } from "./charts.js";
import { el, nothing, table, toned } from "./dom.js";
import { count, duration, figure, number, percent, price, signed, time, venue, words } from "./format.js";

const TONES = { ok: "up", degraded: "warn", rate_limited: "warn", blind: "down" };

export function status({ status: bot, problems }) {
  const cards = bot.venues.map((one) => el("div", {},
    el("strong", {}, venue(one.venue)), " ", el("span", { class: TONES[one.state] ?? "warn" }, one.state.replace("_", " ")), el("br"),
    el("span", { class: "soft" }, `${count(one.instruments)} pairs, ${number(one.budget_used_percent, 0)} % of its limit used, last reply ${one.last_reply_ms === null ? "never" : `${duration((bot.now_ms - one.last_reply_ms) / 1000)} ago`}`),
    one.note ? el("div", { class: one.state === "ok" ? "soft wide" : "soft" }, one.note) : null,
    one.streams.length ? table([
      ["stream", (channel) => channel.name],
      ["state", (channel) => channel.state],
      ["covered", (channel) => `${count(channel.covered)} of ${count(channel.wanted)}`],
      ["per s", (channel) => number(channel.messages_per_s, 0)],
      ["lag p95", (channel) => channel.lag_p95_ms === null ? "–" : `${number(channel.lag_p95_ms, 0)} ms`],
    ], one.streams) : null));
  const waiting = Object.entries(bot.outbox).filter(([state, n]) => state !== "sent" && n).map(([state, n]) => `${n} ${state}`).join(", ");
  cards.push(el("div", {},
    el("strong", {}, `${bot.signals_today ?? "?"} of ${bot.max_daily_signals} alerts today`), el("br"),
    el("span", { class: "soft" }, `tick p50 ${number(bot.tick_p50_ms, 0)} ms, p95 ${number(bot.tick_p95_ms, 0)} ms; up ${duration((bot.now_ms - bot.started_ms) / 1000)}; messages: ${waiting || "all sent"}`)));
  return el("div", {}, ...problems.map((text) => el("p", { class: "down" }, text)), ...bot.notes.map((text) => el("p", { class: "warn" }, text)), el("div", { class: "cards" }, ...cards));
}

const SORTS = {
  score: (a, b) => b.score - a.score,
  coin: (a, b) => (a.coin < b.coin ? -1 : a.coin > b.coin ? 1 : b.score - a.score),
  spread: (a, b) => (a.spread_bps ?? Infinity) - (b.spread_bps ?? Infinity),
};
const PART = "part:"; // before the name of a part of the score, as a way to sort
export const sortOfPart = (name) => `${PART}${name}`;
const by = (sort) => SORTS[sort] ?? ((a, b) => (b.contributions[sort.slice(PART.length)] ?? -1) - (a.contributions[sort.slice(PART.length)] ?? -1));
// on a phone without what all pairs are against
const pairName = (pair) => { const [base, quote] = pair.split(":")[0].split("/"); return [base, el("span", { class: "wide" }, `/${quote}`)]; };
const MOST_DRAWN = 200, ROW_PX = 31, BEYOND = 20; // rows; as style.css has it; rows drawn before and after those that can be seen

export function leaders(markets, { find, only, sort, chosen, choose, onsort, top, height }) {
  const wanted = find.trim().toUpperCase();
  const rows = markets.filter((one) => (!wanted || one.coin.includes(wanted) || one.pair.includes(wanted)) && (!only || one.venue === only)).sort(by(sort));
  if (!rows.length) return nothing(markets.length ? "Nothing fits" : "Nothing has been scored yet");
  const parts = (row) => Object.entries(row.contributions).map(([name, points]) => `${words(name)} ${points.toFixed(1)}`).join(", ");
  const sorted = sort.startsWith(PART) ? [[words(sort.slice(PART.length)), (row) => number(row.contributions[sort.slice(PART.length)]), { sort }]] : [];
  const first = Math.max(0, Math.min(rows.length - 1, Math.floor(top / ROW_PX)) - BEYOND);
  return table([
    ["Pair", (row) => el("button", { type: "button", class: "link", "data-key": `${row.venue} ${row.id}`, onclick: () => choose(row) }, ...pairName(row.pair)), { sort: "coin" }],
    ["Venue", (row) => venue(row.venue), { class: "text" }],
    ["Score", (row) => number(row.score), { sort: "score" }],
    ...sorted,
    ["Parts", (row) => bars(row.contributions, parts(row)), { class: "bars wide" }],
    ["Price", (row) => price(row.price, row.tick_size)],
    ["Spread", (row) => (row.spread_bps === null ? "–" : `${number(row.spread_bps)} bps`), { class: "wide", sort: "spread" }],
  ], rows, {
    caption: "Pairs by score", sort, onsort, chosen: (row) => row.venue === chosen?.venue && row.id === chosen?.id,
    part: rows.length > MOST_DRAWN ? [first, Math.min(rows.length, first + Math.ceil(height / ROW_PX) + 2 * BEYOND), ROW_PX] : undefined,
  });
}

const above = ({ edges, counts, threshold }) => counts.reduce((sum, n, i) => sum + (edges[i] >= threshold ? n : 0), 0);

export function scores(found) {
  const { edges, counts, threshold, strategy } = found;
  const total = counts.reduce((sum, n) => sum + n, 0);
  return el("div", {}, histogram(edges, counts, { threshold, label: `Scores of ${total} pairs of strategy ${strategy}; alerts need ${threshold}` }),
    el("p", { class: "soft" }, `${count(total)} pairs, ${above(found)} in bands from the threshold on; heights are square roots`));
}

export function pair(one, kept, closed) {
  const at = (value) => price(value, one.tick_size);
  const refused = one.verdicts.filter((verdict) => !verdict.passed).length;
  const missing = Object.entries(one.missing).map(([part, why]) => `${words(part).toLowerCase()} (${why})`).join(", ");
  const chart = kept && lines([{ points: kept.time_ms.map((t, i) => [t, kept.price[i]]) }], { label: `Price of ${one.pair}`, show: at, showX: time });
  const interest = kept && lines([{ points: kept.time_ms.map((t, i) => [t, kept.open_interest[i]]), className: "two" }], { height: 110, label: `Open interest of ${one.pair}`, show: (value) => Intl.NumberFormat("en", { notation: "compact" }).format(value), showX: time });
  return el("div", {},
    el("p", {}, el("strong", {}, `${one.pair} on ${venue(one.venue)}: ${number(one.score)}`), ` at ${at(one.price)}, ${refused ? `refused by ${refused} of ${one.verdicts.length} gates` : "every gate passes"}`),
    chart || nothing("No price is kept yet"), closed && leg(one, closed), interest || nothing("No open interest is kept"),
    one.book ? book(one.book, { label: `Order book of ${one.pair}`, show: at }) : nothing("No book was polled of late"),
    missing ? el("p", { class: "warn" }, `Missing: ${missing}`) : null,
    table([["Part", ([name]) => words(name)], ["Points", ([, points]) => number(points)], ["Full", ([name]) => `${number(one.sub_scores[name], 0)} %`]], Object.entries(one.contributions), { caption: "Parts of the score" }),
    el("h3", {}, "Gates"), el("ul", { class: "gates" }, ...one.verdicts.map((verdict) => el("li", { class: verdict.passed ? "" : "down" }, `${verdict.passed ? "✓" : "✗"} ${words(verdict.name)}: ${verdict.reason}`))),
    el("details", {}, el("summary", {}, "Features"), table([["Feature", ([name]) => words(name)], ["Value", ([, value]) => figure(value)]], Object.entries(one.features), { caption: "Features" })));
}

// the closed candles of a pair and what the strategy levels makes of them
export function leg(one, { candles: rows, levels: found }) {
  if (!rows.length) return null;
  const at = (value) => price(value, one.tick_size);
  const plan = found.phase === "none" ? [] : [["entry", found.entry1], ["SL", found.stop], ...found.take_profits.map((target, i) => [`TP ${i + 1}`, target])];
  const marks = plan.map(([name, y]) => ({ y, label: `${name} ${at(y)}` }));
  const where = found.phase === "none" ? "no leg that counts" : `${found.phase} of a leg for a ${found.side.toUpperCase()}, ${number(100 * found.retraced)} % back, score ${number(found.score)}`;
  return el("figure", {}, candles(rows, found, { label: `Candles of ${one.pair}`, show: at, showX: time, marks }), el("figcaption", { class: "soft" }, `Closed candles: ${where}`));
}

export function open(positions, now_ms) {
  if (!positions.length) return nothing("No open signal");
  return table([
    ["Signal", (one) => `#${one.id} ${one.side.toUpperCase()} ${one.coin}`],
    ["Venue", (one) => venue(one.venue), { class: "text wide" }],
    ["Net", (one) => toned(one.net_percent, one.net_percent === null ? "–" : `${signed(one.net_percent)} %`)],
    ["Now", (one) => price(one.price, one.tick_size)],
    ["Entry", (one) => price(one.entry, one.tick_size)],
    ["TP", (one) => one.take_profits.map((target) => price(target, one.tick_size)).join(" / ")],
    ["SL", (one) => price(one.stop, one.tick_size)],
    ["Age", (one) => duration((now_ms - one.decided_ms) / 1000), { class: "wide" }],
  ], positions, { caption: "Open signals with the price at which they could be left now" });
}

export function history(rows, isFiltered) {
  if (!rows.length) return nothing(isFiltered ? "No alert fits" : "No alert yet");
  const made = ({ outcome }) => (outcome === null ? "open" : outcome.reachable === null ? "not known" : toned(outcome.reachable.net_percent, `${signed(outcome.reachable.net_percent)} %`));
  return table([
    ["Alert", ({ signal }) => `#${signal.id}`],
    ["Time", ({ signal }) => time(signal.decided_ms), { class: "text" }],
    ["Strategy", ({ signal }) => signal.strategy, { class: "text wide" }],
    ["Pair", ({ signal }) => `${signal.side.toUpperCase()} ${signal.coin} ${venue(signal.venue)}`, { class: "text" }],
    ["Score", ({ signal }) => number(signal.score)],
    ["Entry", ({ signal }) => price(signal.levels.entry, signal.tick_size), { class: "wide" }],
    ["End", ({ outcome }) => (outcome === null ? "–" : words(outcome.reason)), { class: "text" }],
    ["Net", made],
  ], rows, { caption: "Alerts and what they made from the price a person could reach" });
}

export function misses({ near_misses, refusals }, funnels) {
  const rows = near_misses.slice(0, 12);
  const lists = Object.entries(funnels).map(([strategy, one]) => el("p", { class: "soft" },
    `${strategy}: of ${number(one.eligible, 0)} pairs a tick ${number(one.seen, 0)} have whole data; refused first by ${Object.entries(one.refused).filter(([, n]) => n >= 0.05).sort((a, b) => b[1] - a[1]).slice(0, 6).map(([gate, n]) => `${words(gate).toLowerCase()} ${number(n)}`).join(", ") || "none"}; passed ${number(one.passed, 2)}`));
  const counts = Object.entries(refusals).slice(0, 8).map(([gate, n]) => `${words(gate).toLowerCase()} ${n}`).join(", ");
  return el("div", {},
    rows.length ? table([
      ["Time", ({ near_miss }) => time(near_miss.decided_ms), { class: "text" }],
      ["Coin", ({ near_miss }) => `${near_miss.coin} ${venue(near_miss.venue)}`, { class: "text" }],
      ["Score", ({ near_miss }) => number(near_miss.score)],
      ["Refused by", ({ near_miss }) => near_miss.failed.map((gate) => words(gate).toLowerCase()).join(", "), { class: "text" }],
    ], rows, { caption: "Near misses of the last day" }) : nothing("No near miss in the last day"),
    el("h3", {}, "Refusals of the last day, by gate"), el("p", {}, counts || "none"), el("h3", {}, "Where a usual tick's pairs end"), ...lists);
}

export function equity({ alerts, controls, ended, left_out }) {
  const starts = [alerts, controls].flatMap((curve) => curve.slice(0, 1).map(([at]) => at));
  const fromZero = (curve) => (curve.length ? [[Math.min(...starts), 0], ...curve] : []); // nothing was made before the first
  const chart = lines([{ points: fromZero(alerts) }, { points: fromZero(controls), className: "two" }], { label: `R made by ${ended.alerts} alerts and ${ended.controls} controls`, show: (value) => number(value), showX: time, step: true, height: 220 });
  return el("div", {}, chart || nothing("No alert that anyone could enter has ended yet"),
    el("p", { class: "soft" }, `${count(ended.alerts)} alerts (line), ${count(ended.controls)} draws of chance (dashes), net of costs, from the price a person could reach${left_out ? `; ${left_out} of other settings left out` : ""}`));
}

const spread = (low, high, show) => (low === null ? "" : ` [${show(low)} … ${show(high)}]`);

function records(groups, title, label) {
  const rows = Object.entries(groups);
  if (!rows.length) return nothing("Nothing has ended yet");
  return el("div", {},
    intervals(rows.map(([name, one]) => ({ name, value: one.expectancy_r, low: one.expectancy_r_low, high: one.expectancy_r_high, note: `n ${one.n}` })), { label, unit: "R" }) ?? nothing("Nothing that anyone could enter"),
    table([
      [title, ([name]) => name, { class: "text" }], ["n", ([, one]) => String(one.n)],
      ["Won", ([, one]) => `${percent(one.win_rate)}${spread(one.win_rate_low, one.win_rate_high, percent)}`],
      ["R each", ([, one]) => `${signed(one.expectancy_r)}${spread(one.expectancy_r_low, one.expectancy_r_high, signed)}`],
      ["Chance", ([, one]) => signed(one.chance_expectancy_r), { class: "wide" }],
      ["Verdict", ([, one]) => one.verdict, { class: "text wide" }],
    ], rows, { caption: label }));
}

export const calibration = ({ score_band }) => records(score_band, "Score from", "R an alert made, by score, with intervals of 95 %");

// running: {strategy: what /api/scores says of it}, funnels: those of /api/status
export function strategies({ kind }, running, funnels) {
  return el("div", {},
    table([
      ["Runs now", (one) => one.strategy, { class: "text" }],
      ["Alerts from", (one) => number(one.threshold, 0)],
      ["There now", (one) => String(above(one))],
      ["Pairs", (one) => number(funnels[one.strategy]?.eligible, 0), { class: "wide" }],
      ["Whole data", (one) => number(funnels[one.strategy]?.seen, 0)],
      ["Pass a tick", (one) => number(funnels[one.strategy]?.passed, 2), { class: "wide" }],
    ], Object.values(running), { caption: "The strategies that run: their threshold, how many pairs have it now, and a usual tick" }),
    records(kind, "Strategy", "R an alert made, by strategy, side and version, with intervals of 95 %"));
}

export function control({ total }) {
  if (!total.n && !total.chance_n) return nothing("Nothing has ended yet");
  const rows = [
    { name: "alerts", value: total.expectancy_r, low: total.expectancy_r_low, high: total.expectancy_r_high, note: `n ${total.n}` },
    { name: "chance", value: total.chance_expectancy_r, low: total.chance_expectancy_r_low, high: total.chance_expectancy_r_high, note: `n ${total.chance_n}` },
  ];
  return el("div", {}, intervals(rows, { label: "R an alert made beside R a control made", unit: "R" }) ?? nothing("Nothing that anyone could enter"),
    el("p", {}, `Against chance: ${total.verdict}`, total.difference_r === null ? "" : ` (difference ${signed(total.difference_r)} R${spread(total.difference_r_low, total.difference_r_high, signed)})`));
}
