import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A modal window; the browser keeps the focus in it, closes it on Escape, and gives the focus back. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    box.current?.showModal();
  }, []);
  return (
    <dialog ref={box} aria-label={title} onClose={onClose}>
      <header>
        <h2>{title}</h2>
        <button type="button" aria-label="Close" onClick={() => box.current?.close()}>
          ×
        </button>
      </header>
      {children}
    </dialog>
  );
}

/** What a save would change, and whether it is saved. */
export function Outcome({ problem, saved, file }: { problem: string; saved: boolean; file: string }) {
  return (
    <p role="status" class={problem === "" ? "" : "error"}>
      {problem || (saved ? `Saved in ${file}.` : file === "" ? "" : `Not saved yet: this would go into ${file}.`)}
    </p>
  );
}
