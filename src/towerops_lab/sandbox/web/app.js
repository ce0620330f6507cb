// The page: listens to the sandbox's stream of states, and draws the site from them. Nothing is computed here that a server would store.

import { Chart, drawBatches, sparkline } from "./chart.js";
import { html } from "./draw.js";
import { clock, duration, number, plural, quantity, rate, size } from "./format.js";
import { deviceMeta, deviceNote, deviceReason, lastKnown, stateWord, tiles } from "./words.js";

/** @typedef {import("./words.js").State} State */
/** @typedef {import("./words.js").Device} Device */
/** @typedef {import("./words.js").Switch} Switch */
/** @typedef {{device: string, from_us: number, to_us: number, gap_us: number, restarted_us: number, charts: import("./chart.js").Item[]}} Charts */

const WINDOW_US = 30 * 60e6; // the span of the charts, once so much is known

/** @param {string} id */
function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found;
}

const narrow = matchMedia("(max-width: 900px)");

/** @type {State | null} */
let state = null;
let skew_us = 0; // this machine's clock minus the sandbox's
/** @type {string | null} */
let chosen = null;
/** @type {Map<string, Chart>} */
let charts = new Map();
/** @type {Charts | null} */
let charted = null;
/** @type {Map<string, ReturnType<typeof makeCard>>} */
const cards = new Map();
/** @type {Map<string, ReturnType<typeof makeSwitch>>} */
const switches = new Map();
/** @type {Map<string, string>} */
const states = new Map();

const now_us = () => Date.now() * 1000 - skew_us;

function listen() {
  const stream = new EventSource("page/events");
  stream.onmessage = (event) => {
    const received = /** @type {State} */ (JSON.parse(event.data));
    state = received;
    skew_us = Date.now() * 1000 - received.now_us;
    notice("");
    draw();
  };
  stream.onerror = () => notice("The sandbox does not answer: it has been stopped, or is on its way back. Trying again …");
}

/** @param {string} text */
function notice(text) {
  if ($("notice").textContent === text) return;
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function draw() {
  if (!state) return;
  document.title = `${state.title} · Towerops`;
  $("title").textContent = state.title;
  $("about").textContent = state.about;
  drawDevices();
  drawSwitches($("switches"), (each) => each.group === "api" || each.group === "site");
  drawDetail();
  drawArrivals();
  drawAges();
}

/** What changes with the time only. */
function drawAges() {
  if (!state) return;
  document.body.classList.toggle("empty", !state.devices.length);
  for (const [name, tile] of Object.entries(tiles(state, now_us()))) {
    $(`tile-${name}`).textContent = tile.figure;
    $(`tile-${name}`).className = `figure ${tile.kind}`;
    $(`tile-${name}-note`).textContent = tile.note;
  }
  const asOf_us = lastKnown(state, now_us());
  for (const device of state.devices) {
    const card = cards.get(device.id);
    if (!card) continue;
    const stale = asOf_us || device.state === "down";
    card.state.textContent = stateWord(device.state, asOf_us);
    card.state.className = `state ${asOf_us ? "unknown" : device.state}`;
    card.why.textContent = deviceNote(device, asOf_us, now_us());
    card.why.className = `why ${asOf_us ? "stale" : device.state}`;
    card.link.classList.toggle("stale", Boolean(stale));
    announce(device, asOf_us);
    if (device.id === chosen) drawStanding(device, asOf_us);
  }
}

/**
 * The state of the chosen device, at the head of its charts.
 * @param {Device} device
 * @param {number} asOf_us
 */
function drawStanding(device, asOf_us) {
  $("detail-state").hidden = false;
  $("detail-state").textContent = stateWord(device.state, asOf_us);
  $("detail-state").className = `state ${asOf_us ? "unknown" : device.state}`;
  const reason = deviceReason(device, asOf_us, now_us());
  $("detail-reason").textContent = reason;
  $("detail-reason").className = `reason ${asOf_us ? "stale" : device.state}`;
  $("detail-reason").hidden = !reason;
}

function drawDevices() {
  if (!state) return;
  if (!state.devices.some((device) => device.id === chosen)) chosen = fromAddress() ?? state.devices[0]?.id ?? null;
  for (const device of state.devices) {
    const card = cards.get(device.id) ?? makeCard(device);
    cards.set(device.id, card);
    card.name.textContent = device.name;
    const first = device.items[0];
    card.what.textContent = first?.label ?? "";
    card.value.textContent = first ? shown(first) : "";
    card.spark.replaceChildren(...sparkline(device.spark, device.spark_gap_us, first?.unit ?? "").childNodes);
    if (device.id === chosen) card.link.setAttribute("aria-current", "true");
    else card.link.removeAttribute("aria-current");
  }
  for (const [id, card] of cards) {
    if (!state.devices.some((device) => device.id === id)) {
      if (card.item.contains($("detail"))) $("split").append($("detail"));
      card.item.remove();
      cards.delete(id);
    }
  }
  placeDetail();
}

/** On a narrow screen the charts are below the device that they are of, else beside the list. */
function placeDetail() {
  const holder = (narrow.matches && chosen !== null && cards.get(chosen)?.item) || $("split");
  if ($("detail").parentElement !== holder) holder.append($("detail"));
}

/** @param {Device} device */
function makeCard(device) {
  const name = html("span", { className: "name" }), standing = html("span", { className: "state" }), what = html("span", { className: "what" });
  const value = html("span", { className: "value" }), why = html("span", { className: "why" }), spark = sparkline([], 1, "");
  const head = html("span", { className: "row" }, name, standing);
  const body = html("span", { className: "row" }, html("span", {}, what, value), spark);
  const link = html("a", { className: "device", href: `#${encodeURIComponent(device.id)}` }, head, body, why);
  link.dataset.device = device.id;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    chosen = device.id;
    draw();
    $("detail").focus({ preventScroll: true });
    if (narrow.matches) link.scrollIntoView();
  });
  const item = html("li", {}, link);
  $("devices").append(item);
  return { name, state: standing, what, value, why, spark, link, item };
}

