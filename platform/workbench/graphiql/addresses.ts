/** Where the API lives, seen from the page: the same host, over HTTP and over WebSocket. */
export function addresses(page: { protocol: string; host: string }): { http: string; socket: string } {
  const socketProtocol = page.protocol === "https:" ? "wss:" : "ws:";
  return { http: `${page.protocol}//${page.host}/graphql`, socket: `${socketProtocol}//${page.host}/graphql` };
}
