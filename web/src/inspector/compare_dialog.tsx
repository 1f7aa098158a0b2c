import { useState } from "preact/hooks";
import type { Api } from "./api.ts";
import { percent } from "./describe.ts";
import { Dialog } from "./dialog.tsx";
import { messageOf } from "./hooks.ts";
import type { ComparedTurn, Outcome } from "./types.ts";

export interface CompareDialogProps {
  api: Api;
  conversation: string;
  turn: number;
  /** The version that handled the turn. */
  version: string;
  bundles: readonly string[];
  onClose: () => void;
}

/** The same messages against another bundle, side by side with what was said. */
export function CompareDialog({ api, conversation, turn, version, bundles, onClose }: CompareDialogProps) {
  const [bundle, setBundle] = useState(bundles.find((one) => one !== version) ?? version);
  const [turns, setTurns] = useState<ComparedTurn[] | null>(null);
  const [told, setTold] = useState("");
  const [running, setRunning] = useState(false);
  const run = () => {
    setRunning(true);
    setTurns(null);
    setTold("Running the messages again …");
    api.compare(conversation, bundle, turn).then(
      (answer) => {
        setRunning(false);
        setTurns(answer.turns);
        setTold(`${answer.turns.filter((one) => one.differs).length} of ${answer.turns.length} turns differ.`);
      },
      (error: unknown) => {
        setRunning(false);
        setTold(messageOf(error));
      },
    );
  };
  return (
    <Dialog title={`Compare turns 1 to ${turn}`} onClose={onClose}>
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          run();
        }}
      >
        <label>
          Another bundle: its version, or its folder
          <input required list="bundles" value={bundle} onInput={(event) => setBundle(event.currentTarget.value)} />
        </label>
        <datalist id="bundles">
          {bundles.map((version) => (
            <option value={version} />
          ))}
        </datalist>
        <button type="submit" class="primary" disabled={running}>
          Compare
        </button>
        <p role="status">{told}</p>
      </form>
      {turns !== null && (
        <div class="compared" tabIndex={0} role="region" aria-label="Turns side by side">
          {turns.map((one) => (
            <section class={one.differs ? "differs" : ""}>
              <h3 dir="auto">
                {one.number}. {one.text ?? "(no message)"}{" "}
                {one.differs && <span class="flag error">{whatDiffers(one)}</span>}
              </h3>
              <div class="sides">
                <Side title="As it was" outcome={one.before} />
                <Side title={bundle} outcome={one.after} />
              </div>
              {one.would_call?.length ? <p class="soft">It would call {one.would_call.join(", ")}.</p> : null}
              {one.errors?.map((error) => (
                <p class="error">{error}</p>
              ))}
            </section>
          ))}
        </div>
      )}
    </Dialog>
  );
}

function whatDiffers(turn: ComparedTurn): string {
  return turn.differences?.length ? `differs: ${turn.differences.join(", ")}` : "differs";
}

function Side({ title, outcome }: { title: string; outcome: Outcome }) {
  return (
    <div>
      <h4>{title}</h4>
      <p>
        {outcome.intent ?? "no intent"} <span class="soft">{percent(outcome.confidence)}</span>
      </p>
      <p>
        {outcome.actions.map((action) => (
          <code>{action}</code>
        ))}
      </p>
      {outcome.texts.map((text) => (
        <p class="message" dir="auto">
          {text}
        </p>
      ))}
    </div>
  );
}
