// The page: asks the API, listens on /ws, and draws each panel anew when its data has come.
import { fitTo } from "./charts.js";
import { el, nothing } from "./dom.js";
import { duration, venue, words } from "./format.js";
import * as panels from "./panels.js";

const SLOW_MS = 30_000; // what changes with an alert only is asked for so often without one
const DAY_MS = 86_400_000;
const OUTCOMES = ["open", "take_profit", "stop_loss", "trailing", "timeout", "btc_pump", "liquidity_flip", "delisted", "not_known", "no_longer_watched"];
const $ = (id) => document.getElementById(id);
const page = { chosen: null, sort: "score", markets: [], positions: [], status: null, isLive: false, slowAt: 0 };

function draw(name, make) {
  const body = document.querySelector(`[data-panel="${name}"] .body`);
  const top = body.scrollTop, active = body.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.dataset.key, place = active ? [...body.querySelectorAll("button")].indexOf(active) : -1;
  let content;
  fitTo(body.clientWidth);
  try { content = make(); } catch (error) { console.error(error); content = nothing(`This cannot be shown: ${error.message}`); }
  body.replaceChildren(content);
  body.scrollTop = top;
  if (key) body.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  else if (place >= 0) body.querySelectorAll("button")[place]?.focus({ preventScroll: true });
}

async function ask(path) {
  const reply = await fetch(path, { headers: { Accept: "application/json" } });
  if (reply.status === 401) location.assign("/login");
  if (!reply.ok) throw new Error(`${path}: HTTP ${reply.status}`);
  return reply.json();
}

const show = (name, path, make) => ask(path).then((found) => draw(name, () => make(found)));
const limit = () => Number($("leaders-limit").value);
// the leaderboard of the leading strategy comes over /ws, another one's is asked for
const byStrategy = () => (page.strategy ? `strategy=${encodeURIComponent(page.strategy)}` : "");
const isHeard = () => page.isLive && limit() <= 100 && !page.strategy;

function drawLeaders() {
  const { scrollTop, clientHeight } = document.querySelector('[data-panel="leaders"] .body');
  draw("leaders", () => panels.leaders(page.markets, {
    find: $("leaders-find").value, only: $("leaders-venue").value, sort: page.sort, chosen: page.chosen, top: scrollTop, height: clientHeight || innerHeight,
    choose: (row) => { page.chosen = { venue: row.venue, id: row.id }; page.isChosenByHand = true; drawLeaders(); attempt(askPair); },
    onsort: sortBy,
  }));
}

function sortBy(sort) {
  page.sort = $("leaders-sort").value = sort;
  document.querySelector('[data-panel="leaders"] .body').scrollTop = 0;
  drawLeaders();
}

function take(markets) {
  page.markets = markets;
  choices("leaders-sort", Object.keys(markets[0]?.contributions ?? {}).map(panels.sortOfPart), (sort) => words(sort.slice(5)).toLowerCase());
  const isFirst = page.chosen === null && markets.length > 0;
  if (!page.isChosenByHand && markets.length) page.chosen = { venue: markets[0].venue, id: markets[0].id };
  drawLeaders();
  if (isFirst) attempt(askPair);
}

const drawOpen = () => draw("open", () => panels.open(page.positions, page.status?.now_ms ?? Date.now()));

async function askPair() {
  if (!page.chosen) { draw("pair", () => nothing("Nothing has been scored yet")); return; }
  const path = `/api/markets/${encodeURIComponent(page.chosen.venue)}/${encodeURIComponent(page.chosen.id)}`;
  const [one, kept, closed] = await Promise.all([ask(`${path}?${byStrategy()}`), ask(`${path}/history`).catch(() => null), askCandles(page.chosen)]);
  draw("pair", () => panels.pair(one, kept, closed));
}

// candles are kept where the strategy levels runs, and of this pair where its venue gives any
async function askCandles({ venue, id }) {
  if (!page.status?.funnels?.levels) return null;
  const key = `${encodeURIComponent(venue)}/${encodeURIComponent(id)}`;
  const found = await Promise.all([ask(`/api/candles/${key}?limit=140`), ask(`/api/levels/${key}`)]).catch(() => null);
  return found && { candles: found[0].candles, levels: found[1] };
}

// a day of this machine's calendar, or the one `later` days after it, as it begins
function midnight(text, later) {
  const [year, month, day] = text.split("-").map(Number);
  return Math.max(0, new Date(year, month - 1, day + later).getTime());
}

async function askHistory() {
  const query = new URLSearchParams({ limit: "100" });
  for (const name of ["symbol", "side", "strategy", "outcome"]) if ($(`history-${name}`).value) query.set(name, $(`history-${name}`).value);
  if ($("history-since").value) query.set("since", midnight($("history-since").value, 0));
  if ($("history-until").value) query.set("until", midnight($("history-until").value, 1));
  await show("history", `/api/signals?${query}`, ({ signals }) => panels.history(signals, query.size > 1));
}

function note(status, problems) {
  page.status = status;
  $("version").textContent = status.version;
  $("dot").className = `dot ${problems.length ? "bad" : status.notes.length ? "warn" : "ok"}`;
  const paused = status.paused_until_ms !== null && status.paused_until_ms > status.now_ms;
  $("state").textContent = `${problems.length ? problems.join("; ") : paused ? "Paused" : "Watching"} · ${status.ticks} ticks, up ${duration((status.now_ms - status.started_ms) / 1000)} · ${page.isLive ? "live" : "polling"}`;
  choices("leaders-venue", status.venues.map((one) => one.venue), venue);
  const strategies = Object.keys(status.funnels);
  choices("history-strategy", strategies, (name) => name);
  choices("strategy", strategies, (name) => name);
  $("strategy-label").hidden = strategies.length < 2;
}

