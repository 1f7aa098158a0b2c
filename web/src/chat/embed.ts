/** `chat.js`: one script tag puts the chat on a page. */

import { TAG, define } from "./element.tsx";

/** The script's data attributes, and the attributes of the element that they become. */
const PASSED_ON = { title: "heading", layout: "layout", theme: "theme" } as const;

function start(script: HTMLScriptElement | null): void {
  define();
  const data = script?.dataset ?? {};
  if (data["layout"] === "none") return;
  const chat = document.createElement(TAG);
  const origin = script?.src ? new URL(script.src).origin : location.origin;
  chat.setAttribute("server", data["server"] ?? origin);
  for (const [name, attribute] of Object.entries(PASSED_ON)) {
    const value = data[name];
    if (value !== undefined) chat.setAttribute(attribute, value);
  }
  document.body.append(chat);
}

// A classic script knows its own tag only while it runs, and the body may not be there yet.
const own = document.currentScript as HTMLScriptElement | null;
if (document.body) start(own);
else document.addEventListener("DOMContentLoaded", () => start(own));
