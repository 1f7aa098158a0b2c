import { Backoff } from "../shared/backoff.ts";
import { Feed, type FeedState } from "../shared/feed.ts";
import { buttonsOf, type Reply, type TurnError } from "../shared/reply.ts";
import { randomId } from "../shared/safe.ts";
import { Store, type Unsent } from "./store.ts";

export interface ChatTurn {
  number: number;
  message_id: string;
  text: string | null;
  replies: Reply[];
  errors?: TurnError[];
  committed_at: string;
  bundle_version: string;
}

/** A message of this page that no turn answers yet. */
export interface Pending {
  id: string;
  shown: string;
  state: "sending" | "accepted" | "refused";
  reason?: string;
}

export interface ChatState {
  conversation: string;
  turns: readonly ChatTurn[];
  pending: readonly Pending[];
  typing: boolean;
  connection: FeedState;
  /** Whether the turns of before are all there. */
  caughtUp: boolean;
}

const CATCH_UP_MS = 300;
const TRY_LATER = new Set([408, 429, 500, 502, 503, 504]);

/** One chat with one server: what was said in the conversation that is open, and what is being said. */
export class ChatClient {
  readonly store: Store;
  state: ChatState;
  /** Told of every change of `state`. */
  onChange: () => void = () => undefined;
  /** Told of each turn that comes after the page caught up. */
  onTurn: (turn: ChatTurn) => void = () => undefined;
  /** What is sent along, for a gateway that shows more to those whom it knows. */
  headers: () => Readonly<Record<string, string>> = () => ({});
  private feed: Feed | null = null;
  private awaited = new Set<string>();
  private caughtUpTimer: ReturnType<typeof setTimeout> | undefined;
  private sending: Promise<void> = Promise.resolve();

  constructor(
    readonly server: string,
    store?: Store,
  ) {
    this.store = store ?? new Store(server);
    this.state = nothing("");
  }

  /** Open a conversation; without a name the one that was open last. */
  open(conversation?: string): void {
    this.close();
    const id = conversation === undefined ? this.store.current() : this.store.open(conversation);
    this.begin(id);
    for (const message of this.store.unsent(id)) this.enqueue(message, message.text);
  }

  /** Show a conversation that is not one of this browser's. */
  look(conversation: string): void {
    this.close();
    this.begin(conversation);
  }

  close(): void {
    this.feed?.close();
    this.feed = null;
    clearTimeout(this.caughtUpTimer);
  }

  /** Say something; `shown` is what the user sees of it, such as a button's title. */
  say(text: string, shown: string = text): void {
    const message = { id: randomId(), conversation: this.state.conversation, text };
    this.store.name(message.conversation, shown);
    this.store.keep(message);
    this.enqueue(message, shown);
  }

  /** What a user's text is shown as: the title of the button that sends it, where the assistant offered one. */
  shownAs(text: string): string {
    if (!text.startsWith("/")) return text;
    for (const turn of [...this.state.turns].reverse()) {
      for (const reply of turn.replies) {
        const buttons = [...buttonsOf(reply.buttons), ...buttonsOf(reply.quick_replies)];
        const pressed = buttons.find((button) => button.payload === text);
        if (pressed) return pressed.title;
      }
    }
    return text;
  }

  private begin(id: string): void {
    this.awaited = new Set();
    this.change(nothing(id));
    this.feed = new Feed({
      address: (from) => `${this.server}/webhooks/chat/turns?sender=${encodeURIComponent(id)}&from=${from}`,
      after: 0,
      onTurn: (turn) => this.take(turn as ChatTurn),
      onOther: (type, data) => type === "typing" && this.typing(data as { message_id: string }),
      headers: () => this.headers(),
      onState: (connection) => this.connected(connection),
    });
  }

  private connected(connection: FeedState): void {
    if (connection === "connecting") this.awaited.clear();
    if (connection === "open") this.awaitRest();
    this.change({ connection });
  }

  private awaitRest(): void {
    if (this.state.caughtUp) return;
    clearTimeout(this.caughtUpTimer);
    this.caughtUpTimer = setTimeout(() => this.change({ caughtUp: true }), CATCH_UP_MS);
  }

  private take(turn: ChatTurn): void {
    this.awaited.delete(turn.message_id);
    this.store.drop(turn.message_id);
    const live = this.state.caughtUp || this.state.pending.some((one) => one.id === turn.message_id);
    if (turn.text !== null) this.store.name(this.state.conversation, this.shownAs(turn.text));
    this.change({
      turns: [...this.state.turns, turn],
      pending: this.state.pending.filter((one) => one.id !== turn.message_id),
    });
    this.awaitRest();
    if (live) this.onTurn(turn);
  }

  private typing(data: { message_id: string }): void {
    if (this.state.turns.some((turn) => turn.message_id === data.message_id)) return;
    this.awaited.add(data.message_id);
    this.change({});
  }

  private enqueue(message: Unsent, shown: string): void {
    this.change({ pending: [...this.state.pending, { id: message.id, shown, state: "sending" }] });
    this.sending = this.sending.then(() => this.deliver(message));
  }

  /** Insist until the server has taken the message or refuses it for good. */
  private async deliver(message: Unsent): Promise<void> {
    const backoff = new Backoff();
    for (;;) {
      const answer = await this.post(message);
      if (answer === "accepted") {
        this.store.drop(message.id);
        this.mark(message.id, { state: "accepted" });
        return;
      }
      if (answer !== null && "refused" in answer) {
        this.store.drop(message.id);
        this.mark(message.id, { state: "refused", reason: answer.refused });
        return;
      }
      const waitMs = Math.max(backoff.nextMs(), answer?.waitMs ?? 0);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  private async post(message: Unsent): Promise<"accepted" | { refused: string } | { waitMs: number } | null> {
    const body = { sender: message.conversation, message: message.text, message_id: message.id, metadata: {} };
    let response: Response;
    try {
      response = await fetch(`${this.server}/webhooks/chat/messages`, {
        method: "POST",
        headers: { ...this.headers(), "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
    } catch {
      return null;
    }
    if (response.ok) return "accepted";
    if (TRY_LATER.has(response.status)) return { waitMs: 1000 * (Number(response.headers.get("Retry-After")) || 0) };
    const told = (await response.json().catch(() => ({}))) as { message?: string };
    return { refused: told.message ?? `The server refused it (${response.status}).` };
  }

  private mark(id: string, change: Partial<Pending>): void {
    this.change({ pending: this.state.pending.map((one) => (one.id === id ? { ...one, ...change } : one)) });
  }

  private change(change: Partial<ChatState>): void {
    const next = { ...this.state, ...change };
    const waiting = next.pending.some((one) => one.state === "accepted") || this.awaited.size > 0;
    this.state = { ...next, typing: waiting && next.connection === "open" };
    this.onChange();
  }
}

function nothing(conversation: string): ChatState {
  return { conversation, turns: [], pending: [], typing: false, connection: "connecting", caughtUp: false };
}
