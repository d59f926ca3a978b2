import "graphiql/setup-workers/vite";
import "graphiql/style.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createClient } from "graphql-ws";
import { createRoot } from "react-dom/client";
import { addresses } from "./addresses";

const WELCOME = `# Ctrl+Enter 执行 / runs it
# 左上角书本 / the book, top left:
# 全部类型与字段 / every type and field

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
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(<GraphiQL fetcher={fetcher} defaultQuery={WELCOME} shouldPersistHeaders={false} />);
}
