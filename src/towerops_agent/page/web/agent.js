// The agent's page: its site over the last hours, served by `towerops-agent page`, or out of the file that holds this script.

import { columnChart, pointsOf, strip, stripAxis } from "./columns.js";
import { html } from "./draw.js";
import { clock, duration, plural, zone } from "./format.js";

/** @typedef {import("./columns.js").Stretch} Stretch */
/** @typedef {{id: string, name: string, address: string, meta: string, state: string, reason: string, since_us: number | null, newest_us: number}} Device */
/** @typedef {{at_us: number, text: string, kind: string, device: string}} Happening */
/** @typedef {{now_us: number, as_of_us: number, title: string, about: string, runs: boolean, notes: string[], tiles: Record<string, {figure: string, kind: string, note: string}>, devices: Device[], agent: Stretch[], api: Stretch[], events: Happening[]}} Overview */
/** @typedef {{device: string, hours: number, from_us: number, to_us: number, columns: number, gap_us: number, states: Stretch[], pending: [number, number][], restarts: number[], charts: import("./columns.js").Columns[], silent: string[]}} View */

const AGAIN_MS = 15_000;
const ANSWER_MS = 60_000; // longer than the largest site takes: a tunnel that is cut never answers, and never fails
const OLD_US = 5e6; // an answer that is older says so: of a large device one serves for a while
const MOST_CARDS = 200; // in the list at once: the filter finds the others
const ORDER = ["down", "degraded", "unknown", "up"];

/** @param {string} id */
function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found;
}

/** What the file holds; null: the page is served. */
const kept = /** @type {{overview: Overview, devices: Record<string, string>} | null} */ (JSON.parse($("data").textContent || "null"));
const narrow = matchMedia("(max-width: 900px)");

/** @type {Overview | null} */
let site = null;
/** @type {string | null} */
let chosen = null;
let hours = 24;
/** @type {View | null} */
let view = null;
/** Whose charts are shown, or why there are none. @type {string | null} */
let charted = null;
/** @type {import("./chart.js").Chart[]} */
let drawn = [];
/** @type {Map<string, HTMLAnchorElement>} */
let cards = new Map();

/**
 * @template T
 * @param {string} url
 * @returns {Promise<T>}
 */
async function ask(url) {
  const giving = new AbortController();
  const late = setTimeout(() => giving.abort(), ANSWER_MS);
  try {
    const answer = await fetch(url, { signal: giving.signal });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error);
    return body;
  } catch (error) {
    if (giving.signal.aborted || error instanceof TypeError) throw new Error("`towerops-agent page` does not answer", { cause: error });
    throw error;
  } finally {
    clearTimeout(late);
  }
}

/** @returns {Promise<Overview>} */
async function readSite() {
  return kept ? kept.overview : ask("site.json");
}

/**
 * @param {string} id
 * @returns {Promise<View>}
 */
async function readDevice(id) {
  if (!kept) return ask(`device.json?id=${encodeURIComponent(id)}&hours=${hours}`);
  const packed = kept.devices[id];
  if (!packed) throw new Error("this file has no charts of this device: it has those of the devices with problems first");
  const octets = Uint8Array.from(atob(packed), (each) => each.charCodeAt(0));
  const plain = new Blob([octets]).stream().pipeThrough(new DecompressionStream("gzip"));
  const views = /** @type {View[]} */ (await new Response(plain).json());
  return views.find((each) => each.hours === hours) ?? views[0];
}

