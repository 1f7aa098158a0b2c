import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ChatClient, type ChatTurn } from "../src/chat/client.ts";
import { Store } from "../src/chat/store.ts";

/** A response whose body is written piece by piece. */
class FakeStream {
  static all: FakeStream[] = [];
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  private readonly readable: ReadableStream<Uint8Array>;

  constructor(readonly address: string) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    this.readable = readable;
    this.writer = writable.getWriter();
    FakeStream.all.push(this);
  }

  get response(): Response {
    return new Response(this.readable);
  }

  async send(type: string, data: unknown): Promise<void> {
    await this.writer.write(new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`));
    await vi.advanceTimersByTimeAsync(0);
  }
}

interface Posted {
  sender: string;
  message: string;
  message_id: string;
}

let answers: (number | "down")[];
let posted: Posted[];

beforeEach(() => {
  vi.useFakeTimers();
  FakeStream.all = [];
  answers = [];
  posted = [];
  vi.stubGlobal("fetch", async (address: string, request: { body?: string }) => {
    if (request.body === undefined) return new FakeStream(address).response;
    const answer = answers.shift() ?? 202;
    posted.push(JSON.parse(request.body) as Posted);
    if (answer === "down") throw new TypeError("no connection");
    return Response.json({ message: "too long" }, { status: answer });
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function opened(): Promise<{ client: ChatClient; source: FakeStream }> {
  const client = new ChatClient("https://bot", new Store("https://bot", null));
  client.open("c 1");
  await vi.advanceTimersByTimeAsync(0);
  const source = FakeStream.all[0];
  if (source === undefined) throw new Error("nothing was opened");
  return { client, source };
}

function turn(number: number, message_id: string, more: Partial<ChatTurn> = {}): ChatTurn {
  return { number, message_id, text: "hello", replies: [], committed_at: "", bundle_version: "1", ...more };
}

it("insists with the same id until the message is accepted", async () => {
  const { client } = await opened();
  answers = ["down", 503, 202];
  client.say("hello");
  expect(client.state.pending.map((one) => one.state)).toEqual(["sending"]);
  await vi.advanceTimersByTimeAsync(5000);
  expect(posted.map((one) => one.message)).toEqual(["hello", "hello", "hello"]);
  expect(new Set(posted.map((one) => one.message_id)).size).toBe(1);
  expect(posted[0]?.sender).toBe("c 1");
  expect(client.state.pending.map((one) => one.state)).toEqual(["accepted"]);
  expect(client.store.unsent("c 1")).toEqual([]);
});

it("gives up a message that is refused, says why, and sends the next", async () => {
  const { client } = await opened();
  answers = [413];
  client.say("long");
  client.say("short");
  await vi.advanceTimersByTimeAsync(10);
  expect(client.state.pending.map((one) => [one.state, one.reason])).toEqual([
    ["refused", "too long"],
    ["accepted", undefined],
  ]);
});

it("shows that the assistant types between the message and its turn", async () => {
  const { client, source } = await opened();
  client.say("hello");
  await vi.advanceTimersByTimeAsync(10);
  expect(client.state.typing).toBe(true);
  await source.send("turn", turn(1, posted[0]?.message_id ?? ""));
  expect([client.state.typing, client.state.pending, client.state.turns.length]).toEqual([false, [], 1]);
  await source.send("typing", { message_id: "of another tab" });
  expect(client.state.typing).toBe(true);
  await source.send("turn", turn(2, "of another tab"));
  expect(client.state.typing).toBe(false);
});

it("shows the title of the button that was pressed, in every tab", async () => {
  const { client, source } = await opened();
  await source.send(
    "turn",
    turn(1, "a", { replies: [{ text: "Sure?", buttons: [{ title: "Yes", payload: "/affirm" }] }] }),
  );
  expect(client.shownAs("/affirm")).toBe("Yes");
  expect(client.shownAs("/deny")).toBe("/deny");
});

it("tells the host page of turns that come in, not of those that were there", async () => {
  const { client, source } = await opened();
  const told: number[] = [];
  client.onTurn = (one) => told.push(one.number);
  await source.send("turn", turn(1, "a"));
  await vi.advanceTimersByTimeAsync(1000);
  await source.send("turn", turn(2, "b"));
  expect(told).toEqual([2]);
});
