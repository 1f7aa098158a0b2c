/** What the gateway's inspector tells, as its JSON has it. */

import type { Reply, TurnError } from "../shared/reply.ts";

export type Flag = "fallback" | "low_confidence" | "rejected" | "error" | "slow";
export const FLAGS: Readonly<Record<Flag, string>> = {
  fallback: "fallback",
  low_confidence: "low confidence",
  rejected: "rejected action",
  error: "error",
  slow: "slow turn",
};

export interface Assistant {
  version: string;
  bundle: string;
  bundles: string[];
  intents: string[];
  entities: string[];
  actions: string[];
  slots: Record<string, { type: string; influence_conversation: boolean }>;
  forms: string[];
  /** Whether files of the project can be written. */
  project: boolean;
}

export interface Summary {
  id: string;
  turns: number;
  last_at: string;
  last_text: string | null;
  flags: Flag[];
  bundle_version: string;
}

export interface SummaryPage {
  conversations: Summary[];
  next: string | null;
  total: number;
  /** How far the log is read, 0 to 1. */
  reading: number;
}

export interface DialogueEvent {
  event: string;
  timestamp?: number | null;
  name?: string | null;
  text?: string | null;
  value?: unknown;
  policy?: string | null;
  confidence?: number | null;
  parse_data?: ParseData;
  [key: string]: unknown;
}

export interface Score {
  name: string;
  confidence: number;
}

export interface Entity {
  entity: string;
  start: number;
  end: number;
  value?: unknown;
  role?: string | null;
  group?: string | null;
  extractor?: string | null;
  confidence_entity?: number | null;
}

export interface ParseData {
  text?: string;
  intent?: Partial<Score>;
  intent_ranking?: Score[];
  entities?: Entity[];
  text_tokens?: [number, number][];
  response_selector?: Record<string, unknown>;
}

export interface Call {
  service: string;
  what: string;
  start_ms: number;
  ms: number;
}

export interface Turn {
  number: number;
  message_id: string;
  channel: string;
  bundle_version: string;
  committed_at: string;
  events: DialogueEvent[];
  replies: Reply[];
  errors: TurnError[];
  flags: Flag[];
  calls: Call[];
  changes: { slots: Record<string, [unknown, unknown]>; active_loop?: [unknown, unknown] | null };
  ms: number;
}

export interface Prediction {
  policy: string;
  priority: number;
  scores: { action: string; confidence: number }[];
  source: string;
}

export interface ExplainedAction {
  /** Index among the turn's events. */
  event: number;
  action: string;
  /** The action is what the bot says, word for word, as in an end-to-end story. */
  is_text: boolean;
  /** The winner went by the text of the message, not by its intent. */
  by_text: boolean;
  policy: string;
  confidence: number;
  /** The rule or story that won; empty where none did. */
  source: string;
  predictions: Prediction[];
}

export interface Explanation {
  actions: ExplainedAction[];
  tokens: { text: string; start: number; end: number }[];
}

export interface Tracker {
  slots: Record<string, unknown>;
  active_loop?: { name?: string | null } | Record<string, never> | null;
  latest_action_name?: string | null;
  paused?: boolean;
  [key: string]: unknown;
}

export interface StoryPreview {
  yaml: string;
  file: string;
  diff: string;
  saved: boolean;
}

export interface ExamplePreview {
  file: string;
  line: number;
  diff: string;
  saved: boolean;
}

export interface Outcome {
  intent: string | null;
  confidence: number | null;
  actions: string[];
  texts: string[];
}

export interface ComparedTurn {
  number: number;
  text: string | null;
  before: Outcome;
  after: Outcome;
  differs: boolean;
  /** What of the turn differs: intent, entities, actions, texts, … */
  differences?: string[];
  /** Custom actions that the other bundle would call; nothing is called in earnest. */
  would_call?: string[];
  errors?: string[];
}
