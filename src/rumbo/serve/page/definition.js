// A definition as it runs, drawn: its stages and the moves it allows, then every rule in words.

import { el } from "./dom.js";
import { draw } from "./flows.js";
import { decimal, label } from "./words.js";

/** Show one journey until the signal. */
export function show(root, journey, signal) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("class", "flows");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "Stages and the moves that the definition allows; all are in the table that follows.");
  const frame = el("div.frame", {}, picture);
  root.replaceChildren(
    el("h1", {}, label(journey.journey), " ", el("small", {}, `version ${journey.version}`)),
    el("section.card", { "aria-labelledby": "stages-title" }, el("h2", { id: "stages-title" }, "Stages"), frame, moves(journey)),
    el("div.cards", {}, scores(journey), triggers(journey), flows(journey), segments(journey), accounts(journey)));
  const links = merged(journey.edges);
  const redraw = () => draw(picture, journey.stages, links, frame.clientWidth, { thin: true });
  const watch = new ResizeObserver(redraw);
  watch.observe(frame);
  signal.addEventListener("abort", () => watch.disconnect());
}

/** One line a pair of stages, whatever the number of ways. */
function merged(edges) {
  const found = new Map();
  for (const each of edges) {
    const key = `${each.from}\n${each.to}`;
    const before = found.get(key);
    found.set(key, { from: each.from, to: each.to, direction: each.kind, value: 1, when: [before?.when, each.when].filter(Boolean).join("; or ") || null });
  }
  return [...found.values()];
}

function table(heads, rows) {
  return el("div.scroll", { tabindex: 0, role: "region", "aria-label": heads.join(", ") },
    el("table.rules", {}, el("thead", {}, el("tr", {}, heads.map((each) => el("th", { scope: "col" }, each)))), el("tbody", {}, rows.map((row) => el("tr", {}, row.map((each, at) => el(at ? "td" : "th", at ? {} : { scope: "row" }, each)))))));
}

const moves = (journey) => table(["Move", "Direction", "When"], journey.edges.map((each) => [`${label(each.from)} → ${label(each.to)}`, each.kind, each.when ?? "always"]));

function section(title, some, ...children) {
  return some.length > 0 && el("section.card", { "aria-label": title }, el("h2", {}, title), ...children);
}

function scores(journey) {
  return section("Scores", journey.scores, journey.scores.map((each) => el("div", {}, el("h3", {}, label(each.score)),
    el("ul.tags", {}, each.bands.map((band) => el("li", {}, band.band, " ", el("small", {}, `from ${decimal(band.enter)}, left below ${decimal(band.leave)}`)))),
    el("ul.plain", {}, each.rules.map((rule) => el("li", {}, rule))))));
}

function triggers(journey) {
  return section("Triggers", journey.triggers, el("dl.rules", {}, journey.triggers.map((each) => el("div", {},
    el("dt", {}, label(each.trigger), each.mode === "shadow" ? " (shadow)" : ""),
    el("dd", {}, each.when, el("small", {}, `asks for ${each.action}${each.cooldown ? `; at most once in ${each.cooldown}` : ""}`))))));
}

function flows(journey) {
  return section("Flows", journey.flows ?? [], (journey.flows ?? []).map((each) => el("div", {}, el("h3", {}, label(each.flow)),
    el("dl.pairs", {}, [["begins", each.enter], ["again", each.again], ["goal", each.goal], ["ends early", each.exit]].filter(([, text]) => text).map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
    el("ol.steps", {}, each.steps.map((step) => el("li", {}, step))))));
}

function accounts(journey) {
  const some = journey.accounts ?? [];
  return section("Accounts", some, el("dl.rules", {}, some.map((each) => el("div", {}, el("dt", {}, label(each.of)), el("dd", {}, each.rule)))));
}

function segments(journey) {
  return section("Segments", journey.segments, el("dl.rules", {}, journey.segments.map((each) => el("div", {}, el("dt", {}, label(each.segment)), el("dd", {}, each.when)))));
}
