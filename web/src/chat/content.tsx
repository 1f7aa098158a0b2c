import { useState } from "preact/hooks";
import { buttonsOf, isRecord, textOf, type Button, type Reply } from "../shared/reply.ts";
import { imageAddress, linkAddress, pieces } from "../shared/safe.ts";

const COLLAPSED_CHARACTERS = 2_000;

/** A text that anybody may have written: as text, with its web addresses as links, and shortened while it is long. */
export function Text({ text }: { text: string }) {
  const [whole, setWhole] = useState(false);
  const long = text.length > COLLAPSED_CHARACTERS;
  const shown = long && !whole ? text.slice(0, COLLAPSED_CHARACTERS) : text;
  return (
    <>
      <span class="text" dir="auto">
        {pieces(shown).map((piece) =>
          piece.href === undefined ? (
            piece.text
          ) : (
            <a href={piece.href} target="_blank" rel="noopener noreferrer nofollow">
              {piece.text}
            </a>
          ),
        )}
        {long && !whole ? "…" : ""}
      </span>
      {long && (
        <button type="button" class="more" aria-expanded={whole} onClick={() => setWhole(!whole)}>
          {whole ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}
        </button>
      )}
    </>
  );
}

export interface ReplyProps {
  reply: Reply;
  /** Quick replies are offered until the conversation goes on. */
  latest: boolean;
  onPress: ((button: Button) => void) | null;
}

/** One message of the assistant. */
export function ReplyContent({ reply, latest, onPress }: ReplyProps) {
  return (
    <>
      {typeof reply.text === "string" && reply.text !== "" && (
        <div class="bubble">
          <Text text={reply.text} />
        </div>
      )}
      {textOf(reply.image) !== "" && <Picture address={textOf(reply.image)} />}
      {reply.attachment != null && <Attachment value={reply.attachment} />}
      {reply.elements?.map((element) => (
        <Card element={element} onPress={onPress} />
      ))}
      {reply.custom != null && <Data label="Data" value={reply.custom} />}
      <Buttons buttons={buttonsOf(reply.buttons)} onPress={onPress} />
      {latest && <Buttons buttons={buttonsOf(reply.quick_replies)} onPress={onPress} />}
    </>
  );
}

function Buttons({ buttons, onPress }: { buttons: Button[]; onPress: ((button: Button) => void) | null }) {
  if (buttons.length === 0) return null;
  return (
    <div class="buttons" role="group" aria-label="Answers to choose from">
      {buttons.map((button) => (
        <button type="button" class="choice" dir="auto" disabled={onPress === null} onClick={() => onPress?.(button)}>
          {button.title}
        </button>
      ))}
    </div>
  );
}

function Picture({ address }: { address: string }) {
  const [failed, setFailed] = useState(false);
  const allowed = imageAddress(address);
  if (allowed === null || failed) {
    return (
      <div class="bubble">
        <span class="text">Picture that cannot be shown: {address.slice(0, 200)}</span>
      </div>
    );
  }
  return <img class="picture" src={allowed} alt="Picture from the assistant" onError={() => setFailed(true)} />;
}

/** A file to load, a picture of Rasa's `{type, payload: {src}}`, or whatever else it is. */
function Attachment({ value }: { value: unknown }) {
  if (typeof value === "string" && linkAddress(value) !== null) {
    return (
      <div class="bubble">
        <Text text={value} />
      </div>
    );
  }
  if (isRecord(value) && value["type"] === "image" && isRecord(value["payload"])) {
    return <Picture address={textOf(value["payload"]["src"])} />;
  }
  return <Data label="Attachment" value={value} />;
}

function Card({ element, onPress }: { element: unknown; onPress: ((button: Button) => void) | null }) {
  if (!isRecord(element) || textOf(element["title"]) === "") return <Data label="Element" value={element} />;
  const image = textOf(element["image_url"]);
  return (
    <div class="bubble card">
      {image !== "" && <Picture address={image} />}
      <strong dir="auto">{textOf(element["title"])}</strong>
      {textOf(element["subtitle"]) !== "" && <Text text={textOf(element["subtitle"])} />}
      <Buttons buttons={buttonsOf(element["buttons"])} onPress={onPress} />
    </div>
  );
}

function Data({ label, value }: { label: string; value: unknown }) {
  return (
    <details class="bubble data" part="custom">
      <summary>{label}</summary>
      <pre tabIndex={0}>{JSON.stringify(value, null, 2)}</pre>
    </details>
  );
}
