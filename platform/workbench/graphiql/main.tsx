import "graphiql/setup-workers/vite";
import "graphiql/style.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { createClient } from "graphql-ws";
import { createRoot } from "react-dom/client";
import { addresses } from "./addresses";
import { keeping } from "./keeping";
import { tasksPanel } from "./panel";
import type { Ask } from "./tasks";
import { Who, signedIn } from "./who";

const WELCOME = `# Ctrl+Enter 执行 / runs it
# 左上角:全部类型与字段、历史、我的任务
# top left: every type and field, history, my tasks

{
  __schema {
    queryType {
      fields {
        name
        description
      }
    }
  }
}
`;

const { http, socket } = addresses(window.location);
const fetcher = createGraphiQLFetcher({ url: http, wsClient: createClient({ url: socket, lazy: true }) });

const ask: Ask = async (query, variables) => {
  const body = JSON.stringify({ query, variables });
  const answer = await fetch(http, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(errors.map((each: { message: string }) => each.message).join("\n"));
  return data;
};

const root = document.getElementById("root");
if (root) {
  const person = await signedIn();
  createRoot(root).render(
    <>
      {person && <Who person={person} />}
      <GraphiQL
        fetcher={fetcher}
        defaultQuery={WELCOME}
        shouldPersistHeaders={false}
        storage={keeping(window.localStorage)}
        plugins={[HISTORY_PLUGIN, tasksPanel(ask, person?.login ?? "")]}
      />
    </>,
  );
}
