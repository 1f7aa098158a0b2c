import { afterEach, describe, expect, it, vi } from "vitest";
import { EventParser, listen } from "../src/shared/events.ts";

function parsed(...chunks: string[]): [string, string][] {
  const told: [string, string][] = [];
  const parser = new EventParser((type, data) => told.push([type, data]));
  for (const chunk of chunks) parser.push(chunk);
  return told;
}

describe("events", () => {
  it("are the same however the text is cut", () => {
    const text = "retry: 1000\n\nid: 1\nevent: turn\ndata: {}\n\n:\n\ndata:a\r\ndata: b\r\n\r\ndata\r\revent: none\n\n";
    const expected = [
      ["turn", "{}"],
      ["message", "a\nb"],
      ["message", ""],
    ];
    expect(parsed(text)).toEqual(expected);
    expect(parsed(...text)).toEqual(expected);
  });

  it("that have not ended are not told", () => {
    expect(parsed("event: turn\ndata: {}\n")).toEqual([]);
  });
});

describe("a stream", () => {
  afterEach(() => void vi.unstubAllGlobals());

  async function heard(answer: () => Response): Promise<unknown[]> {
    const told: unknown[] = [];
    vi.stubGlobal("fetch", async (address: string, request: RequestInit) => {
      told.push(address, request.headers);
      return answer();
    });
    await new Promise<void>((resolve) => {
      listen(
        "turns?from=1",
        { Authorization: "Bearer x" },
        {
          opened: () => told.push("opened"),
          event: (type, data) => told.push([type, data]),
          lost: (status) => {
            told.push(status);
            resolve();
          },
        },
      );
    });
    return told;
  }
  const asked = ["turns?from=1", { Authorization: "Bearer x", Accept: "text/event-stream" }];

  it("tells its events and its end", async () => {
    const told = await heard(() => new Response("event: turn\ndata: ü\n\n"));
    expect(told).toEqual([...asked, "opened", ["turn", "ü"], 200]);
  });

  it("tells of a refusal, and of a server that is away", async () => {
    expect(await heard(() => new Response("", { status: 401 }))).toEqual([...asked, 401]);
    const away = await heard(() => {
      throw new TypeError("no connection");
    });
    expect(away).toEqual([...asked, 0]);
  });

  it("that was ended says nothing more", async () => {
    const told: string[] = [];
    vi.stubGlobal("fetch", async () => new Response("event: turn\ndata: 1\n\n"));
    const tell = (what: string) => () => void told.push(what);
    listen("turns", {}, { opened: tell("opened"), event: tell("event"), lost: tell("lost") })();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(told).not.toContain("lost");
  });
});
