import { expect, test } from "vitest";
import { type Task, merged, mutation, variables } from "./tasks";

const TASK: Task = {
  id: "t1", workflow: "change_evaluation", step: "assess/rd/rd_verdict", label: "R&D", outcomes: ["done"],
  fields: ["impacts"], sign: null, entity: "change_request", recordId: "r1", dueAt: null,
};

test("a step inside a branch is done by the mutation of its path", () => {
  const text = mutation(TASK);
  expect(text).toContain("changeEvaluationAssessRdRdVerdict(task: $task, outcome: done)");
  expect(text).toContain("# input: {impacts: …}");
  expect(text).not.toContain("signature");
});

test("a signed step shows what is signed and leaves the password to whoever signs", async () => {
  const signed = { ...TASK, step: "board", outcomes: ["approve", "reject"], sign: "approval" };
  const seen = { record: { rowVersion: 3, signable: { digest: "abc" } } };
  const asked: string[] = [];
  const found = await variables(signed, "qa.manager", async (query) => {
    asked.push(query);
    return seen;
  });
  expect(asked[0]).toContain("record: changeRequest(id: $id)");
  expect(found).toEqual({
    task: "t1",
    version: 3,
    signature: { login: "qa.manager", password: "", digest: "abc", meaning: "approval" },
  });
  expect(mutation(signed)).toContain("changeEvaluationBoard(task: $task, outcome: approve, rowVersion: $version");
});

test("other variables stay", () => {
  expect(JSON.parse(merged('{"pump": "p"}', { task: "t1" }))).toEqual({ pump: "p", task: "t1" });
  expect(JSON.parse(merged('{"pump": ', { task: "t1" }))).toEqual({ task: "t1" });
});
