import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Backoff } from "../src/shared/backoff.ts";
import { Feed, type FeedState, type Source } from "../src/shared/feed.ts";

class FakeSource implements Source {
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  closed = false;
  private readonly listeners = new Map<string, (event: MessageEvent<string>) => void>();

  constructor(readonly address: string) {}

  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void {
    this.listeners.set(type, listener);
  }

  close(): void {
    this.closed = true;
  }

  send(number: number): void {
    this.listeners.get("turn")?.({ data: JSON.stringify({ number }) } as MessageEvent<string>);
  }

  fail(): void {
    this.onerror?.(new Event("error"));
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function followed(after = 0) {
  const sources: FakeSource[] = [];
  const numbers: number[] = [];
  const states: FeedState[] = [];
  const feed = new Feed({
    address: (from) => `turns?from=${from}`,
    after,
    onTurn: (turn) => numbers.push(turn.number),
    onState: (state) => states.push(state),
    open: (address) => {
      const source = new FakeSource(address);
      sources.push(source);
      return source;
    },
    backoff: new Backoff(100, 400, () => 1),
  });
  return { feed, sources, numbers, states };
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
  sources.at(-1)?.onopen?.(new Event("open"));
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
