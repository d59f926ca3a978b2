/** One's tasks, and what to write to do one: its variables and its mutation. */

export interface Task {
  id: string;
  workflow: string;
  step: string;
  label: string;
  outcomes: string[];
  fields: string[];
  sign: string | null;
  entity: string;
  recordId: string;
  dueAt: string | null;
}

export type Ask = (query: string, variables: Record<string, unknown>) => Promise<Record<string, any>>;

const MINE = "{ myTasks(first: 100) { id workflow step label outcomes fields sign entity recordId dueAt } }";

/** The tasks that ask whoever is signed in. Throws what the server answers. */
export async function myTasks(ask: Ask): Promise<Task[]> {
  return (await ask(MINE, {})).myTasks;
}

/** The variables to do it with. For a step that is signed: what is shown of the record now, and room for the password. */
export async function variables(task: Task, login: string, ask: Ask): Promise<Record<string, unknown>> {
  if (!task.sign) return { task: task.id };
  const look = `query ($id: ID!) { record: ${camel(task.entity)}(id: $id) { rowVersion signable { digest } } }`;
  const { record } = await ask(look, { id: task.recordId });
  const signature = { login, password: "", digest: record.signable.digest, meaning: task.sign };
  return { task: task.id, version: record.rowVersion, signature };
}

/** The mutation that does it, with its first outcome; what it may fill in stands above. */
export function mutation(task: Task): string {
  const name = camel(task.workflow) + task.step.split("/").map(pascal).join("");
  const signed = task.sign ? ", $version: Int!, $signature: SignatureInput!" : "";
  const by = task.sign ? ", rowVersion: $version, signature: $signature" : "";
  const known = [`# outcome: ${task.outcomes.join(" | ")}`];
  if (task.fields.length) known.push(`# input: {${task.fields.map((field) => `${field}: …`).join(", ")}}`);
  return `${known.join("\n")}
mutation ($task: ID!${signed}) {
  ${name}(task: $task, outcome: ${task.outcomes[0] ?? "done"}${by}) { process { status at } }
}
`;
}

/** Variables with others put over them; what cannot be read is left behind. */
export function merged(written: string, over: Record<string, unknown>): string {
  let found: unknown = {};
  try {
    found = JSON.parse(written || "{}");
  } catch {
    // They were still being written.
  }
  const before = typeof found === "object" && found !== null && !Array.isArray(found) ? found : {};
  return JSON.stringify({ ...before, ...over }, null, 2);
}

function camel(name: string): string {
  const all = pascal(name);
  return all.charAt(0).toLowerCase() + all.slice(1);
}

function pascal(name: string): string {
  return name
    .split("_")
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join("");
}