/** @param {string} text */
function notice(text) {
  if ($("notice").textContent === text) return;
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

async function refresh() {
  try {
    site = await readSite();
    notice("");
  } catch (error) {
    notice(`Nothing new can be shown: ${/** @type {Error} */ (error).message}. Trying again …`);
    return;
  }
  drawSite();
  await showDevice();
}

function drawSite() {
  if (!site) return;
  const { as_of_us } = site;
  document.title = `${site.title} · Towerops agent`;
  $("title").textContent = site.title;
  $("about").textContent = `${site.about} ${site.runs ? "As of" : "Up to"} ${dated(as_of_us)}.`;
  $("notes").replaceChildren(...site.notes.map((text) => html("li", { textContent: text })));
  $("notes").hidden = !site.notes.length;
  for (const [name, tile] of Object.entries(site.tiles)) {
    $(`tile-${name}`).textContent = tile.figure;
    $(`tile-${name}`).className = `figure ${tile.kind}`;
    $(`tile-${name}-note`).textContent = tile.note;
  }
  const from_us = as_of_us - 24 * 3600e6;
  $("day").replaceChildren(strip("Agent", site.agent, from_us, as_of_us), strip("API", site.api, from_us, as_of_us), stripAxis(from_us, as_of_us));
  drawList();
  drawEvents();
  $("footer").textContent = `${zone()} ${kept ? `Written by towerops-agent page at ${dated(site.now_us)}. This file asks nobody for anything.` : "Read from the agent's database on the machine that serves this page, which asks nobody else for anything."}`;
}

function drawList() {
  if (!site) return;
  const wanted = /** @type {HTMLInputElement} */ ($("filter")).value.trim().toLowerCase();
  const found = site.devices
    .filter((device) => [device.name, device.id, device.address, device.state, device.reason].some((text) => text.toLowerCase().includes(wanted)))
    .map((device, i) => ({ device, i }))
    .sort((a, b) => ORDER.indexOf(a.device.state) - ORDER.indexOf(b.device.state) || a.i - b.i)
    .map(({ device }) => device);
  const shown = found.slice(0, MOST_CARDS);
  if (!site.devices.some((device) => device.id === chosen)) chosen = fromAddress() ?? shown[0]?.id ?? null;
  if ($("devices").contains($("detail"))) $("split").append($("detail"));
  const focused = document.activeElement?.getAttribute("data-device"), scrolled = $("devices").scrollTop;
  cards = new Map(shown.map((device) => [device.id, card(device)]));
  $("devices").replaceChildren(...[...cards.values()].map((link) => html("li", {}, link)));
  $("devices").scrollTop = scrolled;
  if (focused) cards.get(focused)?.focus({ preventScroll: true });
  $("filter-note").textContent = wanted || found.length > shown.length ? `${plural(found.length, "device")}${wanted ? " found" : ""}${found.length > shown.length ? `, ${shown.length} shown` : ""}` : "";
  mark();
}

/** @param {Device} device */
function card(device) {
  const was = site && !site.runs && device.state !== "unknown" ? "was " : "";
  const head = html("span", { className: "row" }, html("span", { className: "name", textContent: device.name }), html("span", { className: `state ${was ? "unknown" : device.state}`, textContent: capital(was + device.state) }));
  const why = [device.reason, device.since_us && device.state !== "up" ? `since ${dated(device.since_us)}` : ""].filter(Boolean).join(", ");
  const link = html("a", { className: "device", href: `#${encodeURIComponent(device.id)}` }, head, html("span", { className: "what", textContent: device.address }), html("span", { className: `why ${device.state}`, textContent: why }));
  link.dataset.device = device.id;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    choose(device.id);
    $("detail").focus({ preventScroll: true });
    if (narrow.matches) link.scrollIntoView();
  });
  return link;
}

