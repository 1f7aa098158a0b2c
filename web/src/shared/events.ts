/** Server-sent events over `fetch`: unlike `EventSource` it can say who asks, and tells with which status it failed. */

export interface Heard {
  opened: () => void;
  event: (type: string, data: string) => void;
  /** The stream has ended, or never began. `status` is that of a refusal; 0: nobody answered. */
  lost: (status: number) => void;
}

/** Read a stream of events until it ends; what is given back ends it without another word. */
export type Listen = (address: string, headers: Readonly<Record<string, string>>, heard: Heard) => () => void;

export const listen: Listen = (address, headers, heard) => {
  const stop = new AbortController();
  const told = { ...headers, Accept: "text/event-stream" };
  void read(address, { headers: told, cache: "no-store", signal: stop.signal }, heard)
    .catch(() => 0)
    .then((status) => stop.signal.aborted || heard.lost(status));
  return () => stop.abort();
};

async function read(address: string, request: RequestInit, heard: Heard): Promise<number> {
  const response = await fetch(address, request);
  if (!response.ok || response.body === null) return response.status;
  heard.opened();
  const parser = new EventParser(heard.event);
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return response.status;
    parser.push(decoder.decode(value, { stream: true }));
  }
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream, without `id` and `retry`. */
export class EventParser {
  private rest = "";
  private type = "";
  private data: string[] = [];

  constructor(private readonly tell: (type: string, data: string) => void) {}

  push(text: string): void {
    // A CR at the end may be half of a line's end.
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/u);
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.take(line);
  }

  private take(line: string): void {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /u, "");
    if (name === "event") this.type = value;
    else if (name === "data") this.data.push(value);
  }

  private dispatch(): void {
    const [type, data] = [this.type || "message", this.data];
    this.type = "";
    this.data = [];
    if (data.length > 0) this.tell(type, data.join("\n"));
  }
}
