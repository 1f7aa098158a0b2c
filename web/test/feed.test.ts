import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Backoff } from "../src/shared/backoff.ts";
import type { Heard } from "../src/shared/events.ts";
import { Feed, type FeedState } from "../src/shared/feed.ts";

class FakeSource {
  closed = false;

  constructor(
    readonly address: string,
    readonly headers: Readonly<Record<string, string>>,
    private readonly heard: Heard,
  ) {}

  open(): void {
    this.heard.opened();
  }

  send(number: number): void {
    this.heard.event("turn", JSON.stringify({ number }));
  }

  fail(status = 0): void {
    this.heard.lost(status);
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function followed(after = 0) {
  const sources: FakeSource[] = [];
  const numbers: number[] = [];
  const states: FeedState[] = [];
  const refusals: number[] = [];
  const feed = new Feed({
    address: (from) => `turns?from=${from}`,
    after,
    onTurn: (turn) => numbers.push(turn.number),
    onState: (state) => states.push(state),
    onRefused: (status) => refusals.push(status),
    headers: () => ({ Authorization: `Bearer ${sources.length}` }),
    listen: (address, headers, heard) => {
      const source = new FakeSource(address, headers, heard);
      sources.push(source);
      return () => void (source.closed = true);
    },
    backoff: new Backoff(100, 400, () => 1),
  });
  return { feed, sources, numbers, states, refusals };
}

it("reads on after the last turn when the connection was lost", () => {
  const { sources, numbers, states } = followed();
  sources[0]?.send(1);
  sources[0]?.send(2);
  sources[0]?.fail();
  expect(sources[0]?.closed).toBe(true);
  vi.advanceTimersByTime(100);
  expect(sources.map((source) => source.address)).toEqual(["turns?from=1", "turns?from=3"]);
  sources[1]?.send(3);
  expect(numbers).toEqual([1, 2, 3]);
  expect(states).toEqual(["connecting", "waiting", "connecting"]);
});

it("tells each turn once, whatever is sent again", () => {
  const { sources, numbers } = followed(4);
  for (const number of [3, 4, 5, 5, 4, 6]) sources[0]?.send(number);
  expect(numbers).toEqual([5, 6]);
});

it("waits longer after each failure, up to a limit, and begins anew once it was connected", () => {
  const { sources } = followed();
  for (const waitMs of [100, 200, 400, 400]) {
    sources.at(-1)?.fail();
    const attempts = sources.length;
    vi.advanceTimersByTime(waitMs - 1);
    expect(sources.length).toBe(attempts);
    vi.advanceTimersByTime(1);
    expect(sources.length).toBe(attempts + 1);
  }
  sources.at(-1)?.open();
  sources.at(-1)?.fail();
  vi.advanceTimersByTime(100);
  expect(sources.length).toBe(6);
});

it("asks no more once it is closed", () => {
  const { feed, sources } = followed();
  sources[0]?.fail();
  feed.close();
  vi.advanceTimersByTime(10_000);
  expect(sources.length).toBe(1);
});

it("tells of a refusal, and says who asks anew with each attempt", () => {
  const { sources, refusals } = followed();
  sources[0]?.fail(401);
  vi.advanceTimersByTime(100);
  sources[1]?.fail();
  expect(refusals).toEqual([401]);
  expect(sources.map((source) => source.headers["Authorization"])).toEqual(["Bearer 0", "Bearer 1"]);
});
