import { useState } from "preact/hooks";
import type { Api } from "./api.ts";
import { Dialog, Outcome } from "./dialog.tsx";
import { Diff } from "./json.tsx";
import { usePreview } from "./preview.ts";
import type { StoryPreview } from "./types.ts";

export interface StoryDialogProps {
  api: Api;
  conversation: string;
  turn: number;
  canSave: boolean;
  onClose: () => void;
}

/** The conversation up to a turn as a test story or a training story: shown first, then saved. */
export function StoryDialog({ api, conversation, turn, canSave, onClose }: StoryDialogProps) {
  const [kind, setKind] = useState<"test" | "story">("test");
  const [name, setName] = useState(`conversation up to turn ${turn}`);
  const [file, setFile] = useState("");
  const preview = usePreview<StoryPreview>(`${kind}\n${name}\n${file}`, (save) =>
    api.story(conversation, { turn, name, kind, save, ...(file === "" ? {} : { file }) }),
  );
  const { told } = preview;
  return (
    <Dialog title={`Save turns 1 to ${turn}`} onClose={onClose}>
      <form
        class="fields"
        onSubmit={(event) => {
          event.preventDefault();
          preview.save();
        }}
      >
        <label>
          As
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value === "test" ? "test" : "story")}>
            <option value="test">test story</option>
            <option value="story">training story</option>
          </select>
        </label>
        <label>
          Name
          <input required value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          File
          <input value={file} placeholder={told?.file ?? ""} onInput={(event) => setFile(event.currentTarget.value)} />
        </label>
        <Outcome problem={preview.problem} saved={told?.saved ?? false} file={told?.file ?? ""} />
        <div class="previews">
          <section>
            <h3>Story</h3>
            <pre class="json" tabIndex={0} role="region" aria-label="Story">
              {told?.yaml ?? ""}
            </pre>
          </section>
          <section>
            <h3>Change</h3>
            <Diff text={told?.diff ?? ""} />
          </section>
        </div>
        <button type="submit" class="primary" disabled={!canSave || !preview.canSave}>
          Save
        </button>
      </form>
    </Dialog>
  );
}
