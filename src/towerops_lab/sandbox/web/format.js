// Numbers and times for people. Times come in microseconds since 1970 (_us).

const MINUS = "\u2212";

export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const decimals = size === 0 || Number.isInteger(value) ? 0 : Math.max(0, Math.min(3, digits - 1 - Math.floor(Math.log10(size))));
  const text = size.toLocaleString("en", { maximumFractionDigits: Math.min(decimals, size >= 10 ? 1 : 2) });
  return value < 0 && text !== "0" ? MINUS + text : text;
}

export function rate(bps) {
  if (bps === null || bps === undefined) return "–";
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  let unit = 0;
  while (bps >= 1000 && unit < 3) {
    bps /= 1000;
    unit += 1;
  }
  return `${bps >= 100 || unit === 0 ? Math.round(bps) : bps.toFixed(bps >= 10 ? 1 : 2)} ${units[unit]}`;
}

export function quantity(value, unit) {
  if (unit === "bit/s") return rate(value);
  const shown = number(value);
  return unit && shown !== "–" ? `${shown} ${unit}` : shown;
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function clock(time_us, seconds = true) {
  return new Date(time_us / 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
}

export function size(octets) {
  return octets < 1000 ? `${octets} B` : `${(octets / 1000).toFixed(octets < 100000 ? 1 : 0)} kB`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
