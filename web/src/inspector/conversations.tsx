import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { Api } from "./api.ts";
import { counted, timeOf } from "./describe.ts";
import { messageOf, useSettled } from "./hooks.ts";
import { WindowedList } from "./list.tsx";
import { FLAGS, type Summary, type SummaryPage } from "./types.ts";

const ROW_PX = 58;
const SETTLE_MS = 250;
const AHEAD_ROWS = 50;
const AGAIN_MS = 2000;

interface Found {
  rows: Summary[];
  page: SummaryPage | null;
  problem: string;
}

/** All conversations of the log, the newest first: searched, filtered, read on as one scrolls. */
export function Conversations({ api, onOpen }: { api: Api; onOpen: (id: string) => void }) {
  const [q, setQ] = useState("");
  const [flag, setFlag] = useState("");
  const [selected, setSelected] = useState(-1);
  const settled = useSettled(q, SETTLE_MS);
  const [found, seen] = useSummaries(api, settled, flag);
  const rows = found.rows;
  return (
    <main class="many">
      <form
        role="search"
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          const id = rows[Math.max(0, selected)]?.id;
          if (id !== undefined) onOpen(id);
        }}
      >
        <label>
          Search in ids and texts
          <input type="search" value={q} onInput={(event) => setQ(event.currentTarget.value)} />
        </label>
        <label>
          With
          <select value={flag} onChange={(event) => setFlag(event.currentTarget.value)}>
            <option value="">anything</option>
            {Object.entries(FLAGS).map(([name, label]) => (
              <option value={name}>{label}</option>
            ))}
          </select>
        </label>
        <p role="status">{found.problem || statusOf(found.page)}</p>
      </form>
      {rows.length === 0 ? (
        <p class="empty">{found.page === null ? "Reading …" : "No such conversation."}</p>
      ) : (
        <WindowedList
          label="Conversations"
          name="conversation"
          count={rows.length}
          rowPx={ROW_PX}
          selected={selected}
          row={(index) => <SummaryRow summary={rows[index]} />}
          onSelect={setSelected}
          onPick={(index) => onOpen(rows[index]?.id ?? "")}
          onSeen={seen}
        />
      )}
    </main>
  );
}

function SummaryRow({ summary }: { summary: Summary | undefined }) {
  if (summary === undefined) return null;
  return (
    <div class="summary">
      <div>
        <strong dir="auto">{summary.last_text ?? "(no text)"}</strong>
        <span class="flags">
          {summary.flags.map((flag) => (
            <span class={`flag ${flag}`}>{FLAGS[flag] ?? flag}</span>
          ))}
        </span>
      </div>
      <div class="soft">
        <span>{timeOf(summary.last_at)}</span>
        <span>{counted(summary.turns, "turn")}</span>
        <span dir="auto">{summary.id}</span>
      </div>
    </div>
  );
}

function statusOf(page: SummaryPage | null): string {
  if (page === null) return "";
  const count = counted(page.total, "conversation");
  return page.reading < 1 ? `${count} so far; ${Math.floor(100 * page.reading)} % of the log is read` : count;
}

/** While the log is still read the first page is asked again; rows that were read on beyond it stay as they are. */
function merged(old: Found, before: Summary[], page: SummaryPage): Found {
  const isFirst = before.length === 0;
  if (isFirst && old.page !== null && old.rows.length > page.conversations.length) {
    return { rows: old.rows, page: { ...page, next: old.page.next }, problem: "" };
  }
  return { rows: [...before, ...page.conversations], page, problem: "" };
}

/** The rows so far, and what is to be told of the last one in sight. */
function useSummaries(api: Api, q: string, flag: string): [Found, (last: number) => void] {
  const [found, setFound] = useState<Found>({ rows: [], page: null, problem: "" });
  const [again, setAgain] = useState(0);
  const asking = useRef<AbortController | null>(null);
  const load = useCallback(
    (cursor: string | null, before: Summary[]) => {
      asking.current?.abort();
      const stop = new AbortController();
      asking.current = stop;
      const done = () => {
        if (asking.current === stop) asking.current = null;
      };
      api.conversations(q, flag, cursor, stop.signal).then(
        (page) => {
          done();
          setFound((old) => merged(old, before, page));
        },
        (error: unknown) => {
          done();
          if (!stop.signal.aborted) setFound((old) => ({ ...old, problem: messageOf(error) }));
        },
      );
    },
    [api, q, flag],
  );
  useEffect(() => setFound({ rows: [], page: null, problem: "" }), [load]);
  useEffect(() => {
    load(null, []);
    return () => asking.current?.abort();
  }, [load, again]);
  const reading = found.page !== null && found.page.reading < 1;
  useEffect(() => {
    if (!reading) return undefined;
    const timer = setTimeout(() => setAgain((times) => times + 1), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [reading, again]);
  const seen = (last: number) => {
    const next = found.page?.next ?? null;
    if (next !== null && asking.current === null && last >= found.rows.length - AHEAD_ROWS) load(next, found.rows);
  };
  return [found, seen];
}
