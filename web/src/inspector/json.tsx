/** Any value as text, in a box that scrolls. */
export function Json({ value, label }: { value: unknown; label: string }) {
  return (
    <pre class="json" tabIndex={0} role="region" aria-label={label}>
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}

/** Lines of a unified diff; the sign at the beginning says what the colour says. */
export function Diff({ text }: { text: string }) {
  return (
    <pre class="json diff" tabIndex={0} role="region" aria-label="Change">
      {text.split("\n").map((line) => (
        <span class={classOf(line)}>{`${line}\n`}</span>
      ))}
    </pre>
  );
}

function classOf(line: string): string {
  if (line.startsWith("+++") || line.startsWith("---")) return "";
  return line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "";
}