/**
 * @param {Device} device
 * @param {number} asOf_us
 */
function announce(device, asOf_us) {
  if (asOf_us) return;
  const before = states.get(device.id);
  states.set(device.id, device.state);
  if (before && before !== device.state) $("live").textContent = `${device.name} is ${stateWord(device.state, 0)}${device.reason ? `: ${device.reason}` : ""}`;
}

/** @param {import("./words.js").Item} item */
function shown(item) {
  const value = item.value[0];
  if (item.kind === "interface") return item.value.length ? `${rate(value)} in` : "–";
  return item.states[String(value)] ?? quantity(value, item.unit);
}

function fromAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  return state?.devices.some((device) => device.id === id) ? id : null;
}

/**
 * @param {HTMLElement} holder
 * @param {(each: Switch) => boolean} belongs
 */
function drawSwitches(holder, belongs) {
  const elements = (state?.switches ?? []).filter(belongs).map((each) => {
    const made = switches.get(each.id) ?? makeSwitch(each);
    switches.set(each.id, made);
    if (!each.momentary) made.element.setAttribute("aria-checked", String(each.on));
    made.element.classList.toggle("busy", each.momentary && each.note !== "");
    made.note.textContent = each.note;
    return made.element;
  });
  if (elements.length !== holder.children.length || elements.some((element, i) => holder.children[i] !== element)) holder.replaceChildren(...elements);
}

