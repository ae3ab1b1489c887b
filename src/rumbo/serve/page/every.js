// Something asked again and again while somebody looks: not in a tab that is hidden, and more slowly while it fails.

const SLOWEST = 15;

/** Ask every so many seconds until the signal. A refusal goes to `trouble`, which is told null when all is well again. */
export async function every(seconds, task, signal, trouble) {
  let failed = 0;
  while (!signal.aborted) {
    if (!document.hidden) {
      try {
        await task();
        if (signal.aborted) return;
        trouble(null);
        failed = 0;
      } catch (error) {
        if (signal.aborted) return;
        failed += 1;
        if (trouble(error) === "stop") return;
      }
    }
    await pause(Math.min(seconds * 2 ** Math.min(failed, 3), Math.max(SLOWEST, seconds)), signal);
  }
}

/** Wait, or until the signal. */
export function pause(seconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });
}
