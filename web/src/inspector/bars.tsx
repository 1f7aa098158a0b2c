import { percent } from "./describe.ts";

export interface Bar {
  name: string;
  confidence: number;
  note?: string;
}

/** Names with their confidence, the best first. */
export function Bars({ label, bars }: { label: string; bars: readonly Bar[] }) {
  return (
    <ul class="bars" aria-label={label}>
      {bars.map((bar) => (
        <li>
          <span class="name" dir="auto">
            {bar.name}
            {bar.note ? <small> {bar.note}</small> : null}
          </span>
          <span class="track" aria-hidden="true">
            <span class="fill" style={{ width: `${Math.min(100, Math.max(0, 100 * bar.confidence))}%` }} />
          </span>
          <span class="value">{percent(bar.confidence)}</span>
        </li>
      ))}
    </ul>
  );
}
