const KEY = "turnstream-inspector";

/** What lets this tab in: the gateway's token or a JSON Web Token, kept until the tab is closed. */
export class Session {
  /** Told with the gateway's words when it lets nobody in with what is kept. */
  onRefused: (message: string) => void = () => undefined;
  private credential: string;

  constructor(private readonly storage: Storage | null = tabStorage()) {
    this.credential = this.storage?.getItem(KEY) ?? "";
  }

  keep(credential: string): void {
    this.credential = credential.trim();
    try {
      this.storage?.setItem(KEY, this.credential);
    } catch {
      // Full or forbidden: it is known until the page is left.
    }
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.credential === "") return {};
    // A header takes bytes, one to a character.
    const bytes = new TextEncoder().encode(this.credential);
    return { Authorization: `Bearer ${Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")}` };
  }

  get isKnown(): boolean {
    return this.credential !== "";
  }

  /** Note a refusal of what was asked with these headers: 401 is for strangers, 403 for those who may not. */
  heed(status: number, message: string, asked: Readonly<Record<string, string>>): void {
    const isNow = asked["Authorization"] === this.headers["Authorization"];
    if (isNow && (status === 401 || (status === 403 && this.isKnown))) this.onRefused(message);
  }
}

/** The token of the page's address, as the terminal shows it, is taken out of what others may see or keep. */
export function takeToken(session: Session, page: URL): URL {
  const token = page.searchParams.get("token");
  if (token === null) return page;
  session.keep(token);
  page.searchParams.delete("token");
  return page;
}

function tabStorage(): Storage | null {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}
