// One customer: where they stand, what is known, what is due, what happened with each decision and its why, and why something did not.

import { ask, question } from "./ask.js";
import { el, keyed, say } from "./dom.js";
import { every } from "./every.js";
import { because, count, decided, decimal, instant, label, length, shown } from "./words.js";

const SECONDS = 3;
const LISTED = 10; // messages, pages and sessions, of many more that are kept

/** Show one customer until the signal; `journeys` are the drawings, for the order of stages and the names of triggers. */
export function show(root, id, journeys, signal, trouble) {
  const parts = { journeys: el("div.stack"), known: known(), timeline: timeline(), silence: silence(id, journeys, signal) };
  const title = el("h1.id", {}, id);
  const since = el("p.note", {}, "Looking them up …");
  const body = el("div.customer", { hidden: true }, el("div.stack", {}, parts.journeys, parts.known.root, parts.silence), parts.timeline.root);
  root.replaceChildren(title, since, body);
  const path = `/v1/customers/${encodeURIComponent(id)}`;
  every(SECONDS, async () => {
    const [found, told] = await Promise.all([ask(path, { signal }), ask(`${path}/timeline`, { signal })]);
    const account = await company(found, journeys, signal);
    body.hidden = false;
    say(since, `${count(found.events)} interactions since ${instant(found.first_seen)}; read as of ${instant(found.as_of, true)} UTC.`);
    keyed(parts.journeys, Object.entries(found.journeys), ([name]) => name, ([name]) => standing(name, journeys), (made, [, each]) => made.tell(each));
    parts.known.tell(found, written(told.entries), account);
    parts.timeline.tell(told);
  }, signal, (error) => {
    if (error?.status !== 404 && error?.status !== 400) return trouble(error);
    trouble(null);
    body.hidden = true;
    say(since, error.status === 404 ? "Nothing is known of this customer. Ids are exact: capitals and spaces count." : error.message);
    return null;
  });
}

/** The account that they belong to, where the topology has any and it knows of contacts that count. */
async function company(found, journeys, signal) {
  const id = found.traits["account.id"];
  if (!id || !journeys.some((each) => each.accounts?.length)) return null;
  try {
    return await ask(`/v1/accounts/${encodeURIComponent(id)}`, { signal });
  } catch (error) {
    if (error?.status === 404 || error?.status === 503) return null;
    throw error;
  }
}

/** An account in words: where it stands, its scores, its contacts. */
const business = (account) => account === null ? [] : [
  [account.account, account.stage === null ? "no contact counts" : `${label(account.stage)} since ${instant(account.since)}${account.high_water === account.stage ? "" : `, was as far as ${label(account.high_water)}`}`],
  ...Object.entries(account.scores).map(([score, value]) => [label(score), decimal(value)]),
  ...account.contacts.slice(0, LISTED).map((each) => [each.customer, [each.role, label(each.stage)].filter(Boolean).join(", ")]),
];

/** Asked for nobody yet. */
export function invite(root) {
  root.replaceChildren(el("h1", {}, "Customer"), el("p.note", {}, "Look somebody up by the id that your events carry, or choose a name among the last actions on the map."));
}

function standing(name, journeys) {
  const order = journeys.find((each) => each.journey === name)?.stages ?? [];
  const way = el("ol.way", { "aria-label": "Stages" });
  const note = el("p.note");
  const scores = el("div.scores");
  const segments = el("ul.tags", { "aria-label": "Segments" });
  const [flows, held, waiting, acted, more] = [pairs("In a flow"), pairs("Held back for later"), pairs("Counting the silence"), pairs("Acted last"), pairs("More of this journey")];
  const root = el("section.card", { "aria-label": `Journey ${label(name)}` }, el("h2", {}, label(name)), way, note, scores, segments, flows.root, held.root, waiting.root, acted.root, more.root);
  root.tell = (each) => {
    const high = order.findIndex((stage) => stage.stage === each.high_water);
    keyed(way, order.map((stage, at) => ({ ...stage, at })), (stage) => stage.stage, (stage) => el(stage.side ? "li.side" : "li", {}, el("span", {}, label(stage.stage)), " ", el("small")), (made, stage) => {
      const here = stage.stage === each.stage;
      made.classList.toggle("here", here);
      made.classList.toggle("been", !stage.side && stage.at <= high);
      here ? made.setAttribute("aria-current", "step") : made.removeAttribute("aria-current");
      say(made.lastChild, here ? "now" : stage.stage === each.high_water ? "highest" : "");
    });
    say(note, [`In ${label(each.stage)} since ${instant(each.entered_at)}.`, each.set_since && `Set by somebody${each.set_until ? ` until ${instant(each.set_until)}` : ""}.`, each.held_until && `Held until ${instant(each.held_until)}: it went forth and back.`].filter(Boolean).join(" "));
    const drawn = journeys.find((one) => one.journey === name)?.scores ?? [];
    keyed(scores, Object.entries(each.scores), ([score]) => score, ([score]) => gauge(score, drawn.find((one) => one.score === score)), (made, [, score]) => made.tell(score));
    keyed(segments, Object.entries(each.segments), ([segment]) => segment, ([segment]) => el("li", {}, label(segment), " ", el("small")), (made, [, at]) => say(made.lastChild, `since ${instant(at)}`));
    flows.tell((each.flows ?? []).map((one) => [one.key === null ? one.flow : `${one.flow} · ${one.key}`, [`at ${label(one.step)} since ${instant(one.since)}`, one.until && `until ${instant(one.until, true)}`].filter(Boolean).join(", ")]));
    held.tell((each.held_actions ?? []).map((one) => [`${one.rule} · ${instant(one.since, true)}`, `by ${label(one.gate)} until ${instant(one.until, true)}`]));
    waiting.tell(Object.entries(each.waiting ?? {}).map(([trigger, at]) => [trigger, `since ${instant(at)}`]));
    acted.tell(Object.entries(each.last_actions ?? {}).map(([trigger, at]) => [trigger, instant(at)]));
    more.tell(Object.entries(each.more ?? {}).map(([part, value]) => [part, shown(value)]));
  };
  return root;
}

