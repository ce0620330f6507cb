// What the page says of a state, in words: of the site, of the agent and its way to the API, and of one device. Computes no value.

import { clock, duration, number, plural, took } from "./format.js";

/** @typedef {{id: string, kind: string, label: string, unit: string, states: Record<string, string>, value: (number | null)[]}} Item */
/** @typedef {{id: string, name: string, address: string, snmp: string, interval_s: number, state: string, reason: string, newest_us: number, restarted_us: number, response_ms: number | null, ping: {sent: number, received: number, rtt_ms: number | null} | null, items: Item[], spark: [number, number | null][], spark_gap_us: number}} Device */
/** @typedef {{id: string, group: string, label: string, explanation: string, momentary: boolean, on: boolean, note: string}} Switch */
/** @typedef {{barred: string, asked_us: number, status: number | null, took_ms: number, failed: number, failed_since_us: number}} Api */
/** @typedef {{at_us: number, metrics: number, size_octets: number, late: number, oldest_s: number, key: string}} Arrival */
/** @typedef {{now_us: number, title: string, about: string, heartbeat: {version: string, hostname: string, heard_us: number} | null, api: Api, metrics: number, batches: number, repeats: number, late: number, gaps: number, expected_per_s: number, device_count: number, arrivals: Arrival[], devices: Device[], switches: Switch[]}} State */
/** @typedef {{figure: string, kind: string, note: string}} Tile  `kind`: "", "bad", "warn" or "stale". */

const QUIET_S = 40; // batches come every 30 s: after this long without one, values are waiting at the agent
const SILENT_S = 95; // a heartbeat comes each 60 s
const SLOW_MS = 1000;

/**
 * Seconds since then.
 * @param {number} then_us
 * @param {number} now_us
 */
const since = (then_us, now_us) => (now_us - then_us) / 1e6;

/**
 * Whether what is shown is only the last that is known: nothing arrives, or nothing has for too long. 0: it is current; else as of when.
 * @param {State} state
 * @param {number} now_us
 * @returns {number}
 */
export function lastKnown(state, now_us) {
  const last = state.arrivals[state.arrivals.length - 1];
  if (!last) return 0;
  return state.api.barred || since(last.at_us, now_us) > QUIET_S ? last.at_us : 0;
}

/** @type {Record<string, string>} */
const WORDS = { up: "Up", down: "Down", degraded: "Degraded", unknown: "Unknown" };

/**
 * @param {string} state
 * @param {number} asOf_us
 */
export function stateWord(state, asOf_us) {
  const word = WORDS[state] ?? state;
  return asOf_us && state !== "unknown" ? `Was ${word.toLowerCase()}` : word;
}

/**
 * The line below a device's values: why they are old, or what else is to be known of it; "" for nothing.
 * @param {Device} device
 * @param {number} asOf_us
 * @param {number} now_us
 */
export function deviceNote(device, asOf_us, now_us) {
  const newest = device.newest_us ? `last value ${clock(device.newest_us)}` : "";
  if (asOf_us) return device.newest_us ? `last known, ${duration(since(device.newest_us, now_us))} old` : "";
  if (device.state === "down") return [device.reason, newest].filter(Boolean).join("; ");
  if (device.state !== "up") return device.reason;
  return device.restarted_us ? `restarted at ${clock(device.restarted_us)}` : "";
}

/**
 * The sentence at the head of a device's charts; "" for nothing.
 * @param {Device} device
 * @param {number} asOf_us
 * @param {number} now_us
 */
export function deviceReason(device, asOf_us, now_us) {
  if (asOf_us) return `Last known at ${clock(asOf_us)}, ${duration(since(asOf_us, now_us))} ago: nothing has arrived since.`;
  const note = deviceNote(device, 0, now_us);
  if (!note) return "";
  const sentence = note[0].toUpperCase() + note.slice(1);
  return device.state === "up" ? `${sentence}, ${duration(since(device.restarted_us, now_us))} ago: its counters began at zero.` : `${sentence}.`;
}

/**
 * @param {Device} device
 */
export function deviceMeta(device) {
  const parts = [device.address, `SNMP ${device.snmp}`, `polled every ${number(device.interval_s)} s`];
  if (device.response_ms !== null) parts.push(`answers in ${took(device.response_ms)}`);
  if (device.ping) parts.push(`${device.ping.received} of ${device.ping.sent} pings came back${device.ping.rtt_ms === null ? "" : ` in ${took(device.ping.rtt_ms)}`}`);
  return parts.join(", ");
}

/**
 * @param {State} state
 * @param {number} now_us
 * @returns {Record<string, Tile>}
 */