/** Mark the chosen device in the list; on a narrow screen its charts are below it. */
function mark() {
  for (const [id, link] of cards) {
    if (id === chosen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  const holder = (narrow.matches && chosen !== null && cards.get(chosen)?.parentElement) || $("split");
  if ($("detail").parentElement !== holder) holder.append($("detail"));
}

/** @param {string} id */
function choose(id) {
  chosen = id;
  mark();
  showDevice();
}

/**
 * No charts, and why.
 * @param {string | null} id
 * @param {string} why
 */
function uncharted(id, why) {
  charted = id;
  view = null;
  drawn = [];
  $("strips").replaceChildren();
  $("charts").replaceChildren(html("p", { className: "meta", textContent: why }));
  $("legend").hidden = true;
  $("silent").hidden = true;
  $("age").hidden = true;
}

async function showDevice() {
  const device = site?.devices.find((each) => each.id === chosen);
  if (!device) {
    uncharted(null, "");
    $("detail-title").textContent = "No device yet";
    $("detail-meta").textContent = "";
    $("detail-state").hidden = true;
    $("detail-reason").hidden = true;
    return;
  }
  if (charted !== device.id) uncharted(device.id, "Reading …");
  $("detail-title").textContent = device.name;
  $("detail-meta").textContent = [device.address, device.meta, device.newest_us ? `last read ${dated(device.newest_us)}` : "never read"].filter(Boolean).join(", ");
  $("detail-state").hidden = false;
  $("detail-state").textContent = capital(`${site && !site.runs && device.state !== "unknown" ? "was " : ""}${device.state}`);
  $("detail-state").className = `state ${site?.runs ? device.state : "unknown"}`;
  const since = device.since_us && site ? `${device.state} since ${dated(device.since_us)}, for ${duration((site.as_of_us - device.since_us) / 1e6)}` : "";
  const reason = [device.reason, since].filter(Boolean).join("; ");
  $("detail-reason").textContent = reason ? `${capital(reason)}.` : "";
  $("detail-reason").className = `reason ${device.state}`;
  $("detail-reason").hidden = !reason;
  for (const button of $("spans").querySelectorAll("button")) button.setAttribute("aria-pressed", String(Number(button.dataset.hours) === hours));
  const asked = hours;
  try {
    const read = await readDevice(device.id);
    if (device.id !== chosen || asked !== hours) return;
    $("age").textContent = site && site.as_of_us - read.to_us > OLD_US ? `Charts as of ${dated(read.to_us)}.` : "";
    $("age").hidden = !$("age").textContent;
    if (view && site?.runs && view.to_us === read.to_us && view.hours === read.hours && view.device === read.device) return; // the same
    view = read;
  } catch (error) {
    if (device.id === chosen && asked === hours) uncharted(device.id, `No charts: ${/** @type {Error} */ (error).message}.`);
    return;
  }
  drawView();
}

function drawView() {
  if (!view) return;
  const { from_us, to_us, columns, gap_us } = view;
  /** @type {Stretch[]} */
  const waiting = [];
  let at_us = from_us;
  for (const [from, to] of view.pending) {
    waiting.push([at_us, from, "delivered", ""], [from, to, "waits", ""]);
    at_us = to;
  }
  waiting.push([at_us, to_us, "delivered", ""]);
  $("strips").replaceChildren(strip("State", view.states, from_us, to_us), ...(view.pending.length ? [strip("Delivery", waiting, from_us, to_us)] : []), stripAxis(from_us, to_us));
  const span = { from_us, to_us, restarted_us: 0, restarts: view.restarts };
  const focused = document.activeElement?.closest?.(".chart")?.getAttribute("data-item");
  drawn = view.charts.map(columnChart);
  $("charts").replaceChildren(...drawn.map((chart) => chart.element));
  const seen = { spread: false, gap: false, wait: view.pending.length > 0 };
  drawn.forEach((chart, i) => {
    const item = /** @type {View} */ (view).charts[i];
    const points = pointsOf(item, from_us, to_us, columns);
    const longest_us = (item.gap_us ?? gap_us) + (to_us - from_us) / columns;
    const ended = points.length > 0 && to_us - points[points.length - 1][0] > longest_us;
    chart.update({ ...span, gap_us: longest_us, ending: ended ? "gapband" : "" }, points);
    seen.spread ||= points.some((point) => point[3]?.some((value, line) => value !== point[1][line]));
    seen.gap ||= ended || points.some((point, at) => at > 0 && point[0] - points[at - 1][0] > longest_us);
    if (chart.item.id === focused) chart.svg.focus();
  });
  if (!drawn.length) $("charts").replaceChildren(html("p", { className: "meta", textContent: "Nothing was read from this device in this time." }));
  for (const [name, there] of Object.entries(seen)) $(`legend-${name}`).hidden = !there;
  $("legend").hidden = !Object.values(seen).some(Boolean);
  $("silent").textContent = view.silent.length ? `In 24 hours nothing was read of: ${view.silent.join(", ")}.` : "";
  $("silent").hidden = !view.silent.length;
}

function drawEvents() {
  if (!site) return;
  $("events-meta").textContent = site.events.length ? `the latest ${site.events.length}` : "nothing in the last two days";
  $("events").replaceChildren(...site.events.map((event) => html("tr", { className: event.kind }, html("td", { textContent: dated(event.at_us) }), html("td", {}, event.device && cards.has(event.device) ? html("a", { href: `#${encodeURIComponent(event.device)}`, textContent: event.text }) : event.text))));
}

/**
 * A moment of this browser's clock, with the day if it is not today's.
 * @param {number} time_us
 */
function dated(time_us) {
  const then = new Date(time_us / 1000);
  const day = then.toDateString() === new Date().toDateString() ? "" : `${then.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} `;
  return day + clock(time_us);
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function fromAddress() {
  let id = "";
  try {
    id = decodeURIComponent(location.hash.slice(1));
  } catch { /* not an id of ours */ }
  return site?.devices.some((device) => device.id === id) ? id : null;
}

addEventListener("hashchange", () => {
  const id = fromAddress();
  if (id !== null && id !== chosen) choose(id);
});
$("filter").addEventListener("input", drawList);
for (const button of $("spans").querySelectorAll("button")) {
  button.addEventListener("click", () => {
    hours = Number(button.dataset.hours);
    showDevice();
  });
}
/** @type {ReturnType<typeof setTimeout> | undefined} */
let resized;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => {
    for (const chart of drawn) chart.draw();
  }, 120);
});
narrow.addEventListener("change", mark);
// The next round begins once this one has ended: a slow server is asked one thing at a time.
async function follow() {
  try {
    await refresh();
  } finally {
    if (!kept) setTimeout(follow, AGAIN_MS);
  }
}
follow();
