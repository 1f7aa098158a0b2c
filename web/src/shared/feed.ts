import { Backoff } from "./backoff.ts";

export type FeedState = "connecting" | "open" | "waiting";

/** What a feed needs of `EventSource`. */
export interface Source {
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface FeedOptions {
  /** The address to read from turn `from` on. */
  address: (from: number) => string;
  /** Number of the last turn that is known already. */
  after: number;
  onTurn: (turn: { number: number }) => void;
  onOther?: (type: string, data: unknown) => void;
  others?: readonly string[];
  onState?: (state: FeedState) => void;
  open?: (address: string) => Source;
  backoff?: Backoff;
}

/**
 * Follows the turns of one conversation: each is told once and in order, however often the connection is lost.
 *
 * `EventSource` gives up for good when a restarting server answers with an error, so attempts are made here. A page
 * that is not looked at holds no connection: browsers allow six to a host, and other tabs need them.
 */
export class Feed {
  private last: number;
  private source: Source | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly backoff: Backoff;

  constructor(private readonly options: FeedOptions) {
    this.last = options.after;
    this.backoff = options.backoff ?? new Backoff();
    if (typeof document !== "undefined") document.addEventListener("visibilitychange", this.onVisibility);
    if (typeof window !== "undefined") window.addEventListener("online", this.retryNow);
    this.connect();
  }

  close(): void {
    this.disconnect();
    if (typeof document !== "undefined") document.removeEventListener("visibilitychange", this.onVisibility);
    if (typeof window !== "undefined") window.removeEventListener("online", this.retryNow);
  }

  private connect(): void {
    this.disconnect();
    this.options.onState?.("connecting");
    const address = this.options.address(this.last + 1);
    const source = this.options.open ? this.options.open(address) : new EventSource(address);
    this.source = source;
    source.onopen = () => {
      this.backoff.reset();
      this.options.onState?.("open");
    };
    source.onerror = () => this.lost();
    source.addEventListener("turn", (event) => this.take(JSON.parse(event.data) as { number: number }));
    for (const type of this.options.others ?? []) {
      source.addEventListener(type, (event) => this.options.onOther?.(type, JSON.parse(event.data)));
    }
  }

  private take(turn: { number: number }): void {
    if (turn.number <= this.last) return;
    this.last = turn.number;
    this.options.onTurn(turn);
  }

  private lost(): void {
    this.disconnect();
    this.options.onState?.("waiting");
    this.timer = setTimeout(() => this.connect(), this.backoff.nextMs());
  }

  private disconnect(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  private readonly onVisibility = (): void => {
    if (document.visibilityState === "hidden") this.disconnect();
    else if (this.source === null) this.connect();
  };

  private readonly retryNow = (): void => {
    if (this.source === null && document.visibilityState !== "hidden") this.connect();
  };
}