/** @param {Switch} each */
function makeSwitch(each) {
  const note = html("em", { className: "said" });
  const explanation = html("small", { id: `about-${each.id}` }, `${each.explanation} `, note);
  const element = html("button", { type: "button", className: each.momentary ? "switch push" : "switch" }, html("i", { ariaHidden: "true" }), html("b", { textContent: each.label }), explanation);
  if (!each.momentary) element.setAttribute("role", "switch");
  element.setAttribute("aria-label", each.label);
  element.setAttribute("aria-describedby", explanation.id);
  element.dataset.switch = each.id;
  element.addEventListener("click", async () => {
    const on = each.momentary || element.getAttribute("aria-checked") !== "true";
    const answer = await fetch(`page/switches/${encodeURIComponent(each.id)}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ on }) }).catch(() => null);
    if (!answer?.ok) notice("The switch did not turn: the sandbox does not answer.");
    else if (each.momentary) $("live").textContent = `${each.label}: done`;
    else element.setAttribute("aria-checked", String(on));
  });
  return { element, note };
}

function drawDetail() {
  const device = state?.devices.find((each) => each.id === chosen);
  if (!device || !state) return;
  $("detail-title").textContent = device.name;
  $("detail-meta").textContent = deviceMeta(device);
  drawSwitches($("device-switches"), (each) => each.group === device.id);
  fetchCharts(device.id, `${device.id} ${state.metrics}`);
}

let asked = "";
/**
 * Ask for the charts if another device was chosen, or anything has arrived; in between they only move on.
 * @param {string} id
 * @param {string} wanted
 */
async function fetchCharts(id, wanted) {
  if (asked === wanted) return drawCharts();
  asked = wanted;
  const answer = await fetch(`page/charts/${encodeURIComponent(id)}`).catch(() => null);
  if (!answer?.ok) {
    asked = "";
    return;
  }
  const data = /** @type {Charts} */ (await answer.json());
  if (data.device !== chosen) return;
  if (charted?.device !== chosen || data.charts.some((item) => !charts.has(item.id)) || data.charts.length !== charts.size) {
    charts = new Map(data.charts.map((item) => [item.id, new Chart(item)]));
    $("charts").replaceChildren(...[...charts.values()].map((chart) => chart.element));
  }
  charted = data;
  drawCharts();
}

function drawCharts() {
  const device = state?.devices.find((each) => each.id === chosen);
  if (!state || !device || charted?.device !== device.id) return;
  const to_us = Math.max(charted.to_us, now_us());
  const ending = lastKnown(state, now_us()) ? "waitband" : device.state === "down" ? "gapband" : "";
  const span = { from_us: Math.max(charted.from_us, to_us - WINDOW_US), to_us, gap_us: charted.gap_us, restarted_us: charted.restarted_us, ending };
  const { gap_us } = charted;
  const marks = { late: false, gap: ending === "gapband", wait: ending === "waitband" };
  for (const item of charted.charts) {
    charts.get(item.id)?.update(span, item.points);
    marks.late ||= item.points.some((point) => point[2]);
    marks.gap ||= item.points.some((point, i) => i > 0 && point[0] - item.points[i - 1][0] > gap_us);
  }
  for (const [name, there] of Object.entries(marks)) $(`legend-${name}`).hidden = !there;
  $("legend").hidden = !Object.values(marks).some(Boolean);
}

function drawArrivals() {
  if (!state) return;
  drawBatches($("batches-chart"), state.arrivals, now_us());
  $("batches-meta").textContent = `${plural(state.batches, "batch", "batches")}, ${plural(state.metrics, "value")}${state.repeats ? `, ${state.repeats} sent again and stored once` : ""}`;
  const rows = state.arrivals.slice(-12).reverse();
  $("batches-rows").replaceChildren(
    ...rows.map((each) => {
      const cells = [clock(each.at_us), number(each.metrics), number(each.late), duration(each.oldest_s), size(each.size_octets)].map((text, i) => html("td", { textContent: text, className: i ? "number" : "" }));
      return html("tr", {}, ...cells, html("td", {}, html("code", { textContent: each.key.slice(0, 18) })));
    }),
  );
}

addEventListener("hashchange", () => {
  chosen = fromAddress() ?? chosen;
  draw();
});
/** @type {ReturnType<typeof setTimeout> | undefined} */
let resized;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => {
    for (const chart of charts.values()) chart.draw();
    drawArrivals();
  }, 120);
});
narrow.addEventListener("change", placeDetail);
setInterval(() => {
  drawAges();
  if (state) drawBatches($("batches-chart"), state.arrivals, now_us());
}, 1000);
listen();
