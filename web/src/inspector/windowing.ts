export interface Window {
  first: number;
  /** One after the last. */
  end: number;
}

/** The rows to draw of a long list: those in sight, and a few on both sides. */
export function windowOf(count: number, rowPx: number, scrollPx: number, heightPx: number, extra = 8): Window {
  const first = Math.max(0, Math.floor(scrollPx / rowPx) - extra);
  const end = Math.min(count, Math.ceil((scrollPx + heightPx) / rowPx) + extra);
  return { first: Math.min(first, end), end };
}

/** Where to scroll so that a row is in sight; the same place where it is already. */
export function scrolledTo(row: number, rowPx: number, scrollPx: number, heightPx: number): number {
  const top = row * rowPx;
  if (top < scrollPx) return top;
  return Math.max(scrollPx, top + rowPx - heightPx);
}
