import { asText } from "./describe.ts";
import { Json } from "./json.tsx";
import type { Tracker, Turn } from "./types.ts";

/** Slots and the active form as of the end of a turn, with what the turn changed. */
export function StateDetail({ turn, tracker, problem }: { turn: Turn; tracker: Tracker | null; problem: string }) {
  if (problem !== "") return <p class="soft">{problem}</p>;
  if (tracker === null) return <p class="soft">Reading the tracker …</p>;
  const names = Object.keys(tracker.slots).sort((a, b) => Number(isChanged(turn, b)) - Number(isChanged(turn, a)));
  const loop = turn.changes.active_loop;
  return (
    <>
      <p>
        Form: <strong>{loopOf(tracker) || "none"}</strong>
        {loop && <small class="soft"> was {loop[0] == null ? "none" : asText(loop[0])}</small>}
      </p>
      {names.length === 0 ? (
        <p class="soft">The domain has no slots.</p>
      ) : (
        <table class="slots">
          <thead>
            <tr>
              <th scope="col">Slot</th>
              <th scope="col">Value</th>
              <th scope="col">Before</th>
            </tr>
          </thead>
          <tbody>
            {names.map((name) => (
              <tr class={isChanged(turn, name) ? "changed" : ""} data-slot={name}>
                <th scope="row">{name}</th>
                <td dir="auto">{valueText(tracker.slots[name])}</td>
                <td dir="auto">{isChanged(turn, name) ? valueText(turn.changes.slots[name]?.[0]) : ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <details>
        <summary>Tracker as of turn {turn.number}</summary>
        <Json label="Tracker" value={tracker} />
      </details>
    </>
  );
}

function isChanged(turn: Turn, name: string): boolean {
  return name in turn.changes.slots;
}

function loopOf(tracker: Tracker): string {
  return (tracker.active_loop as { name?: string | null } | null | undefined)?.name ?? "";
}

function valueText(value: unknown): string {
  return value == null ? "—" : asText(value);
}
