import { Bars } from "./bars.tsx";
import { percent } from "./describe.ts";
import type { ExplainedAction, Explanation, Prediction } from "./types.ts";

/** For each action of a turn, what every policy wanted and which one won. */
export function ActionsDetail({ explanation, problem }: { explanation: Explanation | null; problem: string }) {
  if (problem !== "") return <p class="soft">{problem}</p>;
  if (explanation === null) return <p class="soft">Asking the policies again …</p>;
  if (explanation.actions.length === 0) return <p class="soft">No action was chosen in this turn.</p>;
  return (
    <ol class="decisions">
      {explanation.actions.map((action) => (
        <li>
          <Decision action={action} />
        </li>
      ))}
    </ol>
  );
}

function Decision({ action }: { action: ExplainedAction }) {
  return (
    <details open={action.predictions.length > 0}>
      <summary>
        {action.is_text ? <q dir="auto">{action.action}</q> : <code>{action.action}</code>}{" "}
        <span class="soft">{winnerOf(action)}</span>
      </summary>
      {action.by_text && (
        <p class="soft">Decided by the text of the message, not by its intent: that goes before every other policy.</p>
      )}
      {action.predictions.map((prediction) => (
        <PolicyScores prediction={prediction} won={prediction.policy === action.policy} />
      ))}
    </details>
  );
}

function winnerOf(action: ExplainedAction): string {
  const by = action.policy === "" ? "" : `${action.policy} ${percent(action.confidence)}`;
  return action.source === "" ? by : `${by}, ${action.source}`;
}

function PolicyScores({ prediction, won }: { prediction: Prediction; won: boolean }) {
  const bars = prediction.scores.filter((score) => score.confidence > 0);
  return (
    <section class={won ? "policy won" : "policy"}>
      <h4>
        {prediction.policy} <span class="soft">priority {prediction.priority}</span>
        {won && <span class="flag won">won</span>}
      </h4>
      {prediction.source !== "" && (
        <p class="soft" dir="auto">
          {prediction.source}
        </p>
      )}
      {bars.length === 0 ? (
        <p class="soft">predicts nothing</p>
      ) : (
        <Bars
          label={prediction.policy}
          bars={bars.map((score) => ({ name: score.action, confidence: score.confidence }))}
        />
      )}
    </section>
  );
}
