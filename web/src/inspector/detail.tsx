import type { ComponentChildren } from "preact";
import { ActionsDetail } from "./actions.tsx";
import type { Api } from "./api.ts";
import { Calls } from "./calls.tsx";
import { entitiesOf, milliseconds, timeOf, userEvent } from "./describe.ts";
import { useLoaded, useSettled } from "./hooks.ts";
import { Json } from "./json.tsx";
import { MessageDetail } from "./message.tsx";
import { StateDetail } from "./state.tsx";
import type { Choice } from "./timeline.tsx";
import { FLAGS, type DialogueEvent, type Turn } from "./types.ts";

export type Asked = "fork" | "story" | "compare" | "example";

export interface DetailProps {
  api: Api;
  conversation: string;
  turn: Turn;
  choice: Choice | null;
  onAsk: (asked: Asked) => void;
}

const SETTLE_MS = 120;

/** All about one turn. */
export function Detail({ api, conversation, turn, choice, onAsk }: DetailProps) {
  // Whoever steps quickly through the turns asks the services once, where they stop.
  const settled = useSettled(turn.number, SETTLE_MS);
  const explanation = useLoaded((signal) => api.explanation(conversation, settled, signal), [conversation, settled]);
  const tracker = useLoaded((signal) => api.tracker(conversation, settled, signal), [conversation, settled]);
  const current = settled === turn.number;
  const said = userEvent(turn);
  const event = choice === null || choice.event === null ? undefined : turn.events[choice.event];
  return (
    <div class="detail" tabIndex={0} role="region" aria-label={`Turn ${turn.number}`}>
      <Head turn={turn} said={said} onAsk={onAsk} />
      {event !== undefined && (
        <Section title={`Event: ${event.event}`}>
          <Json label="Event" value={event} />
        </Section>
      )}
      {turn.errors.length > 0 && (
        <Section title="Errors">
          {turn.errors.map((error) => (
            <p class="error">
              {error.where}: {error.message}
            </p>
          ))}
        </Section>
      )}
      {said?.parse_data && (
        <Section title="Message">
          <MessageDetail
            text={said.text ?? ""}
            parse={said.parse_data}
            entities={entitiesOf(turn)}
            explanation={current ? explanation.value : null}
          />
        </Section>
      )}
      <Section title="Actions">
        <ActionsDetail explanation={current ? explanation.value : null} problem={current ? explanation.problem : ""} />
      </Section>
      <Section title="Slots and form">
        <StateDetail turn={turn} tracker={current ? tracker.value : null} problem={current ? tracker.problem : ""} />
      </Section>
      <Section title={`Time: ${milliseconds(turn.ms)}`}>
        <Calls calls={turn.calls} ms={turn.ms} />
      </Section>
      <details class="section">
        <summary>
          <h3>Raw events</h3>
        </summary>
        <Json label="Events of the turn" value={turn.events} />
      </details>
    </div>
  );
}

function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <details class="section" open>
      <summary>
        <h3>{title}</h3>
      </summary>
      {children}
    </details>
  );
}

function Head({ turn, said, onAsk }: { turn: Turn; said: DialogueEvent | undefined; onAsk: (asked: Asked) => void }) {
  return (
    <div class="turnhead">
      <h2>Turn {turn.number}</h2>
      <p class="soft">
        {timeOf(turn.committed_at)} · {turn.channel} · version {turn.bundle_version}
      </p>
      {turn.flags.length > 0 && (
        <p class="flags">
          {turn.flags.map((flag) => (
            <span class={`flag ${flag}`}>{FLAGS[flag] ?? flag}</span>
          ))}
        </p>
      )}
      <div class="asks">
        <button type="button" onClick={() => onAsk("fork")}>
          Fork from here
        </button>
        <button type="button" onClick={() => onAsk("story")}>
          Save as story …
        </button>
        {said !== undefined && (
          <button type="button" onClick={() => onAsk("example")}>
            Save as example …
          </button>
        )}
        <button type="button" onClick={() => onAsk("compare")}>
          Compare …
        </button>
      </div>
    </div>
  );
}
