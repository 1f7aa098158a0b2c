import { useEffect, useRef, useState } from "preact/hooks";
import { messageOf, useSettled } from "./hooks.ts";

export interface Preview<T> {
  told: T | null;
  problem: string;
  /** Whether what is told is of what is asked for now, and not saved yet. */
  canSave: boolean;
  save: () => void;
}

interface Answer<T> {
  inputs: string;
  told: T | null;
  problem: string;
}

const SETTLE_MS = 250;

/** What a save would do, asked anew whenever `inputs` has changed for a while; nothing else can be saved than that. */
export function usePreview<T extends { saved: boolean }>(
  inputs: string,
  ask: (save: boolean) => Promise<T>,
): Preview<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ inputs: "", told: null, problem: "" });
  const [saving, setSaving] = useState(false);
  const latest = useRef(0);
  const settled = useSettled(inputs, SETTLE_MS);
  const request = (save: boolean): Promise<void> => {
    const number = (latest.current += 1);
    const take = (answer: Answer<T>) => number === latest.current && setAnswer(answer);
    return ask(save).then(
      (told) => void take({ inputs, told, problem: "" }),
      (error: unknown) => void take({ inputs, told: null, problem: messageOf(error) }),
    );
  };
  useEffect(() => void request(false), [settled]);
  const save = () => {
    setSaving(true);
    void request(true).then(() => setSaving(false));
  };
  const isCurrent = answer.inputs === inputs && answer.told !== null && !answer.told.saved;
  return { told: answer.told, problem: answer.problem, canSave: isCurrent && !saving, save };
}