/** A score against its bands. */
function gauge(name, drawing) {
  const bands = drawing?.bands ?? [];
  const most = Math.max(...bands.map((each) => each.enter * 1.3), 1);
  const fill = el("i");
  const marks = bands.map((each) => {
    const mark = el("b", { title: `${each.band} from ${each.enter}, left below ${each.leave}` }, el("small", {}, each.band));
    mark.style.insetInlineStart = `${(each.enter / most) * 100}%`;
    return mark;
  });
  const value = el("strong");
  const from = el("ul.from");
  const root = el("div.gauge", {}, el("h3", {}, label(name), " ", value), el("div.track", { "aria-hidden": true }, fill, marks), from);
  root.tell = (score) => {
    say(value, `${decimal(score.value)}${score.band ? ` · ${label(score.band)}` : ""}`);
    fill.style.inlineSize = `${Math.min(Math.max(score.value / most, 0), 1) * 100}%`;
    keyed(from, score.contributors, (each) => each.rule, (each) => el("li", {}, label(each.rule), " ", el("b")), (made, each) => say(made.lastChild, decimal(each.points_now)));
  };
  return root;
}

function known() {
  const listed = el("p.listed", { hidden: true });
  const due = pairs("Due next");
  const channel = pairs("Preferred channel");
  const messages = pairs("Messages");
  const exposures = pairs("Experiments");
  const consents = pairs("Consents");
  const answers = pairs("Survey answers");
  const frictions = pairs("Friction");
  const sessions = pairs("Sessions");
  const pages = pairs("Time on pages", String);
  const account = pairs("Account", String);
  const traits = pairs("Traits");
  const last = pairs("Last seen");
  const counters = pairs("Counted");
  const more = pairs("More");
  const root = el("section.card", { "aria-label": "Known" }, listed, due.root, channel.root, consents.root, answers.root, frictions.root, pages.root, sessions.root, messages.root, exposures.root, account.root, traits.root, last.root, counters.root, more.root);
  const tell = (found, names, belongs) => {
    const called = (key) => names.get(key) ?? key;
    listed.hidden = !found.suppressed_since;
    say(listed, `On the suppression list since ${instant(found.suppressed_since)}.`);
    consents.tell((found.consents ?? []).map((each) => [`${any(each.purpose, "every purpose")} by ${any(each.channel, "every channel")}`, word(each)]));
    answers.tell((found.answers ?? []).map((each) => [`${each.survey} · ${each.kind}`, answered(each)]));
    frictions.tell((found.frictions ?? []).map((each) => [each.kind, `${each.place ? `${each.place}, ` : ""}${instant(each.at, true)}, weight ${decimal(each.weight)}`]));
    pages.tell((found.pages ?? []).slice(0, LISTED).map((each) => [each.page, `${length(each.seconds)} in ${count(each.views)} ${each.views === 1 ? "view" : "views"}, last ${instant(each.last)}`]));
    sessions.tell((found.sessions ?? []).slice(0, LISTED).map((each) => [instant(each.start), `until ${instant(each.last)}, ${count(each.events)} ${each.events === 1 ? "interaction" : "interactions"}`]));
    channel.tell(preferred(found.preferred_channel));
    messages.tell((found.messages ?? []).slice(0, LISTED).map((each) => [`${each.rule.split("/").at(-1)} · ${instant(each.sent, true)}`, became(each)]));
    exposures.tell(Object.entries(found.exposures ?? {}).map(([name, variant]) => [name, variant]));
    due.tell(Object.entries(found.timers).map(([name, at]) => [name.replaceAll(":", " · "), instant(at, true)]));
    account.tell(business(belongs));
    traits.tell(Object.entries(found.traits).map(([name, value]) => [name, shown(value)]));
    last.tell(Object.entries(found.last).map(([name, at]) => [called(name), instant(at)]));
    counters.tell(Object.entries(found.counters).map(([name, number]) => [called(name), count(number)]));
    more.tell(Object.entries(found.more ?? {}).map(([name, value]) => [name, shown(value)]));
  };
  return { root, tell };
}

