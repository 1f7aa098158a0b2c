import { defineConfig, type UserConfig } from "vite";

const OUTPUT = "../services/turnstream/gateway/static";

/** The inspector page, and what its HTML names. Names carry no hash: the gateway answers with validators. */
const page: UserConfig = {
  base: "./",
  publicDir: "public",
  build: {
    outDir: OUTPUT,
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        entryFileNames: "assets/inspector.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
};

/** The chat as one file that a host page includes with a script tag. */
const chat: UserConfig = {
  publicDir: false,
  build: {
    outDir: OUTPUT,
    emptyOutDir: false,
    lib: { entry: "src/chat/embed.ts", formats: ["iife"], name: "TurnstreamChat", fileName: () => "chat.js" },
  },
};

export default defineConfig(({ mode }) => ({ ...(mode === "chat" ? chat : page) }));
