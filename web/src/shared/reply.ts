/** What an assistant may say, as the gateway's JSON has it. */

export interface Button {
  title: string;
  payload: string;
}

export interface Reply {
  text?: string;
  image?: string;
  buttons?: Button[];
  quick_replies?: Button[];
  attachment?: unknown;
  custom?: unknown;
  elements?: unknown[];
}

export interface TurnError {
  where: string;
  message: string;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Bots send what they like: what is no button is left out. */
export function buttonsOf(value: unknown): Button[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).flatMap((button) => {
    const title = textOf(button["title"]);
    const payload = textOf(button["payload"]) || title;
    return title ? [{ title, payload }] : [];
  });
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}
