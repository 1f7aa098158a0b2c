import { describe, expect, it } from "vitest";
import { Api } from "../src/inspector/api.ts";
import { describe as lineOf, entitiesOf } from "../src/inspector/describe.ts";
import { hashOf, routeOf } from "../src/inspector/route.ts";
import { Session, takeToken } from "../src/inspector/session.ts";
import { pointsBefore, spans } from "../src/inspector/spans.ts";
import { scrolledTo, windowOf } from "../src/inspector/windowing.ts";
import type { Turn } from "../src/inspector/types.ts";

describe("windows of long lists", () => {
  it("draws what is in sight and a few more", () => {
    expect(windowOf(100_000, 30, 60_000, 600, 5)).toEqual({ first: 1995, end: 2025 });
    expect(windowOf(3, 30, 0, 600, 5)).toEqual({ first: 0, end: 3 });
    expect(windowOf(0, 30, 900, 600, 5)).toEqual({ first: 0, end: 0 });
  });

  it("scrolls no further than it must, and to the middle of the screen from afar", () => {
    expect(scrolledTo(0, 30, 300, 600)).toBe(0);
    expect(scrolledTo(15, 30, 300, 600)).toBe(300);
    expect(scrolledTo(35, 30, 300, 600)).toBe(480);
    expect(scrolledTo(40, 30, 300, 600)).toBe(915);
    expect(scrolledTo(2, 30, 900, 600)).toBe(0);
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

  it("takes the token out of the page's address", () => {
    const session = new Session(null);
    const api = new Api(takeToken(session, new URL("https://bot/inspector/?token=a%26b#/c/x")), session);
    expect(api.server).toBe("https://bot");
    expect(api.stream("a/b", 3)).toBe("https://bot/inspector/api/conversations/a%2Fb/stream?from=3");
    expect(session.headers).toEqual({ Authorization: "Bearer a&b" });
    expect(takeToken(session, new URL("https://bot/inspector/?token=x#/c/x")).href).toBe("https://bot/inspector/#/c/x");
  });
});

describe("a session", () => {
  it("sends any text as the bytes of UTF-8, and nothing where nothing is known", () => {
    const session = new Session(null);
    expect(session.headers).toEqual({});
    session.keep(" ü ");
    expect(session.headers).toEqual({ Authorization: "Bearer \u00c3\u00bc" });
  });

  it("is refused by what was asked with its present credential alone", () => {
    const session = new Session(null);
    const told: string[] = [];
    session.onRefused = (message) => told.push(message);
    session.heed(403, "another page's", {});
    session.heed(401, "a stranger", {});
    const before = session.headers;
    session.keep("token");
    session.heed(401, "too late", before);
    session.heed(500, "broken", session.headers);
    session.heed(403, "a user", session.headers);
    expect(told).toEqual(["a stranger", "a user"]);
  });
});

it("says each event in a line", () => {
  const user = { event: "user", text: "hi", parse_data: { intent: { name: "greet", confidence: 1 } } };
  expect(lineOf(user)).toMatchObject({ kind: "user", label: "greet", text: "hi" });
  expect(lineOf({ event: "action", name: "utter_greet", policy: "RulePolicy", confidence: 1 }).text).toBe(
    "RulePolicy 100.0 %",
  );
  expect(lineOf({ event: "slot", name: "city", value: null }).text).toBe("null");
  const spoken = lineOf({
    event: "action",
    name: null,
    action_text: "It is sunny.",
    policy: "TEDPolicy",
    confidence: 1,
  });
  expect([spoken.label, spoken.text]).toEqual(["It is sunny.", "TEDPolicy 100.0 %"]);
  expect(lineOf({ event: "session_started", timestamp: 1 }).label).toBe("session_started");
  expect(lineOf({ event: "bot", text: "x".repeat(100_000) }).text.length).toBeLessThan(300);
});

it("shows entities that NLU and that policies found", () => {
  const city = { entity: "city", value: "Rome", start: 0, end: 4 };
  const time = { entity: "time", value: "now", start: 5, end: 8, extractor: "TEDPolicy" };
  const events = [
    { event: "user", text: "Rome now", parse_data: { entities: [city] } },
    { event: "entities", entities: [time] },
  ];
  expect(entitiesOf({ events } as unknown as Turn)).toEqual([city, time]);
  expect(events.map((event) => lineOf(event).text)).toEqual(["Rome now", "time: now"]);
});
