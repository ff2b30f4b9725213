// Figures in words. A price has as many decimals as its venue's tick, as scoring/prices.py prints it.
export const VENUES = { lbank: "LBank", binance: "Binance", mexc: "MEXC", bybit: "Bybit" };
export const venue = (id) => VENUES[id] ?? id;
export const words = (name) => { const text = name.replaceAll("_", " "); return text[0].toUpperCase() + text.slice(1); };

function decimals(tick) {
  const [digits, exponent = "0"] = String(tick).split("e");
  const fraction = (digits.split(".")[1] ?? "").length;
  return Math.min(100, Math.max(0, fraction - Number(exponent)));
}

export const price = (value, tick) => (value === null || value === undefined ? "–" : value.toFixed(decimals(tick)));
export const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));
export const signed = (value, digits = 2) => (value === null || value === undefined ? "–" : `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(digits)}`);
export const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(0)} %`);
// five digits or ten decimals, never an exponent
export const figure = (value) => (value === null ? "–" : Math.abs(value) < 1e-4 ? value.toFixed(10).replace(/\.?0+$/, "") : Number(value.toPrecision(5)).toString());
export const count = (value) => value.toLocaleString("en");

// day and minute; of a stretch of less than ten minutes its seconds
export function time(ms, stretch_ms = Infinity) {
  const one = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  if (stretch_ms < 600_000) return `${two(one.getHours())}:${two(one.getMinutes())}:${two(one.getSeconds())}`;
  return `${two(one.getMonth() + 1)}-${two(one.getDate())} ${two(one.getHours())}:${two(one.getMinutes())}`;
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min` : `${Math.floor(seconds / 86400)} d`;
}
