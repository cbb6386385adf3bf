// What mends each kind of problem. The kinds are those of `health.Kind`; a test compares.

const SERVICE = "python supervisor.py";

const REMEDIES = {
  "supervisor": ["It starts or stops, and says in its log why.", () => `${SERVICE} status`],
  "no-process": [
    "It is started again by itself, more and more seldom. If it dies each time, the log has its last words.",
    () => `${SERVICE} check`,
  ],
  "crash-loop": [
    "The text says how the last one ended, the log of its slot why. Whether settings, handler and cluster are as they should be:",
    () => `${SERVICE} check`,
  ],
  "roll": [
    "The text says why its first new process ended. What runs goes on with the former code. Once mended: SIGHUP again.",
    () => `${SERVICE} check`,
  ],
  "not-running": ["Nothing, for a moment: a process starts or ends.", () => `${SERVICE} status`],
  "no-heartbeat": [
    "The supervisor replaces it by itself when it hangs. At once, with all stacks in the log:",
    (_, slot) => `kill -ABRT ${slot.pid}`,
  ],
  "poll-loop": [
    "The supervisor replaces it by itself when it hangs. Where it is now:",
    (_, slot) => `${SERVICE} stacks ${slot.slot}`,
  ],
  "no-broker": [
    "Work goes on by itself when Kafka is back; no process restarts. If only this host says so, look at its network.",
    () => `${SERVICE} check`,
  ],
  "seat-taken": ["Nothing, for a moment: the former process of the slot still closes.", () => `${SERVICE} status`],
  "not-joined": ["A rebalance waits for a member, or Kafka is away. Who has what:", () => `${SERVICE} lag`],
  "rebalance": [
    "A member of the group, here or elsewhere, does not answer. One that is none of yours may hang.",
    ({ group }) => `kafka-consumer-groups.sh --bootstrap-server BROKER --describe --members --group ${quoted(group)}`,
  ],
  "oversized": [
    "Raise MEMORY_LIMIT or lower PROCESSES. It works meanwhile. What is set now:",
    () => `${SERVICE} --check-config`,
  ],
  "topic-missing": ["What comes to it is consumed when there is one. How it is made, and what else is wrong:", () => `${SERVICE} check`],
  "trouble": ["The text says what keeps it from running tasks. What else is wrong, and how it is mended:", () => `${SERVICE} check`],
  "dead-letters-unstored": [
    "The dead-letter topic is missing, forbidden or full. Nothing is lost; it goes on by itself after the cure.",
    () => `${SERVICE} check`,
  ],
  "messages-lost": [
    "Nobody can do them any more: work goes on with what is there. A longer retention, or more processes. What was lost of late:",
    () => `${SERVICE} events`,
  ],
  "held": [
    "Nothing of it is lost, the other partitions go on. If the text has a command, that one mends it. What it waits for:",
    (_, slot) => explain(slot.child.partitions.find((partition) => partition.held)),
  ],
  "stalled": [
    "The partition has messages and stands still, and nothing of ours explains it. What is known:",
    (_, slot) => explain(slot.child.partitions.find((partition) => partition.stalled)),
  ],
  "breaker": [
    "Mend what the handler depends on: it goes on by itself. If the messages are to blame, they are here:",
    () => `${SERVICE} dead-letters list --since 1h`,
  ],
  "log": [
    "Whoever reads the log stands still or is gone, or the disk is full. Who has it open:",
    (snapshot, slot) => `ls -l /proc/${(slot || snapshot).pid}/fd/1 /proc/${(slot || snapshot).pid}/fd/2`,
  ],
  "orders": [
    "What operators have ordered can't be read, or kept: is the folder of STATE_DIRECTORY there, ours, and is there room? What is in force:",
    () => `${SERVICE} pauses`,
  ],
  "files": [
    "The disk of that folder does not answer; what waits for it stands still. Is it another machine's (NFS)? What is mounted where:",
    () => "findmnt -t nfs,nfs4,cifs,fuse",
  ],
  "http": ["Its port is in use, or its process ended. It is tried again by itself. Who listens:", () => "ss -ltnp"],
};

// What to do, and the command, which is to be run on the service's host. `slot`: none where it is the supervisor's problem.
export function remedy(kind, snapshot, slot) {
  const [text, line] = REMEDIES[kind] || ["", () => `${SERVICE} status`];
  return { text, line: line(snapshot, slot) };
}

export function explain(place, offset = null) {
  return `${SERVICE} explain ${quoted(place.topic)}/${place.partition}${offset === null ? "" : `/${offset}`}`;
}

export const LIST_LETTERS = `${SERVICE} dead-letters list`;
export const REPLAY_LETTERS = `${SERVICE} dead-letters replay --since 1h --dry-run`;

// As a shell reads it as one word, whatever is in it.
function quoted(word) {
  return /^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
