import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The pages end up inside the Python package, which serves them under /static with a strict Content-Security-Policy.
export default defineConfig({
  base: "/static/",
  plugins: [react()],
  build: {
    outDir: "../clew/web/static",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 8000,
    rollupOptions: { input: { graphiql: "graphiql/index.html" } },
  },
  test: { include: ["**/*.test.ts"], exclude: ["node_modules/**"] },
});
