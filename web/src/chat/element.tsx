import { render } from "preact";
import { ChatClient, type ChatTurn } from "./client.ts";
import styles from "./chat.css?inline";
import { ChatView } from "./view.tsx";

export const TAG = "turnstream-chat";

/**
 * `<turnstream-chat server heading layout>`: the chat in a shadow tree of its own.
 *
 * `layout` is `launcher` (a button that opens it), `inline` (fills the element's box) or `page` (fills the window).
 * Events: `custom` (`detail: {custom, conversation, turn}`) for each custom payload that comes in, `turn` for each turn,
 * `conversation` (`detail: id`) when its user opened another conversation.
 */
export class ChatElement extends HTMLElement {
  readOnly = "";
  /** What is sent along with every request; to be set before the element is placed. */
  headers: () => Readonly<Record<string, string>> = () => ({});
  private client: ChatClient | null = null;
  private opened = false;
  private drawing = false;
  private readonly root = this.attachShadow({ mode: "open" });

  connectedCallback(): void {
    this.root.adoptedStyleSheets = [sheet()];
    this.client ??= this.connectClient();
    if (this.layout !== "launcher") this.start();
    window.addEventListener("storage", this.onStorage);
    this.draw();
  }

  disconnectedCallback(): void {
    window.removeEventListener("storage", this.onStorage);
    this.client?.close();
    render(null, this.root);
  }

  get layout(): string {
    return this.getAttribute("layout") ?? "launcher";
  }

  get conversation(): string {
    return this.client?.state.conversation ?? "";
  }

  /** The conversation that this browser had open last. */
  get latest(): string {
    return this.client?.store.current() ?? "";
  }

  /** Open a conversation of this browser's; `null` begins a new one. */
  converse(id: string | null): void {
    this.readOnly = "";
    this.client?.open(id ?? this.client.store.begin());
  }

  /** Show a conversation without a place to write; `why` is told instead. */
  look(id: string, why: string): void {
    this.readOnly = why;
    this.client?.look(id);
  }

  /** Whether this browser began the conversation. */
  knows(id: string): boolean {
    return this.client?.store.conversations.some((one) => one.id === id) ?? false;
  }

  open(): void {
    this.opened = true;
    this.start();
    this.draw();
    this.root.querySelector("textarea")?.focus();
  }

  close(): void {
    this.opened = false;
    this.draw();
    this.root.querySelector<HTMLElement>(".launcher")?.focus();
  }

  private start(): void {
    if (this.client && this.client.state.conversation === "") this.client.open();
  }

  private connectClient(): ChatClient {
    const client = new ChatClient((this.getAttribute("server") ?? "").replace(/\/+$/u, ""));
    client.headers = () => this.headers();
    client.onChange = () => this.drawSoon();
    client.onTurn = (turn) => this.tell(turn);
    return client;
  }

  private tell(turn: ChatTurn): void {
    const conversation = this.conversation;
    this.send("turn", { conversation, turn });
    for (const { custom } of turn.replies)
      if (custom != null) this.send("custom", { custom, conversation, turn: turn.number });
  }

  private send(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  private readonly onStorage = (): void => {
    this.client?.store.reload();
    this.draw();
  };

  private readonly onSwitch = (conversation: string | null): void => {
    this.converse(conversation);
    this.send("conversation", this.conversation);
    this.draw();
    this.root.querySelector("textarea")?.focus();
  };

  /** A long conversation comes in many turns at once: they are drawn together. */
  private drawSoon(): void {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.drawing = false;
    const client = this.client;
    if (client === null || !this.isConnected) return;
    const launcher = this.layout === "launcher";
    const title = this.getAttribute("heading") || "Chat";
    const view = (
      <ChatView
        client={client}
        state={client.state}
        title={title}
        readOnly={this.readOnly}
        onClose={launcher ? () => this.close() : null}
        onSwitch={this.onSwitch}
      />
    );
    render(launcher ? this.withLauncher(view, title) : view, this.root);
  }

  private withLauncher(view: preact.JSX.Element, title: string) {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === "Escape") this.close();
    };
    return this.opened ? (
      <div class="panel" role="dialog" aria-label={title} onKeyDown={onKeyDown}>
        {view}
      </div>
    ) : (
      <button
        type="button"
        class="launcher"
        aria-label={`Open: ${title}`}
        aria-expanded={false}
        onClick={() => this.open()}
      >
        <svg viewBox="0 0 24 24" width="26" height="26" aria-hidden="true">
          <path
            fill="currentColor"
            d="M4 3h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H9l-5 4v-4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2z"
          />
        </svg>
      </button>
    );
  }
}

let shared: CSSStyleSheet | undefined;

/** A constructed sheet: a policy without `unsafe-inline` allows it. */
function sheet(): CSSStyleSheet {
  if (shared === undefined) {
    shared = new CSSStyleSheet();
    shared.replaceSync(styles);
  }
  return shared;
}

export function define(): void {
  if (!customElements.get(TAG)) customElements.define(TAG, ChatElement);
}
