import type { DialogueEvent, Entity, Turn } from "./types.ts";

export interface Line {
  /** Names the colour and the sign before the line. */
  kind: "user" | "bot" | "action" | "slot" | "loop" | "other";
  sign: string;
  label: string;
  text: string;
}

const SHOWN_CHARACTERS = 200;

/** One line for an event. */
export function describe(event: DialogueEvent): Line {
  const name = event.name ?? "";
  switch (event.event) {
    case "user":
      return { kind: "user", sign: "›", label: intentOf(event) || "user", text: short(event.text ?? "") };
    case "bot":
      return { kind: "bot", sign: "‹", label: "bot", text: short(event.text ?? "(no text)") };
    case "action":
      return { kind: "action", sign: "▸", label: name || short(asText(event["action_text"])), text: chosenBy(event) };
    case "slot":
      return { kind: "slot", sign: "=", label: name, text: short(asText(event.value)) };
    case "active_loop":
      return { kind: "loop", sign: "↻", label: "form", text: name || "none" };
    case "entities":
      return { kind: "other", sign: "·", label: "entities", text: short(found(event).map(oneEntity).join(", ")) };
    default:
      return { kind: "other", sign: "·", label: event.event, text: short(name || otherText(event)) };
  }
}

/** The user's message of a turn, where it has one. */
/** The entities of a turn's message: those of NLU, and those that a policy found in the text. */
export function entitiesOf(turn: Turn): Entity[] {
  return [...(userEvent(turn)?.parse_data?.entities ?? []), ...turn.events.flatMap(found)];
}

/** What a policy found. */
function found(event: DialogueEvent): Entity[] {
  return event.event === "entities" && Array.isArray(event["entities"]) ? (event["entities"] as Entity[]) : [];
}

function oneEntity(entity: Entity): string {
  return `${entity.entity}: ${asText(entity.value)}`;
}

export function userEvent(turn: Turn): DialogueEvent | undefined {
  return turn.events.find((event) => event.event === "user");
}

export function intentOf(event: DialogueEvent): string {
  return event.parse_data?.intent?.name ?? "";
}

export function asText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

export function percent(confidence: number | null | undefined): string {
  return confidence == null ? "" : `${(100 * confidence).toFixed(1)} %`;
}

export function milliseconds(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

export function counted(count: number, one: string): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : `${one}s`}`;
}

export function timeOf(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime())
    ? iso
    : date.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
}

function chosenBy(event: DialogueEvent): string {
  return event.policy ? `${event.policy} ${percent(event.confidence)}`.trim() : "";
}

function otherText(event: DialogueEvent): string {
  const { event: _kind, timestamp: _at, metadata: _metadata, ...rest } = event;
  return Object.keys(rest).length === 0 ? "" : JSON.stringify(rest);
}

function short(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
