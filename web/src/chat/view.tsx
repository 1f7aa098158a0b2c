import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Button } from "../shared/reply.ts";
import type { ChatClient, ChatState, ChatTurn, Pending } from "./client.ts";
import { ReplyContent, Text } from "./content.tsx";

const SHOWN_TURNS = 50;

export interface ChatViewProps {
  client: ChatClient;
  state: ChatState;
  title: string;
  /** A conversation that may be read, not continued; the text says why. */
  readOnly: string;
  onClose: (() => void) | null;
  onSwitch: (conversation: string | null) => void;
}

/** The chat: its head with the conversations, what was said, and where to write. */
export function ChatView({ client, state, title, readOnly, onClose, onSwitch }: ChatViewProps) {
  const press = (button: Button) => client.say(button.payload, button.title);
  return (
    <section class="chat" aria-label={title}>
      <Head client={client} state={state} title={title} onClose={onClose} onSwitch={onSwitch} />
      <Log client={client} state={state} onPress={readOnly === "" ? press : null} />
      <p class="status" role="status">
        {statusOf(state)}
      </p>
      {readOnly === "" ? (
        <Composer key={state.conversation} onSay={(text) => client.say(text)} />
      ) : (
        <p class="note">{readOnly}</p>
      )}
    </section>
  );
}

function statusOf(state: ChatState): string {
  if (state.connection === "waiting") return "No connection. Trying again …";
  return state.typing ? "The assistant is typing …" : "";
}

type HeadProps = Pick<ChatViewProps, "client" | "state" | "title" | "onClose" | "onSwitch">;

function Head({ client, state, title, onClose, onSwitch }: HeadProps) {
  const known = client.store.conversations;
  const isKnown = known.some((one) => one.id === state.conversation);
  return (
    <header class="head">
      <h2 dir="auto">{title}</h2>
      <select
        aria-label="Conversation"
        value={state.conversation}
        onChange={(event) => onSwitch(event.currentTarget.value)}
      >
        {!isKnown && <option value={state.conversation}>{state.conversation}</option>}
        {known.map((one) => (
          <option value={one.id}>{one.title || "New conversation"}</option>
        ))}
      </select>
      <button
        type="button"
        class="icon"
        aria-label="New conversation"
        title="New conversation"
        onClick={() => onSwitch(null)}
      >
        +
      </button>
      {onClose !== null && (
        <button type="button" class="icon" aria-label="Close the chat" title="Close" onClick={onClose}>
          ×
        </button>
      )}
    </header>
  );
}

interface LogProps {
  client: ChatClient;
  state: ChatState;
  onPress: ((button: Button) => void) | null;
}

function Log({ client, state, onPress }: LogProps) {
  const [shown, setShown] = useState(SHOWN_TURNS);
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => setShown(SHOWN_TURNS), [state.conversation]);
  useLayoutEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  useEffect(() => {
    // What was hidden could not be scrolled.
    const observer = new ResizeObserver(() => {
      if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
    });
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const onScroll = () => {
    const at = box.current;
    if (at && at.clientHeight > 0) atEnd.current = at.scrollHeight - at.scrollTop - at.clientHeight < 80;
  };
  const turns = state.turns.slice(-shown);
  return (
    <div
      class="log"
      role="log"
      aria-label="Messages"
      aria-live="polite"
      aria-busy={!state.caughtUp}
      tabIndex={0}
      ref={box}
      onScroll={onScroll}
    >
      {turns.length < state.turns.length && (
        <button type="button" class="more" onClick={() => setShown(shown + SHOWN_TURNS)}>
          Show earlier messages
        </button>
      )}
      {turns.map((turn) => (
        <Turn
          key={turn.number}
          turn={turn}
          client={client}
          latest={turn === turns.at(-1) && state.pending.length === 0}
          onPress={onPress}
        />
      ))}
      {state.pending.map((message) => (
        <Waiting key={message.id} message={message} />
      ))}
      {state.typing && (
        <div class="bubble typing" aria-hidden="true">
          <i />
          <i />
          <i />
        </div>
      )}
    </div>
  );
}

interface TurnProps {
  turn: ChatTurn;
  client: ChatClient;
  latest: boolean;
  onPress: ((button: Button) => void) | null;
}

function Turn({ turn, client, latest, onPress }: TurnProps) {
  const said = turn.text === null ? null : client.shownAs(turn.text);
  return (
    <div class="turn">
      {said !== null && (
        <div class="mine" data-turn={turn.number}>
          <span class="who">You:</span>
          <div class="bubble">
            <Text text={said} />
          </div>
        </div>
      )}
      {turn.replies.map((reply) => (
        <div class="theirs">
          <span class="who">Assistant:</span>
          <ReplyContent reply={reply} latest={latest} onPress={onPress} />
        </div>
      ))}
      {turn.errors?.map((error) => (
        <div class="error">
          {error.where}: {error.message}
        </div>
      ))}
    </div>
  );
}

function Waiting({ message }: { message: Pending }) {
  return (
    <div class={`mine ${message.state}`}>
      <span class="who">You:</span>
      <div class="bubble">
        <Text text={message.shown} />
      </div>
      {message.state === "refused" && <div class="error">Not sent. {message.reason}</div>}
    </div>
  );
}

function Composer({ onSay }: { onSay: (text: string) => void }) {
  const [text, setText] = useState("");
  const send = () => {
    if (text.trim() === "") return;
    onSay(text);
    setText("");
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        rows={1}
        dir="auto"
        aria-label="Your message"
        placeholder="Write a message"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <button type="submit">Send</button>
    </form>
  );
}
