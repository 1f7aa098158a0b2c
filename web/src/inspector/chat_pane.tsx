import { useEffect, useRef } from "preact/hooks";
import { TAG, type ChatElement } from "../chat/element.tsx";
import type { Session } from "./session.ts";

export interface ChatPaneProps {
  server: string;
  session: Session;
  title: string;
  /** The conversation to show; empty for the one that this browser had open last. */
  conversation: string;
  /** Conversations that were forked here: their owner is whoever looks at them. */
  own: boolean;
  onConversation: (id: string) => void;
}

const FOREIGN = "This conversation was begun elsewhere. Fork it to go on from one of its turns.";

/** The chat beside the inspector: of this browser's conversations to go on with, of others to read. */
export function ChatPane({ server, session, title, conversation, own, onConversation }: ChatPaneProps) {
  const box = useRef<HTMLDivElement>(null);
  const chat = useRef<ChatElement | null>(null);
  const told = useRef(onConversation);
  told.current = onConversation;
  useEffect(() => {
    const element = document.createElement(TAG) as ChatElement;
    element.headers = () => session.headers;
    element.setAttribute("server", server);
    element.setAttribute("heading", title);
    element.setAttribute("layout", "inline");
    element.addEventListener("conversation", (event) => told.current((event as CustomEvent<string>).detail));
    box.current?.append(element);
    chat.current = element;
    return () => element.remove();
  }, [server, session, title]);
  useEffect(() => {
    const element = chat.current;
    if (element === null) return;
    if (conversation === "") told.current(element.latest);
    else if (own || element.knows(conversation)) {
      if (element.conversation !== conversation || element.readOnly !== "") element.converse(conversation);
    } else element.look(conversation, FOREIGN);
  }, [conversation, own, server, session, title]);
  return <div class="chatbox" ref={box} />;
}
