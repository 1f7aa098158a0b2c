import { isRecord, textOf } from "../shared/reply.ts";
import { Bars } from "./bars.tsx";
import { asText } from "./describe.ts";
import { between, spans } from "./spans.ts";
import type { Entity, Explanation, ParseData } from "./types.ts";

const SHOWN_INTENTS = 10;
const SHOWN_TOKENS = 300;

/** What was understood of a message: tokens, intents, entities over the text, responses of a selector. */
export function MessageDetail({
  text,
  parse,
  entities,
  explanation,
}: {
  text: string;
  parse: ParseData;
  entities: readonly Entity[];
  explanation: Explanation | null;
}) {
  const intents = parse.intent_ranking?.length ? parse.intent_ranking : rankingOfOne(parse);
  const tokens = explanation?.tokens.length
    ? explanation.tokens.map((token) => token.text)
    : (parse.text_tokens ?? []).map(([start, end]) => between(text, start, end));
  return (
    <>
      <Highlighted text={text} entities={entities} />
      {entities.length > 0 && <EntityTable entities={entities} />}
      <h4>Intents</h4>
      {intents.length > 0 ? <Bars label="Intents" bars={intents.slice(0, SHOWN_INTENTS)} /> : <p class="soft">none</p>}
      <Responses selector={parse.response_selector} />
      <h4>Tokens</h4>
      <p class="tokens" dir="auto">
        {tokens.slice(0, SHOWN_TOKENS).map((token) => (
          <code>{token}</code>
        ))}
        {tokens.length > SHOWN_TOKENS && <span class="soft">and {tokens.length - SHOWN_TOKENS} more</span>}
        {tokens.length === 0 && <span class="soft">none</span>}
      </p>
    </>
  );
}

function rankingOfOne(parse: ParseData) {
  const { name, confidence } = parse.intent ?? {};
  return name ? [{ name, confidence: confidence ?? 0 }] : [];
}

function Highlighted({ text, entities }: { text: string; entities: readonly Entity[] }) {
  return (
    <p class="message" dir="auto">
      {spans(text, entities).map((span) =>
        span.entities.length === 0 ? (
          <span>{span.text}</span>
        ) : (
          <mark title={span.entities.map((one) => `${one.entity}: ${asText(one.value)}`).join(", ")}>
            {span.text}
            <sup>{span.entities.map(labelOf).join(", ")}</sup>
          </mark>
        ),
      )}
    </p>
  );
}

function labelOf(entity: Entity): string {
  const more = [entity.role, entity.group].filter(Boolean).join("/");
  return more === "" ? entity.entity : `${entity.entity} (${more})`;
}

function EntityTable({ entities }: { entities: readonly Entity[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Entity</th>
          <th scope="col">Value</th>
          <th scope="col">Found by</th>
        </tr>
      </thead>
      <tbody>
        {entities.map((entity) => (
          <tr>
            <td dir="auto">{labelOf(entity)}</td>
            <td dir="auto">{asText(entity.value)}</td>
            <td>{entity.extractor ?? ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Each selector's ranking. */
function Responses({ selector }: { selector: Record<string, unknown> | undefined }) {
  const rankings = Object.entries(selector ?? {}).flatMap(([name, found]) => {
    const ranking = isRecord(found) && Array.isArray(found["ranking"]) ? found["ranking"].filter(isRecord) : [];
    const bars = ranking.slice(0, SHOWN_INTENTS).map((one) => ({
      name: textOf(one["intent_response_key"]),
      confidence: Number(one["confidence"]) || 0,
    }));
    return bars.length > 0 ? [{ name, bars }] : [];
  });
  return (
    <>
      {rankings.map(({ name, bars }) => (
        <>
          <h4>Responses{name === "default" ? "" : ` of ${name}`}</h4>
          <Bars label={`Responses of ${name}`} bars={bars} />
        </>
      ))}
    </>
  );
}
