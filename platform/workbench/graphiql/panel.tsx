/** The panel of one's tasks: a click fills in the variables, another writes the mutation. */

import { type GraphiQLPlugin, useGraphiQL } from "@graphiql/react";
import { useCallback, useEffect, useState } from "react";
import { type Ask, type Task, merged, mutation, myTasks, variables } from "./tasks";
import { t, zh } from "./words";

export function tasksPanel(ask: Ask, login: string): GraphiQLPlugin {
  return { title: t("我的任务", "My tasks"), icon: Icon, content: () => <Tasks ask={ask} login={login} /> };
}

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <rect x="4" y="4" width="16" height="16" rx="2" />
      <path d="M8 12l3 3 5-6" />
    </svg>
  );
}

function Tasks({ ask, login }: { ask: Ask; login: string }) {
  const [tasks, setTasks] = useState<Task[] | null>(null);
  const [problem, setProblem] = useState("");
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const told = useCallback((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)), []);
  const look = useCallback(() => {
    setProblem("");
    myTasks(ask).then(setTasks, told);
  }, [ask, told]);
  useEffect(look, [look]);

  const fill = (task: Task) =>
    variables(task, login, ask).then((found) => {
      setProblem("");
      variableEditor?.setValue(merged(variableEditor.getValue(), found));
    }, told);
  const write = (task: Task) => {
    queryEditor?.setValue(mutation(task));
    return fill(task);
  };

  return (
    <section className="tasks">
      <h2>{t("我的任务", "My tasks")}</h2>
      <p>
        {t("填入变量后,在变量栏补上签名所需的密码。", "Fills in the variables; add your password there where a step is signed.")}{" "}
        <button type="button" onClick={look}>
          {t("刷新", "Refresh")}
        </button>
      </p>
      {problem && <p role="alert">{problem}</p>}
      {tasks?.length === 0 && <p>{t("没有等待您办理的任务。", "Nothing waits for you.")}</p>}
      <ul>
        {tasks?.map((task) => (
          <li key={task.id}>
            <strong>{task.label}</strong> <small>{task.workflow}</small>
            {task.sign && " ✍"}
            {task.dueAt && <small> · {new Date(task.dueAt).toLocaleString(zh ? "zh-CN" : "en")}</small>}
            <div>
              <button type="button" onClick={() => void fill(task)}>
                {t("填入变量", "Fill variables")}
              </button>{" "}
              <button type="button" onClick={() => void write(task)}>
                {t("写出操作", "Write mutation")}
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
