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
  if (amount > 0 && amount < 0.1) return `${value < 0 ? MINUS : ""}${amount < 1e-4 ? amount.toExponential(1) : Number(amount.toPrecision(2))}`;
  const decimals = amount === 0 || Number.isInteger(value) ? 0 : Math.max(0, Math.min(3, digits - 1 - Math.floor(Math.log10(amount))));
  const text = amount.toLocaleString("en", { maximumFractionDigits: Math.min(decimals, amount >= 10 ? 1 : 2) });
  return value < 0 && text !== "0" ? MINUS + text : text;
}

/**
 * @param {number | null | undefined} bps
 * @returns {string}
 */
export function rate(bps) {
  if (bps === null || bps === undefined) return "–";
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  let unit = 0;
  let amount = bps;
  while (amount >= 1000 && unit < 3) {
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
 * @param {number} time_us
 * @param {boolean} [seconds]
 * @returns {string}
 */
export function clock(time_us, seconds = true) {
  return new Date(time_us / 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
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
