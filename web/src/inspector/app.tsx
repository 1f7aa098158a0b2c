import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import type { Api } from "./api.ts";
import { ChatPane } from "./chat_pane.tsx";
import { CompareDialog } from "./compare_dialog.tsx";
import { Conversations } from "./conversations.tsx";
import { userEvent } from "./describe.ts";
import { Detail, type Asked } from "./detail.tsx";
import { ExampleDialog } from "./example_dialog.tsx";
import { messageOf, useConversation, useLoaded, type Conversation } from "./hooks.ts";
import { Login } from "./login.tsx";
import { hashOf, routeOf, type Route } from "./route.ts";
import { StoryDialog } from "./story_dialog.tsx";
import { Timeline, type Choice } from "./timeline.tsx";
import type { Assistant, Turn } from "./types.ts";

type Pane = "chat" | "timeline" | "detail";
const PANES: Readonly<Record<Pane, string>> = { chat: "Chat", timeline: "Timeline", detail: "Detail" };

/** The inspector, or the question who asks for it. */
export function App({ api }: { api: Api }) {
  /** Why this page is not let in, empty where it has not said who it is; null where nobody minds it. */
  const [refusal, setRefusal] = useState<string | null>(null);
  useLayoutEffect(() => {
    api.session.onRefused = (message) => setRefusal(api.session.isKnown ? message : "");
  }, [api]);
  const enter = (credential: string) => {
    api.session.keep(credential);
    api.assistant().then(
      () => setRefusal(null),
      (error: unknown) => setRefusal(messageOf(error)),
    );
  };
  return refusal === null ? <Inspector api={api} /> : <Login problem={refusal} onGiven={enter} />;
}

function Inspector({ api }: { api: Api }) {
  const [route, setRoute] = useRoute();
  const assistant = useLoaded(() => api.assistant(), [api]);
  const many = route.view === "conversations";
  const home: Route = { view: "conversation", id: "", turn: null };
  return (
    <div class="page">
      <header class="top">
        <h1>Inspector</h1>
        <span class="soft" role="status">
          {assistant.problem || (assistant.value ? `version ${assistant.value.bundle}` : "")}
        </span>
        <nav aria-label="Views">
          <a href={hashOf(home)} aria-current={many ? undefined : "page"}>
            Chat
          </a>
          <a href={hashOf({ view: "conversations" })} aria-current={many ? "page" : undefined}>
            Conversations
          </a>
        </nav>
      </header>
      {route.view === "conversations" ? (
        <Conversations api={api} onOpen={(id) => setRoute({ view: "conversation", id, turn: null })} />
      ) : (
        <One api={api} assistant={assistant.value} route={route} onRoute={setRoute} />
      )}
    </div>
  );
}

interface OneProps {
  api: Api;
  assistant: Assistant | null;
  route: Route & { view: "conversation" };
  onRoute: (route: Route) => void;
}

/** One conversation: the chat, its timeline, and what is to know of the chosen turn. */
function One({ api, assistant, route, onRoute }: OneProps) {
  const conversation = useConversation(api, route.id);
  const [event, setEvent] = useState<number | null>(null);
  const [pane, setPane] = useState<Pane>("chat");
  const [asked, setAsked] = useState<Asked | null>(null);
  const [forks, setForks] = useState<readonly string[]>([]);
  const [problem, setProblem] = useState("");
  const choice: Choice | null = route.turn === null ? null : { turn: route.turn, event };
  const turn = chosen(conversation, choice);
  const choose = (to: Choice | null) => {
    setEvent(to?.event ?? null);
    onRoute({ ...route, turn: to?.turn ?? null });
  };
  const open = (id: string) => onRoute({ view: "conversation", id, turn: null });
  const ask = (what: Asked) => {
    if (what !== "fork" || turn === undefined) return setAsked(what);
    return void api.fork(route.id, turn.number).then(
      (fork) => {
        setForks((before) => [...before, fork.id]);
        setProblem("");
        open(fork.id);
      },
      (error: unknown) => setProblem(messageOf(error)),
    );
  };
  return (
    <main class="one" data-pane={pane}>
      <div class="panes" role="group" aria-label="Parts of the page">
        {(Object.keys(PANES) as Pane[]).map((name) => (
          <button type="button" aria-pressed={pane === name} onClick={() => setPane(name)}>
            {PANES[name]}
          </button>
        ))}
      </div>
      <div class="pane chat">
        <ChatPane
          server={api.server}
          session={api.session}
          title="Chat"
          conversation={route.id}
          own={forks.includes(route.id)}
          onConversation={open}
        />
      </div>
      <section class="pane timeline" aria-label="Timeline">
        {problem !== "" && (
          <p class="error" role="alert">
            {problem}
          </p>
        )}
        <Timeline conversation={conversation} choice={choice} onChoose={choose} />
      </section>
      <section class="pane details" aria-label="Detail">
        {turn === undefined ? (
          <p class="empty">
            {conversation.turns.length === 0
              ? "Say something, and see here why the assistant answers as it does."
              : "Reading …"}
          </p>
        ) : (
          <Detail api={api} conversation={route.id} turn={turn} choice={choice} onAsk={ask} />
        )}
      </section>
      {turn !== undefined && asked !== null && (
        <Asking
          api={api}
          assistant={assistant}
          id={route.id}
          turn={turn}
          asked={asked}
          onClose={() => setAsked(null)}
        />
      )}
    </main>
  );
}

interface AskingProps {
  api: Api;
  assistant: Assistant | null;
  id: string;
  turn: Turn;
  asked: Asked;
  onClose: () => void;
}

function Asking({ api, assistant, id, turn, asked, onClose }: AskingProps) {
  if (assistant === null) return null;
  if (asked === "compare") {
    return (
      <CompareDialog
        api={api}
        conversation={id}
        turn={turn.number}
        version={turn.bundle_version}
        bundles={assistant.bundles}
        onClose={onClose}
      />
    );
  }
  if (asked === "story") {
    return <StoryDialog api={api} conversation={id} turn={turn.number} canSave={assistant.project} onClose={onClose} />;
  }
  const said = userEvent(turn);
  return (
    <ExampleDialog api={api} assistant={assistant} text={said?.text ?? ""} parse={said?.parse_data} onClose={onClose} />
  );
}

/** Which turn is the newest is known once all are read. */
function chosen({ turns, read }: Conversation, choice: Choice | null): Turn | undefined {
  if (choice === null) return read ? turns.at(-1) : undefined;
  return turns.find((turn) => turn.number === choice.turn);
}

function useRoute(): [Route, (route: Route) => void] {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const read = () => setRoute(routeOf(location.hash));
    window.addEventListener("hashchange", read);
    return () => window.removeEventListener("hashchange", read);
  }, []);
  const go = (to: Route) => {
    // Where nothing was chosen yet there is nothing to come back to.
    const isFirst = route.view === "conversation" && route.id === "";
    if (isFirst) history.replaceState(null, "", hashOf(to));
    else location.hash = hashOf(to);
    setRoute(to);
  };
  return [route, go];
}