/** Names are compared without case, blanks, underscores and hyphens, and kept so: here is how this customer's own are written. */
const written = (entries) => new Map(entries.filter((each) => each.name !== null).map((each) => [each.name.toLowerCase().replace(/[ _-]+/g, ""), each.name]));

const any = (name, all) => (name === "*" ? all : label(name));

/** The channel, by what it is known, what it must not be used for, how each was answered. */
function preferred(found) {
  if (!found) return [];
  const by = { customer: "named by the customer", topology: "the topology's default", answers: "answered best" }[found.by];
  const named = found.named && found.named !== found.channel ? `; they named ${found.named}, which is none of its channels` : "";
  return [
    [found.channel, by + named],
    ...Object.entries(found.refused ?? {}).map(([purpose, why]) => [`not for ${label(purpose)}`, why]),
    ...(found.answers ?? []).map((each) => [`answers by ${each.channel}`, `${count(each.opened)} of ${count(each.sent)} opened, ${count(each.clicked)} clicked`]),
  ];
}

/** What became of a message. */
function became(each) {
  const [what, at] = [["clicked", each.clicked], ["opened", each.opened], ["delivered", each.delivered]].find(([, when]) => when) ?? ["sent, no answer yet", null];
  return [each.channel && `by ${each.channel}`, at ? `${what} ${instant(at)}` : what].filter(Boolean).join(", ");
}

/** An answer to a survey: score, class, when, the stages that led to it, what was written. */
function answered(each) {
  const ways = Object.entries(each.path ?? {});
  const way = ways.map(([journey, path]) => `${ways.length > 1 ? `${label(journey)}: ` : ""}${path.map((one) => label(one.stage)).join(" → ")}`).join("; ");
  return [`${each.score}, ${label(each.class)}, ${instant(each.at)}`, way && `after ${way}`, each.comment && `“${each.comment}”`].filter(Boolean).join("; ");
}

/** A consent in words. */
function word(each) {
  return [`${each.status} ${instant(each.at)}`, each.expires && `until ${instant(each.expires)}`, each.source && `by ${each.source}`].filter(Boolean).join(", ");
}

/** Names with what is said of each; two may be called the same. `words` writes a name that is not one of a definition's. */
function pairs(title, words = label) {
  const body = el("dl.pairs");
  const root = el("div", { hidden: true }, el("h3", {}, title), body);
  const tell = (entries) => {
    root.hidden = entries.length === 0;
    const met = new Map();
    const numbered = entries.map(([name, text]) => {
      met.set(name, (met.get(name) ?? 0) + 1);
      return { key: `${met.get(name)} ${name}`, name, text };
    });
    keyed(body, numbered, (each) => each.key, (each) => el("div", {}, el("dt", {}, words(each.name)), el("dd")), (made, each) => say(made.lastChild, each.text));
  };
  return { root, tell };
}

function timeline() {
  const list = el("ol.timeline");
  const note = el("p.note");
  const root = el("section.card", { "aria-labelledby": "timeline-title" }, el("h2", { id: "timeline-title" }, "Timeline"), note, list);
  const tell = (told) => {
    say(note, told.kept === 0 ? "This topology keeps no timeline: `journal: 50` in topology.yaml keeps the last fifty interactions." : told.entries.length ? `The last first; the last ${count(told.kept)} of each kind are kept.` : "Nothing happened yet since the timeline is kept.");
    const gone = told.retracted ?? {};
    const marks = (each) => each.decisions.filter((made) => gone[made.id]).length;
    keyed(list, told.entries, (each) => `${each.at} ${each.id ?? ""} ${each.decisions[0]?.id ?? ""} ${marks(each)}`, (each) => happened(each, gone));
  };
  return { root, tell };
}

function happened(entry, gone) {
  const where = entry.topic === null ? "a timer came due" : `${entry.topic} ${entry.partition}:${entry.offset}`;
  return el(entry.name === null ? "li.time" : "li", {},
    el("time", { datetime: entry.at }, instant(entry.at, true)),
    el("strong", {}, entry.name ?? "Time passed", " ", el("small", { title: entry.id ?? null }, where)),
    entry.decisions.length > 0 && el("ul", {}, entry.decisions.map((made) => decision(made, gone[made.id]))),
    entry.more > 0 && el("p.note", {}, `and ${count(entry.more)} more decisions that were not kept`));
}

