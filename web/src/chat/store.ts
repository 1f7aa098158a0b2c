import { randomId } from "../shared/safe.ts";

/** A conversation of this browser. `title` is what its user said first. */
export interface Known {
  id: string;
  title: string;
  at: number;
}

/** A message that the server has not accepted yet; sent again with the same id until it has. */
export interface Unsent {
  id: string;
  conversation: string;
  text: string;
}

interface Saved {
  current: string;
  conversations: Known[];
  outbox: Unsent[];
}

const MOST_CONVERSATIONS = 100;
const TITLE_CHARACTERS = 60;

/** What this browser remembers of one server; where storage is blocked, until the page is left. */
export class Store {
  private saved: Saved;

  constructor(
    server: string,
    private readonly storage: Storage | null = browserStorage(),
    private readonly key = `turnstream-chat:${server}`,
  ) {
    this.saved = this.read();
  }

  get conversations(): readonly Known[] {
    return this.saved.conversations;
  }

  /** The conversation that was open last; a new one for a newcomer. */
  current(): string {
    return this.saved.current || this.begin();
  }

  begin(): string {
    return this.open(randomId());
  }

  /** Make it the current one, and remember it. */
  open(id: string): string {
    this.change((saved) => {
      const known = saved.conversations.find((one) => one.id === id) ?? { id, title: "", at: Date.now() };
      const others = saved.conversations.filter((one) => one.id !== id && one.title !== "");
      return { ...saved, current: id, conversations: [known, ...others].slice(0, MOST_CONVERSATIONS) };
    });
    return id;
  }

  name(id: string, text: string): void {
    const known = this.saved.conversations.find((one) => one.id === id);
    if (known === undefined || known.title !== "") return;
    const title = Array.from(text.trim()).slice(0, TITLE_CHARACTERS).join("");
    this.change((saved) => ({
      ...saved,
      conversations: saved.conversations.map((one) => (one.id === id ? { ...one, title } : one)),
    }));
  }

  unsent(conversation: string): Unsent[] {
    return this.saved.outbox.filter((message) => message.conversation === conversation);
  }

  keep(message: Unsent): void {
    this.change((saved) => ({ ...saved, outbox: [...saved.outbox.filter((one) => one.id !== message.id), message] }));
  }

  drop(id: string): void {
    if (this.saved.outbox.some((message) => message.id === id)) {
      this.change((saved) => ({ ...saved, outbox: saved.outbox.filter((message) => message.id !== id) }));
    }
  }

  /** Another tab of this browser may have written since. */
  reload(): void {
    this.saved = { ...this.read(), current: this.saved.current };
  }

  private change(change: (saved: Saved) => Saved): void {
    if (this.storage !== null) this.reload();
    this.saved = change(this.saved);
    try {
      this.storage?.setItem(this.key, JSON.stringify(this.saved));
    } catch {
      // Full or forbidden: this page goes on with what it holds.
    }
  }

  private read(): Saved {
    const empty: Saved = { current: "", conversations: [], outbox: [] };
    try {
      return { ...empty, ...(JSON.parse(this.storage?.getItem(this.key) ?? "{}") as Partial<Saved>) };
    } catch {
      return empty;
    }
  }
}

function browserStorage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
