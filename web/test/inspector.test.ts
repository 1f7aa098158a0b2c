import { describe, expect, it } from "vitest";
import { Api } from "../src/inspector/api.ts";
import { describe as lineOf } from "../src/inspector/describe.ts";
import { hashOf, routeOf } from "../src/inspector/route.ts";
import { pointsBefore, spans } from "../src/inspector/spans.ts";
import { scrolledTo, windowOf } from "../src/inspector/windowing.ts";

describe("windows of long lists", () => {
  it("draws what is in sight and a few more", () => {
    expect(windowOf(100_000, 30, 60_000, 600, 5)).toEqual({ first: 1995, end: 2025 });
    expect(windowOf(3, 30, 0, 600, 5)).toEqual({ first: 0, end: 3 });
    expect(windowOf(0, 30, 900, 600, 5)).toEqual({ first: 0, end: 0 });
  });

  it("scrolls no further than it must", () => {
    expect(scrolledTo(0, 30, 300, 600)).toBe(0);
    expect(scrolledTo(15, 30, 300, 600)).toBe(300);
    expect(scrolledTo(40, 30, 300, 600)).toBe(630);
  });
});

describe("entities over a text", () => {
  it("counts code points, as the services do", () => {
    const text = "😀 to Berlin";
    const found = spans(text, [{ entity: "city", start: 5, end: 11 }]);
    expect(found.map((span) => [span.text, span.entities.length])).toEqual([
      ["😀 to ", 0],
      ["Berlin", 1],
    ]);
    expect(pointsBefore(text, text.indexOf("Berlin"))).toBe(5);
  });

  it("shows those that overlap, and leaves out those beyond the text", () => {
    const entities = [
      { entity: "a", start: 0, end: 3 },
      { entity: "b", start: 2, end: 5 },
      { entity: "c", start: 4, end: 99 },
    ];
    const found = spans("abcde", entities);
    expect(found.map((span) => [span.text, span.entities.map((one) => one.entity).join()])).toEqual([
      ["ab", "a"],
      ["c", "a,b"],
      ["de", "b"],
    ]);
  });
});

describe("addresses", () => {
  it("keeps where the page is, whatever the id", () => {
    const route = { view: "conversation", id: "a/b ü#?", turn: 7 } as const;
    expect(routeOf(hashOf(route))).toEqual(route);
    expect(routeOf("#/conversations")).toEqual({ view: "conversations" });
    expect(routeOf("#/c/x/nonsense")).toEqual({ view: "conversation", id: "x", turn: null });
    expect(routeOf("")).toEqual({ view: "conversation", id: "", turn: null });
    expect(routeOf("#/c/%E0%A4%A")).toEqual({ view: "conversation", id: "%E0%A4%A", turn: null });
  });

  it("passes the page's token on", () => {
    const api = new Api(new URL("https://bot/inspector/?token=a%26b#/c/x"));
    expect(api.server).toBe("https://bot");
    expect(api.stream("a/b", 3)).toBe("https://bot/inspector/api/conversations/a%2Fb/stream?from=3&token=a%26b");
  });
});

it("says each event in a line", () => {
  const user = { event: "user", text: "hi", parse_data: { intent: { name: "greet", confidence: 1 } } };
  expect(lineOf(user)).toMatchObject({ kind: "user", label: "greet", text: "hi" });
  expect(lineOf({ event: "action", name: "utter_greet", policy: "RulePolicy", confidence: 1 }).text).toBe(
    "RulePolicy 100.0 %",
  );
  expect(lineOf({ event: "slot", name: "city", value: null }).text).toBe("null");
  expect(lineOf({ event: "session_started", timestamp: 1 }).label).toBe("session_started");
  expect(lineOf({ event: "bot", text: "x".repeat(100_000) }).text.length).toBeLessThan(300);
});