export function tiles(state, now_us) {
  const asOf_us = lastKnown(state, now_us);
  return { devices: devicesTile(state, asOf_us, now_us), agent: agentTile(state, now_us), api: apiTile(state, now_us), batch: batchTile(state, now_us), backlog: backlogTile(state, now_us) };
}

/**
 * @param {State} state
 * @param {number} asOf_us
 * @param {number} now_us
 * @returns {Tile}
 */
function devicesTile(state, asOf_us, now_us) {
  const count = state.devices.length;
  if (!count) return { figure: "None yet", kind: "", note: "the configuration lists no equipment" };
  const failing = state.devices.filter((device) => device.state !== "up");
  const figure = `${count - failing.length} of ${count} up`;
  if (asOf_us) return { figure, kind: "stale", note: `last known at ${clock(asOf_us)}, ${duration(since(asOf_us, now_us))} ago` };
  const names = failing.slice(0, 3).map((device) => device.name).join(", ");
  const more = state.device_count - count;
  const note = failing.length ? `${names}${failing.length > 3 ? ", …" : ""}: ${failing.length > 1 ? "look below" : stateWord(failing[0].state, 0).toLowerCase()}` : more > 0 ? `${plural(more, "more device")} not shown` : "each answers as it should";
  return { figure, kind: failing.some((device) => device.state === "down") ? "bad" : "", note };
}

/**
 * @param {State} state
 * @param {number} now_us
 * @returns {Tile}
 */
function agentTile(state, now_us) {
  const beat = state.heartbeat;
  const heard_us = Math.max(beat?.heard_us ?? 0, state.api.asked_us);
  if (!heard_us) return { figure: "Not heard yet", kind: "", note: "it sends a heartbeat each minute" };
  const alive = since(heard_us, now_us) < SILENT_S;
  const note = beat ? `heartbeat ${duration(since(beat.heard_us, now_us))} ago, version ${beat.version} on ${beat.hostname}` : `asked ${duration(since(heard_us, now_us))} ago`;
  return { figure: alive ? "Alive" : "Silent", kind: alive ? "" : "bad", note };
}

/**
 * @param {State} state
 * @param {number} now_us
 * @returns {Tile}
 */
function apiTile(state, now_us) {
  const api = state.api;
  const ago = `${duration(since(api.asked_us, now_us))} ago`;
  const times = api.failed ? `the agent has asked ${plural(api.failed, "time")} since ${clock(api.failed_since_us)}, last ${ago}` : "the agent has not asked since";
  if (api.barred === "cut") return { figure: "Cut off", kind: "bad", note: times };
  if (api.barred === "refused") return { figure: "Token refused", kind: "bad", note: times };
  if (api.barred) return { figure: "Failing", kind: "bad", note: times };
  if (!api.asked_us) return { figure: "Waiting", kind: "", note: "nobody has asked yet" };
  if (api.failed) return { figure: "Open again", kind: "warn", note: `the agent asks again within a minute; last ${ago}` };
  const slow = api.took_ms >= SLOW_MS;
  return { figure: slow ? `Slow: ${took(api.took_ms)}` : took(api.took_ms), kind: slow ? "warn" : "", note: `until its answer to the last request, ${ago}` };
}

/**
 * @param {State} state
 * @param {number} now_us
 * @returns {Tile}
 */
function batchTile(state, now_us) {
  const last = state.arrivals[state.arrivals.length - 1];
  if (!last) return { figure: "None yet", kind: "", note: "the first comes at once" };
  const quiet_s = since(last.at_us, now_us);
  return { figure: `${duration(quiet_s)} ago`, kind: quiet_s > QUIET_S ? "warn" : "", note: `${plural(last.metrics, "value")}; ${plural(state.metrics, "value")} in all` };
}

/**
 * @param {State} state
 * @param {number} now_us
 * @returns {Tile}
 */
function backlogTile(state, now_us) {
  const last = state.arrivals[state.arrivals.length - 1];
  if (!last) return { figure: "–", kind: "", note: "nothing has arrived" };
  const quiet_s = since(last.at_us, now_us);
  if (state.api.barred || quiet_s > QUIET_S) return { figure: `≈ ${number(Math.round(quiet_s * state.expected_per_s))} values`, kind: "warn", note: "kept by the agent until they can be delivered" };
  if (last.late > 0) return { figure: "Draining", kind: "warn", note: `values up to ${duration(last.oldest_s)} old came with the last batch` };
  return { figure: "None", kind: "", note: state.late ? `${plural(state.late, "value")} came late; ${state.gaps ? plural(state.gaps, "gap") : "no gap"} in the charts` : "all values come in time" };
}