function choices(id, names, label) {
  const select = $(id);
  for (const name of names) if (![...select.options].some((option) => option.value === name)) select.append(el("option", { value: name }, label(name)));
}

async function refresh() {
  const found = await ask("/api/status");
  note(found.status, found.problems);
  draw("status", () => panels.status(found));
  const jobs = [show("scores", `/api/scores?${byStrategy()}`, panels.scores)];
  const isFirst = !page.markets.length; // the next tick may be long in coming
  if (isFirst || !isHeard()) jobs.push(ask(`/api/markets?limit=${limit()}&${byStrategy()}`).then(({ markets }) => take(markets)));
  if (isFirst || !page.isLive) jobs.push(ask("/api/positions").then(({ positions }) => { page.positions = positions; drawOpen(); }));
  await Promise.all(jobs);
  await askPair();
  if (Date.now() >= page.slowAt) await refreshSlowly();
}

async function refreshSlowly() {
  page.slowAt = Date.now() + SLOW_MS;
  const since = (page.status?.now_ms ?? Date.now()) - DAY_MS;
  await Promise.all([
    askHistory(),
    show("misses", `/api/near_misses?since=${since}&limit=50`, (found) => panels.misses(found, page.status?.funnels ?? {})),
    show("equity", "/api/equity?days=90", panels.equity),
    Promise.all([ask("/api/stats"), askStrategies()]).then(([found, running]) => {
      for (const name of ["calibration", "control"]) draw(name, () => panels[name](found));
      draw("strategies", () => panels.strategies(found, running, page.status?.funnels ?? {}));
    }),
  ]);
}

async function askStrategies() {
  const names = Object.keys(page.status?.funnels ?? {});
  return Promise.all(names.map((name) => ask(`/api/scores?strategy=${encodeURIComponent(name)}`)));
}

async function attempt(work) {
  try { await work(); } catch (error) {
    $("dot").className = "dot bad";
    $("state").textContent = `The bot does not answer (${error.message}); it is asked again`;
  }
}

async function loop() {
  for (;;) {
    if (!document.hidden) await attempt(refresh);
    await new Promise((resolve) => { page.wake = resolve; setTimeout(resolve, 1000 * Number($("refresh").value)); });
  }
}

function announce(words) {
  page.news = [words, ...(page.news ?? [])].slice(0, 3);
  $("news").replaceChildren(...page.news.map((line) => el("span", {}, line)));
  $("news").hidden = false;
  clearTimeout(page.newsTimer);
  page.newsTimer = setTimeout(() => { $("news").hidden = true; page.news = []; }, 20_000);
}

const HEARD = {
  leaderboard: ({ markets }) => { if (isHeard()) take(markets); },
  position: ({ positions }) => { page.positions = positions; drawOpen(); },
  heartbeat: () => {},
  venue: () => page.wake?.(),
  signal: ({ signal }) => { announce(`${signal.side.toUpperCase()} ${signal.coin} on ${venue(signal.venue)}, score ${signal.score.toFixed(1)}`); attempt(refreshSlowly); },
  exit: ({ signal, outcome }) => { announce(`#${signal.id} ${signal.coin}: ${outcome.reason.replaceAll("_", " ")}`); attempt(refreshSlowly); },
};

function listen(failures = 0) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  let began = failures;
  const tell = () => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ refresh_s: Number($("refresh").value) }));
  socket.addEventListener("open", () => { page.isLive = true; began = 0; tell(); });
  socket.addEventListener("message", (event) => { const { type, data } = JSON.parse(event.data); HEARD[type]?.(data); });
  socket.addEventListener("close", () => { page.isLive = false; setTimeout(() => listen(began + 1), Math.min(30, 2 ** began) * 1000); });
  $("refresh").onchange = () => { tell(); localStorage.setItem("refresh", $("refresh").value); page.wake?.(); };
}

function dress(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "light" ? "Dark" : "Light";
}

$("theme").addEventListener("click", () => { const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light"; localStorage.setItem("theme", theme); dress(theme); });
dress(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));
if (localStorage.getItem("refresh")) $("refresh").value = localStorage.getItem("refresh");
$("leaders-find").addEventListener("input", drawLeaders);
$("leaders-venue").addEventListener("change", drawLeaders);
$("leaders-limit").addEventListener("change", () => page.wake?.());
$("leaders-sort").addEventListener("change", () => sortBy($("leaders-sort").value));
$("strategy").addEventListener("change", () => {
  page.strategy = $("strategy").selectedIndex > 0 ? $("strategy").value : "";
  for (const option of [...$("leaders-sort").options]) if (option.value.startsWith("part:")) option.remove();
  page.sort = $("leaders-sort").value = "score";
  page.markets = [];
  page.wake?.();
});
for (const name of ["symbol", "side", "strategy", "outcome", "since", "until"]) $(`history-${name}`).addEventListener("change", () => attempt(askHistory));
let isDrawing = false;
document.querySelector('[data-panel="leaders"] .body').addEventListener("scroll", () => {
  if (isDrawing || page.markets.length <= 200) return;
  isDrawing = true;
  requestAnimationFrame(() => { drawLeaders(); isDrawing = false; });
}, { passive: true });
choices("history-outcome", OUTCOMES, (name) => words(name).toLowerCase());
$("logout").hidden = !document.cookie.includes("sgnl_page=1");
for (const panel of document.querySelectorAll("[data-panel]")) draw(panel.dataset.panel, () => nothing("Loading"));
listen();
loop();
