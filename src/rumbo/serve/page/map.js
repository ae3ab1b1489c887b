// The map: where everybody is, how they moved, and what is asked for as it happens.

import { ask } from "./ask.js";
import { follow } from "./actions.js";
import { el, keyed, say, set } from "./dom.js";
import { draw, meaning } from "./flows.js";
import { every } from "./every.js";
import { brief, count, label, length, share } from "./words.js";

const SECONDS = 2;
const KINDS = [["forward", "forward"], ["backward", "backward"], ["aside", "aside"], ["return", "return"]];

/** Show the map of one journey until the signal says otherwise. */
export function show(root, journey, signal, trouble) {
  const parts = { funnel: funnel(), flows: flows(), actions: el("section.card.actions", { "aria-labelledby": "actions-title" }) };
  root.replaceChildren(el("h1.unseen", {}, `The map of ${label(journey.journey)}`), el("div.map", {}, parts.funnel.root, parts.flows.root, parts.actions));
  follow(parts.actions, signal, trouble);
  const path = `/v1/journeys/${encodeURIComponent(journey.journey)}`;
  let last = null;
  const redraw = () => last && parts.flows.tell(...last);
  const watch = new ResizeObserver(redraw);
  watch.observe(parts.flows.root);
  signal.addEventListener("abort", () => watch.disconnect());
  every(SECONDS, async () => {
    const [counts, moves] = await Promise.all([ask(`${path}/funnel`, { signal }), ask(`${path}/moves`, { signal })]);
    parts.funnel.tell(counts);
    last = [counts, moves.moves];
    redraw();
  }, signal, trouble);
}

function funnel() {
  const body = el("tbody");
  const note = el("p.note", {}, "Counting …");
  const head = el("tr", {}, ["Stage", "Now", "Reached", "Of those before", "Median stay"].map((each) => el("th", { scope: "col" }, each)));
  const table = el("table.funnel", { hidden: true }, el("thead", {}, head), body);
  const root = el("section.card", { "aria-labelledby": "funnel-title" }, el("h2", { id: "funnel-title" }, "Funnel"), note, table);
  const row = (each) => el(each.side ? "tr.side" : "tr", {},
    el("th", { scope: "row" }, el("span.stage", {}, label(each.stage)), el("span.track", { "aria-hidden": true }, el("i"), el("b"))),
    el("td.strong"), el("td"), el("td"), el("td"));
  const tell = (counts) => {
    table.hidden = counts.customers === 0;
    say(note, counts.customers === 0 ? "Nobody yet. The funnel fills as interactions come in." : `${count(counts.customers)} ${counts.customers === 1 ? "customer" : "customers"}${counts.complete ? "" : " in the partitions that answer: a part of all"}. Bars: who ever got so far; the dark part, who is there now.`);
    keyed(body, counts.stages, (each) => each.stage, row, (made, each) => {
      const [name, now, reached, conversion, stay] = made.children;
      const part = (number) => `${((number ?? 0) / Math.max(counts.customers, 1)) * 100}%`;
      const [ever, here] = name.lastChild.children;
      ever.style.inlineSize = part(each.reached ?? each.now);
      here.style.inlineSize = part(each.now);
      say(now, brief(each.now));
      say(reached, each.reached === null ? "–" : brief(each.reached));
      say(conversion, share(each.conversion));
      say(stay, length(each.median_dwell_seconds));
      set(stay, { title: each.stays ? `of ${count(each.stays)} completed stays, within 9 %` : null });
    });
  };
  return { root, tell };
}

function flows() {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  set(picture, { class: "flows", role: "img", "aria-label": "Flows between stages", hidden: true });
  const note = el("p.note", {}, "Drawing …");
  const legend = el("ul.legend", {}, KINDS.map(([kind, name]) => el(`li.${kind}`, {}, name)));
  const body = el("tbody");
  const table = el("details", {}, el("summary", {}, "The same as a table"), el("table", {}, el("thead", {}, el("tr", {}, ["From", "To", "Direction", "Moves"].map((each) => el("th", { scope: "col" }, each)))), body));
  const frame = el("div.frame", {}, picture);
  const root = el("section.card.wide", { "aria-labelledby": "flows-title" }, el("div.head", {}, el("h2", { id: "flows-title" }, "Flows"), legend), note, frame, table);
  const tell = (counts, moves) => {
    const links = moves.map((each) => ({ ...each, value: each.moves }));
    set(picture, { hidden: links.length === 0 });
    table.hidden = links.length === 0;
    const total = moves.reduce((all, each) => all + each.moves, 0);
    say(note, links.length ? `${count(total)} moves since the beginning; the wider, the more. Moves back and returns run underneath.` : "Nobody has moved yet.");
    if (links.length) {
      draw(picture, counts.stages, links, frame.clientWidth, { says: meaning });
      set(picture, { "aria-label": `Flows between stages: ${moves.slice(0, 6).map((each) => `${label(each.from)} to ${label(each.to)} ${count(each.moves)}`).join(", ")}. All are in the table that follows.` });
    }
    keyed(body, moves, (each) => `${each.from}\n${each.to}`, (each) => el("tr", {}, el("td", {}, label(each.from)), el("td", {}, label(each.to)), el("td", {}, each.direction), el("td.strong")), (made, each) => say(made.lastChild, count(each.moves)));
  };
  return { root, tell };
}
