import type { Entity } from "./types.ts";

/** A stretch of a text and the entities found in it. */
export interface Span {
  text: string;
  entities: Entity[];
}

/** The text cut where entities begin and end. Their places count code points, as Python does, and may overlap. */
export function spans(text: string, entities: readonly Entity[]): Span[] {
  const points = Array.from(text);
  const within = entities.filter((one) => 0 <= one.start && one.start < one.end && one.end <= points.length);
  const cuts = new Set([0, points.length]);
  for (const { start, end } of within) cuts.add(start).add(end);
  const places = [...cuts].sort((a, b) => a - b);
  return places.slice(0, -1).map((start, index) => {
    const end = places[index + 1] ?? points.length;
    return {
      text: points.slice(start, end).join(""),
      entities: within.filter((one) => one.start <= start && end <= one.end),
    };
  });
}

/** Where the browser's own place in a text (UTF-16) lies in code points. */
export function pointsBefore(text: string, place: number): number {
  return Array.from(text.slice(0, place)).length;
}

export function between(text: string, start: number, end: number): string {
  return Array.from(text).slice(start, end).join("");
}
