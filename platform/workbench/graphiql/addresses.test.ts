import { expect, test } from "vitest";
import { addresses } from "./addresses";

test("the socket is encrypted exactly when the page is", () => {
  expect(addresses({ protocol: "http:", host: "127.0.0.1:8000" }).socket).toBe("ws://127.0.0.1:8000/graphql");
  expect(addresses({ protocol: "https:", host: "clew.example" }).socket).toBe("wss://clew.example/graphql");
});

test("requests stay on the page's own host", () => {
  expect(addresses({ protocol: "http:", host: "127.0.0.1:8000" }).http).toBe("http://127.0.0.1:8000/graphql");
});
