import { useRef, useState } from "preact/hooks";
import type { Api, ExampleRequest } from "./api.ts";
import { Dialog, Outcome } from "./dialog.tsx";
import { Diff } from "./json.tsx";
import { usePreview } from "./preview.ts";
import { between, pointsBefore } from "./spans.ts";
import type { Assistant, ExamplePreview, ParseData } from "./types.ts";

export interface ExampleDialogProps {
  api: Api;
  assistant: Assistant;
  text: string;
  parse: ParseData | undefined;
  onClose: () => void;
}

const FALLBACK = "nlu_fallback";

type Marked = ExampleRequest["entities"][number];

/** A message as an example of an intent, with its entities: shown as a change of the file first, then saved. */
export function ExampleDialog({ api, assistant, text, parse, onClose }: ExampleDialogProps) {
  const [intent, setIntent] = useState(firstIntent(assistant, parse));
  const [entities, setEntities] = useState<Marked[]>(() => foundIn(text, parse));
  const preview = usePreview<ExamplePreview>(JSON.stringify([intent, entities]), (save) =>
    api.example({ text, intent, entities, save }),
  );
  const { told } = preview;
  return (
    <Dialog title="Save as an example" onClose={onClose}>
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          preview.save();
        }}
      >
        <label>
          Intent
          <select value={intent} onChange={(event) => setIntent(event.currentTarget.value)}>
            {writable(assistant).map((name) => (
              <option value={name}>{name}</option>
            ))}
          </select>
        </label>
        <Entities text={text} known={assistant.entities} entities={entities} onChange={setEntities} />
        <Outcome problem={preview.problem} saved={told?.saved ?? false} file={placeOf(told)} />
        <Diff text={told?.diff ?? ""} />
        <button type="submit" class="primary" disabled={!assistant.project || !preview.canSave}>
          Save
        </button>
      </form>
    </Dialog>
  );
}

interface EntitiesProps {
  text: string;
  known: readonly string[];
  entities: readonly Marked[];
  onChange: (entities: Marked[]) => void;
}

function Entities({ text, known, entities, onChange }: EntitiesProps) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [name, setName] = useState(known[0] ?? "");
  const mark = () => {
    const at = box.current;
    if (!at || at.selectionStart === at.selectionEnd || name === "") return;
    const start = pointsBefore(text, at.selectionStart);
    const end = pointsBefore(text, at.selectionEnd);
    const others = entities.filter((one) => one.end <= start || end <= one.start);
    onChange([...others, { start, end, entity: name }].sort((a, b) => a.start - b.start));
  };
  return (
    <>
      <label>
        Text
        <textarea ref={box} readOnly rows={2} dir="auto" value={text} />
      </label>
      {known.length > 0 && (
        <div class="marking">
          <label>
            Mark what is selected as
            <select value={name} onChange={(event) => setName(event.currentTarget.value)}>
              {known.map((entity) => (
                <option value={entity}>{entity}</option>
              ))}
            </select>
          </label>
          <button type="button" onClick={mark}>
            Mark
          </button>
        </div>
      )}
      <ul class="marked" aria-label="Entities">
        {entities.map((one) => (
          <li>
            <span dir="auto">
              <mark>{between(text, one.start, one.end)}</mark> {one.entity}
              {one.role ? ` role ${one.role}` : ""}
              {one.group ? ` group ${one.group}` : ""}
            </span>
            <button
              type="button"
              aria-label={`Remove ${one.entity}`}
              onClick={() => onChange(entities.filter((other) => other !== one))}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Those that have examples: nobody writes some of the fallback. */
function writable(assistant: Assistant): string[] {
  return assistant.intents.filter((name) => name !== FALLBACK);
}

function firstIntent(assistant: Assistant, parse: ParseData | undefined): string {
  const names = writable(assistant);
  const ranked = [parse?.intent?.name ?? "", ...(parse?.intent_ranking ?? []).map((one) => one.name)];
  return ranked.find((name) => names.includes(name)) ?? names[0] ?? "";
}

function foundIn(text: string, parse: ParseData | undefined): Marked[] {
  return (parse?.entities ?? []).map(({ start, end, entity, role, group, value }) => {
    const marked: Marked = { start, end, entity };
    if (role) marked.role = role;
    if (group) marked.group = group;
    if (typeof value === "string" && value !== between(text, start, end)) marked.value = value;
    return marked;
  });
}

function placeOf(preview: ExamplePreview | null): string {
  return preview === null ? "" : `${preview.file}, line ${preview.line}`;
}
