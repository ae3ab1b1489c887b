// The last actions as they happen: a log that can be held still, and a sentence now and then for those who listen.

import { listen } from "./ask.js";
import { el, say, set } from "./dom.js";
import { pause } from "./every.js";
import { because, count, decided, instant } from "./words.js";

const KEPT = 40;
const DRAW_MS = 300;
const SAY_SECONDS = 20;
const AGAIN_SECONDS = 3;

/** Fill a section with the stream until the signal. */
export function follow(section, signal, trouble) {
  const state = { waiting: [], seen: 0, missed: 0, held: false, fresh: 0, last: "" };
  const list = el("ol");
  const log = el("div.log", { role: "log", "aria-live": "off", "aria-labelledby": "actions-title", tabindex: 0 }, list);
  const note = el("p.note", {}, "Listening …");
  const spoken = el("p.unseen", { "aria-live": "polite" });
  const hold = el("button.quiet", { type: "button", "aria-pressed": "false", click: () => {
    state.held = !state.held;
    set(hold, { "aria-pressed": state.held });
  } }, "Hold still");
  section.replaceChildren(el("div.head", {}, el("h2", { id: "actions-title" }, "Last actions"), hold), note, log, spoken);
  const drawing = setInterval(() => render(state, list, note), DRAW_MS);
  const speaking = setInterval(() => {
    if (state.fresh) say(spoken, `${count(state.fresh)} new actions; the last: ${state.last}`);
    state.fresh = 0;
  }, SAY_SECONDS * 1000);
  signal.addEventListener("abort", () => { clearInterval(drawing); clearInterval(speaking); });
  run(state, note, signal, trouble);
}

async function run(state, note, signal, trouble) {
  while (!signal.aborted) {
    try {
      await listen("/v1/stream", (event, data) => {
        if (event === "missed") state.missed += Number(data);
        else if (event === "action") heard(state, data);
      }, signal, () => say(note, state.seen ? "" : "None yet: they stand here the moment they are committed."));
    } catch (error) {
      if (signal.aborted || trouble(error) === "stop") return;
    }
    if (signal.aborted) return;
    say(note, "The stream has ended; it is opened again.");
    await pause(AGAIN_SECONDS, signal);
  }
}

function heard(state, data) {
  const event = JSON.parse(data);
  state.seen += 1;
  state.fresh += 1;
  state.last = `${decided(event)[1]} for ${event.subject}`;
  state.waiting.push(event);
  if (state.waiting.length > KEPT) state.waiting.shift();
}

function render(state, list, note) {
  if (state.held || !state.waiting.length || document.hidden) return;
  const known = new Set([...list.children].map((each) => each.dataset.id));
  for (const event of state.waiting.splice(0)) if (!known.has(event.id)) list.prepend(row(event));
  while (list.children.length > KEPT) list.lastElementChild.remove();
  say(note, state.missed ? `${count(state.missed)} more were too quick for this page.` : "");
}

function row(event) {
  const [kind, what, more] = decided(event);
  return el(`li.${kind}`, { "data-id": event.id },
    el("time", { datetime: event.time }, instant(event.time)),
    el("a", { href: `#/customer/${encodeURIComponent(event.subject)}` }, event.subject),
    el("span.what", {}, what), el("span.more", {}, more),
    el("span.why", {}, kind === "held" ? "" : because(event.data?.because)));
}
