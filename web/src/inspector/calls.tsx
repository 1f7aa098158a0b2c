import { milliseconds } from "./describe.ts";
import type { Call } from "./types.ts";

/** The calls of a turn along its time. */
export function Calls({ calls, ms }: { calls: readonly Call[]; ms: number }) {
  if (calls.length === 0) return <p class="soft">The turn was recorded without times.</p>;
  const wholeMs = Math.max(ms, ...calls.map((call) => call.start_ms + call.ms), 0.001);
  return (
    <table class="calls">
      <thead>
        <tr>
          <th scope="col">Service</th>
          <th scope="col">Call</th>
          <th scope="col">When</th>
          <th scope="col">Time</th>
        </tr>
      </thead>
      <tbody>
        {calls.map((call) => (
          <tr>
            <td>{call.service}</td>
            <td>{call.what}</td>
            <td aria-label={`after ${milliseconds(call.start_ms)}`}>
              <span class="track">
                <span
                  class={`fill of-${call.service}`}
                  style={{
                    left: `${(100 * call.start_ms) / wholeMs}%`,
                    width: `${Math.max(0.5, (100 * call.ms) / wholeMs)}%`,
                  }}
                />
              </span>
            </td>
            <td class="value">{milliseconds(call.ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
