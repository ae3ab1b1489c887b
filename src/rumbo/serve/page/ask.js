// Asking the worker: the token (kept in this tab's session storage), time limits, refusals as errors with their own words.

const KEPT = "rumbo-token";
const SECONDS = 12;

/** A refusal: status 0 where nobody answers. */
export class Refusal extends Error {
  constructor(status, title, detail, after) {
    super(detail || title);
    Object.assign(this, { status, title, after });
  }
}

export const hasToken = () => sessionStorage.getItem(KEPT) !== null;
export const keepToken = (token) => sessionStorage.setItem(KEPT, token);
export const dropToken = () => sessionStorage.removeItem(KEPT);

/** What it means that nothing (more) came: whoever asked has left, or the worker is away. */
function away(signal) {
  const left = signal?.aborted && signal.reason?.name === "AbortError";
  return left ? signal.reason : new Refusal(0, "No answer", "the worker does not answer");
}

async function request(path, { signal, ...more } = {}) {
  const headers = { ...more.headers };
  if (hasToken()) headers.Authorization = `Bearer ${sessionStorage.getItem(KEPT)}`;
  let answer;
  try {
    answer = await fetch(path, { ...more, headers, signal, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch {
    throw away(signal);
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Refusal(answer.status, said.title ?? answer.statusText, said.detail, said.retry_after);
}

/** The JSON of an answer. Throws Refusal. */
export async function ask(path, { signal, ...more } = {}) {
  const limit = AbortSignal.timeout(SECONDS * 1000);
  const both = signal ? AbortSignal.any([signal, limit]) : limit;
  const answer = await request(path, { ...more, signal: both });
  return answer.json().catch(() => {
    throw away(both);
  });
}

export const question = (path, body) =>
  ask(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/** Server-sent events, `heard(event, data)` each, until the worker ends it. By fetch: an EventSource cannot carry a token. */
export async function listen(path, heard, signal, opened) {
  const answer = await request(path, { signal });
  opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { value, done } = await reader.read().catch(() => {
      throw away(signal);
    });
    if (done) return;
    const events = (left + value).split("\n\n");
    left = events.pop();
    for (const each of events) {
      const lines = each.split("\n").map((line) => /^(event|data): (.*)$/.exec(line)).filter(Boolean);
      const said = Object.fromEntries(lines.map(([, name, text]) => [name, text]));
      if (said.event) heard(said.event, said.data);
    }
  }
}
