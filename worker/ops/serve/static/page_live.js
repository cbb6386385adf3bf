// The newest snapshot, and how old it is. It is never taken for live because it has just come: the first one of a stream may be
// hours old, so its age is asked for. A page that nobody sees asks for nothing.

const OLD_SECONDS = 5; // one comes about each second
const AGAIN_SECONDS = 3;
const GRACE_SECONDS = 2; // for the first word, when somebody looks again
const SILENT_SECONDS = 20; // a stream without news says at least each 15 s that it is there

export class Live {
  // told(snapshot): a new one; happened(id, event): something; changed(state, age in seconds or null, why): each second, and when it changes.
  constructor(told, happened, changed) {
    this.told = told;
    this.happened = happened;
    this.changed = changed;
    this.heardAt = null; // when what is shown was true, by our clock
    this.why = "";
    this.connected = false;
    this.stream = null;
    this.lookedAt = Date.now();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.goOn()));
    setInterval(() => this.tick(), 1000);
    if (document.hidden) this.tick();
    else this.open();
  }

  pause() {
    this.close();
    this.why = "";
    this.tick();
  }

  goOn() {
    this.lookedAt = Date.now();
    this.open();
  }

  close() {
    clearTimeout(this.again);
    if (this.stream) this.stream.close();
    this.stream = null;
    this.connected = false;
    this.fresh = false;
  }

  open() {
    this.close();
    this.asked = Date.now();
    const stream = new EventSource("api/v1/events");
    this.stream = stream;
    let first = true;
    stream.addEventListener("open", () => {
      this.connected = true;
      this.tick();
    });
    stream.addEventListener("snapshot", async (event) => {
      const began = first;
      first = false;
      const age = began ? await this.ageOfNewest() : 0;
      if (stream !== this.stream || (began && this.fresh)) return;
      this.fresh = true;
      this.heardAt = age === null ? this.heardAt : Date.now() - age * 1000;
      this.told(JSON.parse(event.data));
      this.tick();
    });
    stream.addEventListener("event", (event) => this.happened(event.lastEventId, JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      if (stream !== this.stream) return;
      this.close();
      this.again = setTimeout(() => this.open(), AGAIN_SECONDS * 1000);
      this.tick();
    });
    this.tick();
  }

  async ageOfNewest() {
    try {
      const answer = await fetch("api/v1/snapshot", { method: "HEAD", signal: AbortSignal.timeout(5000) });
      const age = answer.headers.get("age");
      return answer.ok && age !== null ? Number(age) : null;
    } catch {
      return null;
    }
  }

  age() {
    return this.heardAt === null ? null : (Date.now() - this.heardAt) / 1000;
  }

  state() {
    if (document.hidden) return "paused";
    const age = this.age();
    if (this.connected && this.fresh && age !== null && age <= OLD_SECONDS) return "live";
    if (Date.now() - this.lookedAt < GRACE_SECONDS * 1000) return "connecting";
    if (age !== null && age > OLD_SECONDS) return "old";
    return age === null && Date.now() - this.asked > OLD_SECONDS * 1000 ? "old" : "connecting";
  }

  tick() {
    const state = this.state();
    if (state === "live") this.why = "";
    if (state === "old") this.askWhy();
    this.changed(state, this.age(), this.why);
  }

  // What the HTTP part knows of the silence; at most every few seconds.
  async askWhy() {
    if (this.asking || Date.now() - (this.askedWhy || 0) < AGAIN_SECONDS * 1000) return;
    this.asking = true;
    this.askedWhy = Date.now();
    this.why = await reasonOfSilence();
    this.asking = false;
    if (this.stream && this.age() > SILENT_SECONDS && this.why === NO_ANSWER) this.open();
  }
}

const NO_ANSWER = "the HTTP part does not answer";

async function reasonOfSilence() {
  try {
    const allowed = await fetch("api/v1/snapshot", { method: "HEAD", signal: AbortSignal.timeout(5000) });
    if (allowed.status === 401) return "the token is wanted: load the page anew to log in";
    const answer = await fetch("livez", { signal: AbortSignal.timeout(5000) });
    return answer.ok ? "" : (await answer.text()).trim().replace(/^\[-\]\w+: /, "").slice(0, 300);
  } catch {
    return NO_ANSWER;
  }
}