function decision(event, gone) {
  const [kind, what, more] = decided(event);
  const why = event.data?.because ?? {};
  return el(`li.${kind}`, {}, el("details", {}, el("summary", {}, el(gone ? "s.what" : "span.what", {}, what), " ", el("span.more", {}, gone ? `withdrawn: ${label(gone.reason)} of ${instant(gone.at)}` : more)), reason(why, event)));
}

/** The whole why: rule, events, each condition with what was seen, each gate. */
function reason(why, event) {
  const lines = [
    ["rule", why.rule],
    ["due", why.due && instant(why.due, true)],
    ...(why.events ?? []).map((each) => ["came from", `${each.name}, ${instant(each.time, true)} (${each.topic} ${each.partition}:${each.offset})`]),
    ["seen", why.conditions?.length || why.events?.length ? "" : because(why)],
    ["id", event.id],
  ].filter(([, text]) => text);
  return el("div.reason", {},
    el("dl.pairs", {}, lines.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
    (why.conditions ?? []).length > 0 && el("ul.checks", { "aria-label": "Conditions" }, why.conditions.map((each) => check(each.holds, each.condition, Object.entries(each.saw ?? {}).map(([name, value]) => `${label(name)} ${shown(value)}`).join(", ")))),
    (why.gates ?? []).length > 0 && el("ul.checks", { "aria-label": "Gates" }, why.gates.map((each) => check(each.passed, `gate ${label(each.gate)}`, each.detail))));
}

function check(holds, text, detail) {
  const [kind, mark, word] = holds === true ? ["yes", "✓", "yes"] : holds === false ? ["no", "✕", "no"] : ["unknown", "?", "not known"];
  return el(`li.${kind}`, {}, el("span.mark", { "aria-hidden": true }, mark), el("span.unseen", {}, `${word}: `), el("span", {}, text), detail ? el("small", {}, detail) : null);
}

function silence(id, journeys, signal) {
  const choices = journeys.flatMap((journey) => [
    ...journey.triggers.map((each) => ({ journey: journey.journey, trigger: each.trigger })),
    ...(journey.flows ?? []).map((each) => ({ journey: journey.journey, flow: each.flow })),
  ]);
  const said = el("div", { role: "status" });
  if (!choices.length) return el("span");
  const option = (choice) => {
    const { journey, trigger, flow } = choice;
    return el("option", { value: choices.indexOf(choice) }, `${journeys.length > 1 ? `${label(journey)}: ` : ""}${label(trigger ?? flow)}`);
  };
  const group = (name, some) => (some.length ? el("optgroup", { label: name }, some.map(option)) : null);
  const groups = [group("Triggers", choices.filter((each) => each.trigger)), group("Flows", choices.filter((each) => each.flow))].filter(Boolean);
  const choose = el("select", { id: "rule" }, groups);
  const submit = async (event) => {
    event.preventDefault();
    const asked = choices[Number(choose.value)];
    try {
      said.replaceChildren(answer(await question(`/v1/customers/${encodeURIComponent(id)}/why-not`, asked)));
    } catch (error) {
      if (!signal.aborted) said.replaceChildren(el("p.note", {}, error.message));
    }
  };
  return el("section.card", { "aria-labelledby": "silence-title" }, el("h2", { id: "silence-title" }, "Why not?"),
    el("form.row", { submit }, el("label", { for: "rule" }, groups.length > 1 ? "Trigger or flow" : "Trigger"), choose, el("button", { type: "submit" }, "Ask")), said);
}

function answer(said) {
  const { called, guard, again, gates, differ } = said.why_not;
  const [not, last] = said.flow === null ? ["act", "last acted"] : ["begin", "an instance is under way since"];
  return el("div.reason", {},
    el("p", {}, differ?.length ? `As things stand it does not ${not}. What would have to differ:` : said.summary),
    differ?.length ? el("ul.differ", {}, differ.map((each) => el("li", {}, each))) : null,
    el("ul.checks", {}, tree(called), guard ? tree(guard) : null, tree(again), (gates ?? []).map((each) => check(each.passed, `gate ${label(each.gate)}`, each.detail))),
    el("p.note", {}, `As of ${instant(said.as_of, true)} UTC, in ${label(said.stage)}${said.last_acted ? `; ${last} ${instant(said.last_acted)}` : ""}.`));
}

/** A branch of an explanation, with its parts. */
function tree(branch) {
  const saw = Object.entries(branch.saw ?? {}).map(([name, value]) => `${label(name)} ${shown(value)}`).join(", ");
  const made = check(branch.holds, branch.condition, saw);
  if (branch.parts?.length) made.append(el("ul.checks", {}, branch.parts.map(tree)));
  return made;
}
