import { useMemo } from "preact/hooks";
import { counted, describe, milliseconds } from "./describe.ts";
import type { Conversation } from "./hooks.ts";
import { WindowedList } from "./list.tsx";
import { FLAGS, type Turn } from "./types.ts";

/** What is looked at: a turn, and one of its events or all of them. */
export interface Choice {
  turn: number;
  event: number | null;
}

interface Row {
  turn: Turn;
  event: number | null;
}

export interface TimelineProps {
  conversation: Conversation;
  /** Null while the newest turn is followed. */
  choice: Choice | null;
  onChoose: (choice: Choice | null) => void;
}

const ROW_PX = 30;

/** The turns and their events, oldest first, and the steps back and forth between them. */
export function Timeline({ conversation, choice, onChoose }: TimelineProps) {
  const { turns } = conversation;
  const rows = useMemo(() => rowsOf(turns), [turns]);
  const asOf = choice?.turn ?? turns.at(-1)?.number ?? 0;
  const selected = useMemo(() => {
    if (choice === null) return rows.findLastIndex((row) => row.event === null);
    return rows.findIndex((row) => row.turn.number === choice.turn && row.event === choice.event);
  }, [rows, choice]);
  return (
    <>
      <Steps turns={turns} choice={choice} onChoose={onChoose} />
      {turns.length === 0 ? (
        <p class="empty">{conversation.problem || (conversation.read ? "Nothing was said yet." : "Reading …")}</p>
      ) : (
        <WindowedList
          label="Turns and events"
          name="event"
          count={rows.length}
          rowPx={ROW_PX}
          selected={selected}
          follow={choice === null}
          rowClass={(index) => classOf(rows[index], asOf)}
          row={(index) => <RowContent row={rows[index]} />}
          onSelect={(index) => {
            const row = rows[index];
            if (row) onChoose({ turn: row.turn.number, event: row.event });
          }}
        />
      )}
    </>
  );
}

function Steps({ turns, choice, onChoose }: { turns: readonly Turn[] } & Pick<TimelineProps, "choice" | "onChoose">) {
  const last = turns.length - 1;
  const at = choice === null ? last : turns.findIndex((turn) => turn.number === choice.turn);
  const to = (index: number) => {
    const turn = turns[index];
    if (turn) onChoose({ turn: turn.number, event: null });
  };
  return (
    <div class="steps" role="toolbar" aria-label="Steps through the conversation">
      <button type="button" aria-label="One turn back" disabled={at <= 0} onClick={() => to(at - 1)}>
        ◀
      </button>
      <span role="status">
        {choice === null
          ? `Live, ${counted(turns.length, "turn")}`
          : `As of turn ${choice.turn} of ${turns.at(-1)?.number ?? 0}`}
      </span>
      <button type="button" aria-label="One turn on" disabled={at < 0 || at >= last} onClick={() => to(at + 1)}>
        ▶
      </button>
      <button type="button" aria-pressed={choice === null} onClick={() => onChoose(null)}>
        Live
      </button>
    </div>
  );
}

function RowContent({ row }: { row: Row | undefined }) {
  if (row === undefined) return null;
  if (row.event === null) return <TurnLine turn={row.turn} />;
  const event = row.turn.events[row.event];
  if (event === undefined) return null;
  const line = describe(event);
  return (
    <>
      <span class="sign" aria-hidden="true">
        {line.sign}
      </span>
      <span class="label" dir="auto">
        {line.label}
      </span>
      <span class="said" dir="auto">
        {line.text}
      </span>
    </>
  );
}

function TurnLine({ turn }: { turn: Turn }) {
  return (
    <>
      <strong>Turn {turn.number}</strong>
      <span class="flags">
        {turn.flags.map((flag) => (
          <span class={`flag ${flag}`}>{FLAGS[flag] ?? flag}</span>
        ))}
      </span>
      <span class="soft">{turn.channel}</span>
      <span class="soft">{milliseconds(turn.ms)}</span>
    </>
  );
}

function rowsOf(turns: readonly Turn[]): Row[] {
  return turns.flatMap((turn) => [{ turn, event: null }, ...turn.events.map((_, event) => ({ turn, event }))]);
}

function classOf(row: Row | undefined, asOf: number): string {
  if (row === undefined) return "";
  const event = row.event === null ? undefined : row.turn.events[row.event];
  const kind = event === undefined ? "turn" : describe(event).kind;
  return row.turn.number > asOf ? `${kind} later` : kind;
}
