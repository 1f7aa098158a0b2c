import { Backoff } from "./backoff.ts";
import { listen, type Listen } from "./events.ts";

export type FeedState = "connecting" | "open" | "waiting";

export interface FeedOptions {
  /** The address to read from turn `from` on. */
  address: (from: number) => string;
  /** Number of the last turn that is known already. */
  after: number;
  onTurn: (turn: { number: number }) => void;
  /** Told of events that are no turns. */
  onOther?: (type: string, data: unknown) => void;
  onState?: (state: FeedState) => void;
  /** Told of the status with which the server refused. */
  onRefused?: (status: number) => void;
  /** What is sent with each request. */
  headers?: () => Readonly<Record<string, string>>;
  listen?: Listen;
  backoff?: Backoff;
}

/**
 * Follows the turns of one conversation: each is told once and in order, however often the connection is lost.
 *
 * The address says from which turn on, as `Last-Event-ID` would: that header costs pages of other origins a request
 * more. A page that is not looked at holds no connection: browsers allow six to a host, and other tabs need them.
 */
export class Feed {
  private last: number;
  private stop: (() => void) | null = null;
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
    this.stop = (this.options.listen ?? listen)(address, this.options.headers?.() ?? {}, {
      opened: () => this.opened(),
      event: (type, data) => this.heard(type, JSON.parse(data)),
      lost: (status) => this.lost(status),
    });
  }

  private opened(): void {
    this.backoff.reset();
    this.options.onState?.("open");
  }

  private heard(type: string, data: unknown): void {
    if (type === "turn") this.take(data as { number: number });
    else this.options.onOther?.(type, data);
  }

  private take(turn: { number: number }): void {
    if (turn.number <= this.last) return;
    this.last = turn.number;
    this.options.onTurn(turn);
  }

  private lost(status: number): void {
    this.disconnect();
    if (status >= 400) this.options.onRefused?.(status);
    this.options.onState?.("waiting");
    this.timer = setTimeout(() => this.connect(), this.backoff.nextMs());
  }

  private disconnect(): void {
    clearTimeout(this.timer);
    this.stop?.();
    this.stop = null;
  }

  private readonly onVisibility = (): void => {
    if (document.visibilityState === "hidden") this.disconnect();
    else if (this.stop === null) this.connect();
  };

  private readonly retryNow = (): void => {
    if (this.stop === null && document.visibilityState !== "hidden") this.connect();
  };
}
