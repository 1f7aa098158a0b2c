import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { scrolledTo, windowOf } from "./windowing.ts";

export interface WindowedListProps {
  label: string;
  name: string;
  count: number;
  rowPx: number;
  selected: number;
  row: (index: number) => ComponentChildren;
  rowClass?: (index: number) => string;
  onSelect: (index: number) => void;
  /** Told of a row that was clicked, or on which Enter was pressed; without it a click selects. */
  onPick?: (index: number) => void;
  /** Told of the last row drawn. */
  onSeen?: (last: number) => void;
  /** Stay at the end as rows are added. */
  follow?: boolean;
}

/** A list of any length of which only the rows in sight are drawn; one stop for Tab, arrows move within. */
export function WindowedList(props: WindowedListProps) {
  const { label, name, count, rowPx, selected, row, rowClass, onSelect, onPick, onSeen, follow } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const measure = () => {
    if (box.current) setView({ top: box.current.scrollTop, height: box.current.clientHeight });
  };
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  // The height as well: a list that was hidden could not be scrolled.
  useLayoutEffect(() => {
    const at = box.current;
    if (!at) return;
    if (follow) at.scrollTop = at.scrollHeight;
    else if (selected >= 0) at.scrollTop = scrolledTo(selected, rowPx, at.scrollTop, at.clientHeight);
    // At once: the browser tells of the scrolling only after it has drawn the list without its rows.
    if (at.scrollTop !== view.top) measure();
  }, [selected, rowPx, follow, follow ? count : 0, view.height]);
  const { first, end } = windowOf(count, rowPx, view.top, view.height);
  useEffect(() => onSeen?.(end - 1), [end, count]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && selected >= 0) return onPick?.(selected);
    const page = Math.max(1, Math.floor(view.height / rowPx) - 1);
    const to = moved(event.key, selected, count, page);
    if (to === null) return;
    event.preventDefault();
    onSelect(to);
  };
  const active = selected >= first && selected < end ? `${name}-${selected}` : undefined;
  return (
    <div
      class="windowed"
      role="listbox"
      aria-label={label}
      aria-activedescendant={active}
      tabIndex={0}
      ref={box}
      onScroll={measure}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" class="canvas" style={{ height: `${count * rowPx}px` }}>
        {Array.from({ length: end - first }, (_, offset) => {
          const index = first + offset;
          return (
            <div
              key={index}
              id={`${name}-${index}`}
              role="option"
              class={`row ${rowClass?.(index) ?? ""}`}
              aria-selected={index === selected}
              aria-setsize={count}
              aria-posinset={index + 1}
              style={{ top: `${index * rowPx}px`, height: `${rowPx}px` }}
              onClick={() => (onPick ?? onSelect)(index)}
            >
              {row(index)}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function moved(key: string, selected: number, count: number, page: number): number | null {
  const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
  if (count === 0) return null;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const step = steps[key];
  return step === undefined ? null : Math.min(count - 1, Math.max(0, selected + step));
}
