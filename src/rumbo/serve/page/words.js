// Numbers, lengths, times and decisions in words for people.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNITS = [["y", 31_557_600], ["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];

export const count = (number) => whole.format(number);
export const brief = (number) => (Math.abs(number) < 10_000 ? whole.format(number) : short.format(number));
export const decimal = (number) => tenth.format(number);
export const share = (part) => (part === null || part === undefined ? "–" : `${tenth.format(part * 100)} %`);

/** A length in the largest unit that it fills twice, so that "36 h" is not "1.5 d". */
export function length(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const [name, unit] = UNITS.find(([, size]) => seconds >= size * 2) ?? UNITS.at(-1);
  const number = seconds / unit;
  return `${number < 10 && unit > 1 ? tenth.format(number) : whole.format(number)} ${name}`;
}

/** An RFC 3339 instant as people read one, in UTC as it was said. */
export function instant(text, exact = false) {
  const found = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(\.\d+)?Z$/.exec(text ?? "");
  if (!found) return text ?? "–";
  return `${found[1]} ${found[2]}${exact ? (found[3] ?? "") : ""}`;
}

export const label = (name) => String(name).replaceAll("_", " ");

/** What was decided, in one line. */
export function decided(event) {
  const data = event.data ?? {};
  switch (String(event.type).split(".").slice(2, 4).join(".")) {
    case "stage.changed":
      return [data.direction, `${label(data.from)} → ${label(data.to)}`, data.implied ? "on the way" : `after ${length(data.dwell_seconds)}`];
    case "stage.stuck":
      return ["stuck", `stuck in ${label(data.stage)}`, `since ${instant(data.since)}`];
    case "stage.unstable":
      return ["stuck", `held before ${label(data.suggested)}`, `until ${instant(data.held_until)}`];
    case "stage.suggested":
      return ["aside", `would move to ${label(data.suggested)}`, "the stage is set by somebody"];
    case "segment.changed":
      return [data.change === "entered" ? "forward" : "aside", `segment ${label(data.segment)} ${data.change}`, ""];
    case "flow.changed":
      return [data.change === "entered" || data.change === "completed" ? "forward" : "aside", `flow ${label(data.flow)} ${data.change}`, [data.key, data.step && data.change !== "entered" && `at ${label(data.step)}`, data.change !== "entered" && label(data.reason)].filter(Boolean).join(", ")];
    case "exposure.recorded":
      return ["other", `in experiment ${label(data.experiment)}`, `variant ${label(data.variant)}`];
    case "score.changed":
      return ["score", `${label(data.score)} ${decimal(data.value)}`, data.band === data.previous_band ? `was ${decimal(data.previous)}` : `${data.previous_band ?? "no band"} → ${data.band ?? "no band"}`];
    case "action.requested":
      return ["action", label(data.trigger), asked(data)];
    case "action.suppressed":
      return ["held", `${label(data.trigger)} held back`, `${label(data.gate)}: ${data.detail}`];
    case "decision.retracted":
      return ["aside", data.reason === "reinstated" ? "holds again" : "withdrawn", `${label(data.retracted)} of ${instant(data.decided_at)}`];
    default:
      return ["other", String(event.type), ""];
  }
}

function asked(data) {
  const params = Object.entries(data.params ?? {}).map(([name, value]) => `${label(name)} ${shown(value)}`);
  return [data.kind, data.channel, ...params].filter(Boolean).join(", ");
}

/** Any value as text. */
export function shown(value) {
  if (value === null || value === undefined) return "unknown";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A reason in a few words: the conditions with what was seen, else the interaction, else time. */
export function because(why) {
  const seen = (why?.conditions ?? []).map((each) => {
    const saw = [...new Set(Object.values(each.saw ?? {}).map(shown))];
    return each.condition + (saw.length ? ` (saw ${saw.join(", ")})` : "");
  });
  return seen.join("; ") || why?.events?.[0]?.name || "time alone";
}
