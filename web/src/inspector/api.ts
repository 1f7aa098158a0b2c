import type { Session } from "./session.ts";
import type * as t from "./types.ts";

/** A refusal of the gateway, in its own words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface StoryRequest {
  turn: number;
  name: string;
  kind: "test" | "story";
  file?: string;
  save: boolean;
}

export interface ExampleRequest {
  text: string;
  intent: string;
  entities: { start: number; end: number; entity: string; role?: string; group?: string; value?: string }[];
  save: boolean;
}

/** The gateway's inspector, for whoever the session says that one is. */
export class Api {
  readonly server: string;

  constructor(
    page: URL,
    readonly session: Session,
  ) {
    this.server = new URL("..", page).href.replace(/\/+$/u, "");
  }

  address(path: string, query: Record<string, string | number> = {}): string {
    const asked = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
    const text = asked.toString();
    return `${this.server}/inspector/api/${path}${text === "" ? "" : `?${text}`}`;
  }

  assistant(): Promise<t.Assistant> {
    return this.get(this.address("assistant"));
  }

  conversations(q: string, flag: string, cursor: string | null, signal: AbortSignal): Promise<t.SummaryPage> {
    const query: Record<string, string | number> = { limit: 100 };
    if (q !== "") query["q"] = q;
    if (flag !== "") query["flag"] = flag;
    if (cursor !== null) query["cursor"] = cursor;
    return this.get(this.address("conversations", query), signal);
  }

  turns(id: string, from: number, signal: AbortSignal): Promise<{ turns: t.Turn[]; next: number | null }> {
    return this.get(this.of(id, "turns", { from, limit: 200 }), signal);
  }

  stream(id: string, from: number): string {
    return this.of(id, "stream", { from });
  }

  explanation(id: string, turn: number, signal: AbortSignal): Promise<t.Explanation> {
    return this.get(this.of(id, `turns/${turn}/explanation`), signal);
  }

  tracker(id: string, turn: number, signal: AbortSignal): Promise<t.Tracker> {
    return this.get(this.of(id, "tracker", { turn }), signal);
  }

  fork(id: string, turn: number): Promise<{ id: string }> {
    return this.post(this.of(id, "fork"), { turn });
  }

  story(id: string, request: StoryRequest): Promise<t.StoryPreview> {
    return this.post(this.of(id, "story"), request);
  }

  example(request: ExampleRequest): Promise<t.ExamplePreview> {
    return this.post(this.address("examples"), request);
  }

  compare(id: string, bundle: string, turn: number): Promise<{ turns: t.ComparedTurn[] }> {
    return this.post(this.of(id, "compare"), { bundle, turn });
  }

  private of(id: string, what: string, query: Record<string, string | number> = {}): string {
    return this.address(`conversations/${encodeURIComponent(id)}/${what}`, query);
  }

  private get<T>(address: string, signal?: AbortSignal): Promise<T> {
    return this.ask<T>(address, signal ? { signal } : {});
  }

  private post<T>(address: string, body: unknown): Promise<T> {
    const headers = { "Content-Type": "application/json" };
    return this.ask<T>(address, { method: "POST", headers, body: JSON.stringify(body) });
  }

  private async ask<T>(address: string, request: RequestInit): Promise<T> {
    const credential = this.session.headers;
    const response = await fetch(address, { ...request, headers: { ...credential, ...request.headers } });
    if (response.ok) return (await response.json()) as T;
    const told = (await response.json().catch(() => ({}))) as { message?: string };
    const message = told.message ?? `The gateway answered ${response.status}.`;
    this.session.heed(response.status, message, credential);
    throw new Refused(response.status, message);
  }
}
