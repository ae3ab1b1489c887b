// The page: which view is shown, how the workers are, and what is said when the answer is no.

import { ask, dropToken, hasToken, keepToken } from "./ask.js";
import * as customer from "./customer.js";
import * as definition from "./definition.js";
import { el, say, set } from "./dom.js";
import { every } from "./every.js";
import * as map from "./map.js";
import { brief, count, instant, label } from "./words.js";

const SECONDS = 2;
const SAMPLES = 6; // throughput is over the last ten seconds
const at = (id) => document.getElementById(id);
const main = at("main");
let view = null; // the AbortController of what is shown
let journeys = null;
const told = { status: null, view: null }; // troubles, by who has them
let workers = null;

// How things are -------------------------------------------------------------------------------------------------------

/** Takes a trouble (or null) of one who asks, and says the worst of all. "stop": do not ask again by yourself. */
function trouble(who) {
  return (error) => {
    if (error && error.status === undefined) console.error(error);
    told[who] = error;
    if (error?.status === 401) gate();
    tell();
    return error?.status === 401 ? "stop" : null;
  };
}

function tell() {
  const worst = Object.values(told).filter(Boolean).sort((a, b) => rank(a) - rank(b))[0];
  const [kind, text] = worst ? refused(worst) : asItIs();
  set(at("state"), { class: `state ${kind}` });
  say(at("state"), text);
}

const rank = (error) => [401, 403, 0].indexOf(error.status ?? -1) >>> 0;

function refused(error) {
  switch (error.status) {
    case 0: return ["bad", "The worker does not answer. What you see is the last it said; it is asked again."];
    case 401: return ["bad", "A token is needed."];
    case 403: return ["bad", `Not allowed: ${error.message}.`];
    case 429: return ["busy", "Asked too often; slower now."];
    case 503: return ["busy", `Not now: ${error.message}.`];
    default: return ["bad", `Something went wrong: ${error.message}.`];
  }
}

function asItIs() {
  if (!workers) return ["", ""];
  if (workers.workers.some((each) => !each.ready)) return ["busy", "A worker is recovering its state; the figures are a part until it is done."];
  if (!workers.complete) return ["busy", "Some partitions have no worker that answers; the figures are a part of all."];
  return ["", ""];
}

function gate() {
  const dialog = at("gate");
  say(at("gate-why"), hasToken() ? "The token was not accepted. Try another one." : "It is kept in this tab only, and forgotten when the tab is closed.");
  dropToken();
  if (!dialog.open) dialog.showModal();
}

at("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(at("token").value.trim());
  at("token").value = "";
  at("gate").close();
  for (const each of Object.keys(told)) told[each] = null;
  begin();
});

// The head -------------------------------------------------------------------------------------------------------------

const samples = [];

function vitals(status) {
  workers = status;
  samples.push({ at: performance.now(), interactions: status.interactions, decisions: status.decisions });
  if (samples.length > SAMPLES) samples.shift();
  say(at("throughput"), rate("interactions"));
  say(at("decided"), rate("decisions"));
  say(at("lag"), `${brief(status.lag_records)} ${status.lag_records === 1 ? "record" : "records"}`);
  say(at("clock"), status.clock ? instant(status.clock) : "–");
  const ready = status.workers.filter((each) => each.ready).length;
  say(at("workers"), ready === status.workers.length ? count(ready) : `${count(ready)} of ${count(status.workers.length)}`);
  say(at("topology"), status.topology);
  say(at("version"), `Rumbo ${status.version}`);
  document.title = `${label(status.topology)} · Rumbo`;
}

/** A second, over the samples; a worker that began again starts anew. */
function rate(name) {
  const [first, last] = [samples[0], samples.at(-1)];
  if (last[name] < first[name]) samples.splice(0, samples.length - 1);
  const seconds = (last.at - first.at) / 1000;
  return samples.length > 1 && seconds > 0 ? brief(Math.round((last[name] - first[name]) / seconds)) : "–";
}

// Views ----------------------------------------------------------------------------------------------------------------

function route() {
  const [name = "map", ...rest] = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean);
  let text = rest.join("/");
  try {
    text = decodeURIComponent(text);
  } catch { /* as it is typed */ }
  return [name, text];
}

function open() {
  if (!journeys) return;
  view?.abort();
  view = new AbortController();
  told.view = null;
  tell();
  const [name, text] = route();
  for (const link of document.querySelectorAll("nav a")) set(link, { "aria-current": link.hash === `#/${name}` ? "page" : null });
  const journey = journeys.journeys.find((each) => each.journey === text) ?? journeys.journeys[0];
  const root = el("div.view");
  main.replaceChildren(...(name === "customer" ? [] : [chooser(name, journey)]), root);
  if (name === "customer") {
    at("who").value = text;
    if (text) customer.show(root, text, journeys.journeys, view.signal, trouble("view"));
    else customer.invite(root);
  } else if (!journey) root.replaceChildren(el("p.note", {}, "This topology has no journey."));
  else if (name === "definition") definition.show(root, journey, view.signal);
  else map.show(root, journey, view.signal, trouble("view"));
}

/** Which journey, where there are several. */
function chooser(name, journey) {
  if (journeys.journeys.length < 2) return "";
  return el("nav.journeys", { "aria-label": "Journeys" }, journeys.journeys.map((each) => el("a", { href: `#/${name}/${encodeURIComponent(each.journey)}`, "aria-current": each === journey ? "true" : null }, label(each.journey))));
}

at("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const hash = `#/customer/${encodeURIComponent(at("who").value)}`;
  if (location.hash === hash) open();
  else location.hash = hash;
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash says which view is shown
  main.focus();
});
addEventListener("hashchange", () => {
  open();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});

let running = null;

function begin() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  if (!journeys) main.replaceChildren(el("p.note", {}, "Asking the worker …"));
  every(SECONDS, async () => {
    const status = await ask("/v1/status", { signal });
    vitals(status);
    if (!journeys) {
      journeys = await ask("/v1/journeys", { signal });
      open();
    }
  }, signal, trouble("status"));
  if (journeys) open();
}

begin();
