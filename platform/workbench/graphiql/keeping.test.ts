import { expect, test } from "vitest";
import { keeping, withoutSecrets } from "./keeping";

const VARIABLES = '{\n  "task": "1",\n  "signature": {"login": "li", "password": "hunter\\"2 secret"}\n}';

test("no password is kept, wherever it stands", () => {
  const state = JSON.stringify({ tabs: [{ query: '{ a }', variables: VARIABLES }] });
  const cut = '{"signature": {"login": "li", "password": "hunter2 secr';
  const document = 'mutation { check(input: {login: "li", password: "hunter2 secret"}) { ok } }';
  for (const text of [VARIABLES, state, cut, document, JSON.stringify({ queries: [{ query: document }] })]) {
    expect(withoutSecrets(text)).not.toContain("hunter");
  }
  expect(JSON.parse(JSON.parse(withoutSecrets(state)).tabs[0].variables)).toEqual({
    task: "1",
    signature: { login: "li", password: "" },
  });
});

test("everything else stays as it was written", () => {
  const state = JSON.stringify({ tabs: [{ query: '{ units(where: {code: {eq: "pcs"}}) { id } }', variables: '{ "a":  1 }' }] });
  expect(withoutSecrets(state)).toBe(state);
  expect(withoutSecrets("{ units { id } }")).toBe("{ units { id } }");
});

test("what was kept before is shown without it", () => {
  const kept = new Map([["graphiql:variables", VARIABLES]]);
  const store = keeping({
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
    clear: () => kept.clear(),
    get length() {
      return kept.size;
    },
  });
  expect(store.getItem("graphiql:variables")).not.toContain("hunter");
  store.setItem("graphiql:variables", VARIABLES);
  expect(kept.get("graphiql:variables")).not.toContain("hunter");
});
