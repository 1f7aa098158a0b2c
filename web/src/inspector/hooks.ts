import { useEffect, useRef, useState } from "preact/hooks";
import { Feed, type FeedState } from "../shared/feed.ts";
import type { Api } from "./api.ts";
import { Refused } from "./api.ts";
import type { Turn } from "./types.ts";

export interface Loaded<T> {
  value: T | null;
  problem: string;
}

/** What `load` gives, anew whenever one of `inputs` changes; an answer that comes too late is dropped. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T> | null, inputs: readonly unknown[]): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ value: null, problem: "" });
  useEffect(() => {
    const stop = new AbortController();
    const asked = load(stop.signal);
    setLoaded({ value: null, problem: "" });
    asked?.then(
      (value) => !stop.signal.aborted && setLoaded({ value, problem: "" }),
      (error: unknown) => !stop.signal.aborted && setLoaded({ value: null, problem: messageOf(error) }),
    );
    return () => stop.abort();
  }, inputs);
  return loaded;
}

export interface Conversation {
  turns: readonly Turn[];
  /** Whether what was there before is read. */
  read: boolean;
  connection: FeedState;
  problem: string;
}

const NOTHING: Conversation = { turns: [], read: false, connection: "connecting", problem: "" };

/** The turns of a conversation: those of before page by page, then live. */
export function useConversation(api: Api, id: string): Conversation {
  const [state, setState] = useState<Conversation>(NOTHING);
  useEffect(() => {
    setState(NOTHING);
    if (id === "") return undefined;
    const stop = new AbortController();
    let feed: Feed | null = null;
    const change = (change: Partial<Conversation>) => setState((before) => ({ ...before, ...change }));
    const take = (turn: Turn) => setState((before) => ({ ...before, turns: [...before.turns, turn] }));
    void readAll(api, id, stop.signal, (turns) => change({ turns })).then(
      (last) => {
        if (stop.signal.aborted) return;
        change({ read: true });
        feed = new Feed({
          address: (from) => api.stream(id, from),
          after: last,
          onTurn: (turn) => take(turn as Turn),
          onState: (connection) => change({ connection }),
          onRefused: (status) => api.session.heed(status, `The gateway answered ${status}.`, api.session.headers),
          headers: () => api.session.headers,
        });
      },
      (error: unknown) => !stop.signal.aborted && change({ problem: messageOf(error), read: true }),
    );
    return () => {
      stop.abort();
      feed?.close();
    };
  }, [api, id]);
  return state;
}

/** All turns that there are; the number of the last. A conversation that nobody began has none. */
async function readAll(api: Api, id: string, signal: AbortSignal, tell: (turns: Turn[]) => void): Promise<number> {
  let turns: Turn[] = [];
  let next: number | null = 1;
  try {
    while (next !== null) {
      const page: { turns: Turn[]; next: number | null } = await api.turns(id, next, signal);
      turns = [...turns, ...page.turns];
      next = page.next;
      tell(turns);
    }
  } catch (error) {
    if (!(error instanceof Refused && error.status === 404)) throw error;
  }
  return turns.at(-1)?.number ?? 0;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The value once it has stayed the same for a while. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return undefined;
    }
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
