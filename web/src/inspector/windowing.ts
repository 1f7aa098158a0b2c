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

/** Where to scroll so that a row is in sight: a little if it is near, else to the middle; nowhere if it is already. */
export function scrolledTo(row: number, rowPx: number, scrollPx: number, heightPx: number): number {
  const top = row * rowPx;
  const away = Math.max(scrollPx - top, top + rowPx - scrollPx - heightPx);
  if (away > heightPx / 2) return Math.max(0, top - (heightPx - rowPx) / 2);
  return top < scrollPx ? top : Math.max(scrollPx, top + rowPx - heightPx);
}
