/** Addresses and texts that others wrote: only what cannot run anything is let through. */

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;
const TRAILING = /[.,;:!?)\]}]+$/u;
const IMAGE_DATA = /^data:image\/(png|jpeg|gif|webp|avif)[;,]/iu;

export interface Piece {
  text: string;
  href?: string;
}

/** The text in pieces, those with `href` being links; joined they are the text again. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const link = match[0].replace(TRAILING, "");
    const href = linkAddress(link);
    if (href === null) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: link, href });
    end = match.index + link.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

/** An http(s) address, or null. */
export function linkAddress(value: string): string | null {
  const url = parsed(value);
  return url !== null && (url.protocol === "https:" || url.protocol === "http:") ? url.href : null;
}

/** An address to load a picture from, or null: http(s), or a picture within the address. SVG data is refused. */
export function imageAddress(value: string): string | null {
  return IMAGE_DATA.test(value) ? value : linkAddress(value);
}

function parsed(value: string): URL | null {
  try {
    return new URL(value);
  } catch {
    return null;
  }
}

/** A random id; `crypto.randomUUID` exists in secure contexts only, and a chat may be embedded in others. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
