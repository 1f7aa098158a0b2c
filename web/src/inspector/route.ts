/** Where the page is, kept in the address after `#`. */
export type Route = { view: "conversations" } | { view: "conversation"; id: string; turn: number | null };

export function routeOf(hash: string): Route {
  const [view, id, turn] = hash.replace(/^#\/?/u, "").split("/");
  if (view === "conversations") return { view };
  const number = Number(turn);
  const isNumber = turn !== undefined && Number.isInteger(number) && number > 0;
  return { view: "conversation", id: decoded(id ?? ""), turn: isNumber ? number : null };
}

export function hashOf(route: Route): string {
  if (route.view === "conversations") return "#/conversations";
  const turn = route.turn === null ? "" : `/${route.turn}`;
  return `#/c/${encodeURIComponent(route.id)}${turn}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
