// Numbers and times for people. Times come in microseconds since 1970 (_us).

const MINUS = "\u2212";

/**
 * @param {number | null | undefined} value
 * @param {number} [digits]
 * @returns {string}
 */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const amount = Math.abs(value);
  if (amount > Number.MAX_SAFE_INTEGER) return `${value < 0 ? MINUS : ""}${scientific(amount)}`; // its last digits are nobody's
  if (amount > 0 && amount < 0.1) return `${value < 0 ? MINUS : ""}${amount < 1e-4 ? amount.toExponential(1) : Number(amount.toPrecision(2))}`;
  const decimals = amount === 0 || Number.isInteger(value) ? 0 : Math.max(0, Math.min(3, digits - 1 - Math.floor(Math.log10(amount))));
  const text = amount.toLocaleString("en", { maximumFractionDigits: Math.min(decimals, amount >= 10 ? 1 : 2) });
  return value < 0 && text !== "0" ? MINUS + text : text;
}

/**
 * Twelve digits at most, and a power of ten.
 * @param {number} amount
 * @returns {string}
 */
function scientific(amount) {
  return Number(amount.toPrecision(12)).toExponential().replace("+", "");
}

/**
 * @param {number | null | undefined} bps
 * @returns {string}
 */
export function rate(bps) {
  if (bps === null || bps === undefined) return "–";
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s", "Ebit/s"];
  let unit = 0;
  let amount = bps;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${amount >= 100 || unit === 0 ? Math.round(amount) : amount.toFixed(amount >= 10 ? 1 : 2)} ${units[unit]}`;
}

/**
 * A rate on an axis: without the unit, which the readout has.
 * @param {number} bps
 * @returns {string}
 */
export function shortRate(bps) {
  return bps === 0 ? "0" : rate(bps).replace("bit/s", "").replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ").replace(" ", "\u202f");
}

/**
 * The numbers of an axis, at a like distance from each other: each with all its digits, with k, M, G … if they are many.
 * @param {number[]} ticks
 * @param {string} unit
 * @returns {string[]}
 */
export function axisTexts(ticks, unit) {
  if (unit === "bit/s") return ticks.map(shortRate);
  const plain = withDigits(ticks, 1, "");
  if (plain.every((text) => text.length <= 7)) return plain;
  const most = Math.max(...ticks.map(Math.abs));
  if (most < 1000 || most >= 1e21) return ticks.map((tick) => (tick < 0 ? MINUS : "") + (tick ? scientific(Math.abs(tick)) : "0"));
  const thousands = Math.min(6, Math.floor(Math.log10(most) / 3));
  return withDigits(ticks, 1000 ** thousands, `\u202f${" kMGTPE"[thousands]}`);
}

/**
 * @param {number[]} ticks
 * @param {number} one
 * @param {string} suffix
 * @returns {string[]}
 */
function withDigits(ticks, one, suffix) {
  const step = (ticks[1] - ticks[0]) / one;
  let digits = 0;
  while (digits < 12 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > step * 10 ** digits * 1e-6) digits += 1;
  return ticks.map((tick) => {
    const text = Math.abs(tick / one).toLocaleString("en", { maximumFractionDigits: digits });
    return text === "0" ? text : (tick < 0 ? MINUS : "") + text + suffix;
  });
}

/**
 * @param {number | null | undefined} value
 * @param {string} unit
 * @returns {string}
 */
export function quantity(value, unit) {
  if (unit === "bit/s") return rate(value);
  const shown = number(value);
  return unit && shown !== "–" ? `${shown} ${unit}` : shown;
}

/**
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/**
 * How long a request took.
 * @param {number} ms
 * @returns {string}
 */
export function took(ms) {
  return ms < 1000 ? `${number(ms, ms < 10 ? 2 : 3)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * A time by this browser's clock; with its offset if that is not today's, as an hour is there twice when summer time ends.
 * @param {number} time_us
 * @param {boolean} [seconds]
 * @returns {string}
 */
export function clock(time_us, seconds = true) {
  const then = new Date(time_us / 1000);
  const text = then.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
  return offset(then) === offset(new Date()) ? text : text + offset(then);
}

/**
 * How far this browser's clock is ahead of UTC at that moment: +02:00.
 * @param {Date} then
 * @returns {string}
 */
function offset(then) {
  const minutes = Math.abs(then.getTimezoneOffset());
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, "0"));
  return `${then.getTimezoneOffset() > 0 ? MINUS : "+"}${hours}:${rest}`;
}

/**
 * By which clock all times are: the agent's log has UTC, and whoever reads a file may be elsewhere.
 * @returns {string}
 */
export function zone() {
  return `Times are by this browser's clock, ${Intl.DateTimeFormat().resolvedOptions().timeZone}, UTC${offset(new Date())}.`;
}

/**
 * @param {number} octets
 * @returns {string}
 */
export function size(octets) {
  return octets < 1000 ? `${octets} B` : `${(octets / 1000).toFixed(octets < 100000 ? 1 : 0)} kB`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 * @returns {string}
 */
export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
