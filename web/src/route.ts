/** The state of the page in its address: what is pasted in another browser shows the same. */

import { useEffect, useMemo, useState } from "preact/hooks";
import type { Box, Part } from "./api";

export type View = "start" | "search" | "browse" | "groups" | "skipped" | "marks" | "table";

export interface Route {
  collection: string | null;
  view: View;
  /** What follows the view: a group's id, say. */
  id: string | null;
  query: Part[];
  open: string | null;
  attend: number[] | null;
  top: number;
  folder: string;
  text: string;
  order: string;
  /** A column of the user's own table, by which pictures are grouped; and what it says of those that are shown, or null for all. */
  column: string;
  value: string | null;
}

const VIEWS = new Set<string>(["search", "browse", "groups", "skipped", "marks", "table"]);
const ID = /^[0-9a-f]{64}$/;
export const TOP = 50;
/** The service takes no more pictures and boxes in one query. */
const MOST = 32;

export const HOME: Route = {
  collection: null,
  view: "start",
  id: null,
  query: [],
  open: null,
  attend: null,
  top: TOP,
  folder: "",
  text: "",
  order: "",
  column: "",
  value: null,
};

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function partOf(text: string): Part | null {
  const [source = "", ...numbers] = text.split(",");
  const [kind, id = ""] = source.split(":");
  if (!ID.test(id) || (kind !== "upload" && kind !== "picture")) return null;
  const source_ = kind === "upload" ? { upload: id } : { picture: id };
  if (!numbers.length) return source_;
  const region = numbers.map(Number);
  if (region.length !== 4 || !region.every(Number.isSafeInteger)) return null;
  const [x1, y1, x2, y2] = region as Box;
  return { ...source_, region: [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)] };
}

export function partText(part: Part): string {
  const source = "upload" in part ? `upload:${part.upload}` : `picture:${part.picture}`;
  return part.region ? `${source},${part.region.join(",")}` : source;
}

/** What an address asks for; whatever is wrong in it is as if it were not there. */
export function parsed(fragment: string): Route {
  const [path = "", asks = ""] = fragment.replace(/^#?\/?/, "").split("?", 2);
  const [name, view = "", id] = path.split("/").map(decoded);
  const given = new URLSearchParams(asks);
  const open = given.get("open");
  const attend = given.get("attend");
  const top = Number(given.get("top"));
  return {
    collection: name || null,
    view: VIEWS.has(view) ? (view as View) : "start",
    id: id || null,
    query: (given.get("q") ?? "").split(";").map(partOf).filter((part) => part !== null).slice(0, MOST),
    open: open && ID.test(open) ? open : null,
    attend: attend === null ? null : attend.split(",").map(Number).filter(Number.isSafeInteger),
    top: Number.isSafeInteger(top) && top > 0 ? top : TOP,
    folder: given.get("folder") ?? "",
    text: given.get("text") ?? "",
    order: given.get("order") ?? "",
    column: given.get("column") ?? "",
    value: given.get("value"),
  };
}

export function formatted(route: Route): string {
  const path = [route.collection ?? "", route.view === "start" ? "" : route.view, route.id ?? ""];
  const asks: string[] = [];
  const ask = (key: string, value: string) => asks.push(`${key}=${encodeURIComponent(value).replace(/%3A|%3B|%2C/g, decodeURIComponent)}`);
  if (route.query.length) ask("q", route.query.map(partText).join(";"));
  if (route.attend) ask("attend", route.attend.join(","));
  if (route.top !== TOP) ask("top", String(route.top));
  if (route.folder) ask("folder", route.folder);
  if (route.text) ask("text", route.text);
  if (route.order) ask("order", route.order);
  if (route.column) ask("column", route.column);
  if (route.value !== null) ask("value", route.value);
  if (route.open) ask("open", route.open);
  const place = path.map(encodeURIComponent).join("/").replace(/\/+$/, "");
  return `#/${place}${asks.length ? `?${asks.join("&")}` : ""}`;
}

/** Where a link leads: the route with changes, or another one of the same collection. */
export function to(collection: string | null, changes: Partial<Route>): string {
  return formatted({ ...HOME, collection, ...changes });
}

type Listener = () => void;
const listeners = new Set<Listener>();

/** What a step of the browser's history knows: whether there is one of ours before it, and whether it was shown. */
interface Step {
  camseek?: boolean;
  seen?: boolean;
}

/** How far down each state was scrolled when it was left. */
const places = new Map<string, number>();
let shown = location.hash;

function thisStep(): Step {
  return (history.state as Step | null) ?? {};
}

function behindWindow(fragment: string): string {
  return formatted({ ...parsed(fragment), open: null });
}

/** Shows a new state from its top, and one that was shown before from where it was left. */
function scroll(): void {
  const [from, here] = [shown, location.hash];
  shown = here;
  const { camseek = true, seen } = thisStep();
  history.replaceState({ camseek, seen: true }, "");
  if (behindWindow(from) === behindWindow(here)) return;
  const place = seen ? (places.get(behindWindow(here)) ?? 0) : 0;
  let tries = 60; // what was there comes from the service again: about a second
  const settle = () => {
    scrollTo(0, place);
    if (Math.abs(scrollY - place) > 1 && tries-- > 0 && location.hash === here) requestAnimationFrame(settle);
  };
  requestAnimationFrame(settle);
}

history.scrollRestoration = "manual";
if (history.state === null) history.replaceState({ camseek: false, seen: true }, "");
addEventListener("scroll", () => shown === location.hash && places.set(behindWindow(shown), scrollY), { passive: true });

/** Goes to another state; `replace` leaves no step to come back to. */
export function go(route: Route, replace = false): void {
  const target = formatted(route);
  if (target === location.hash) return;
  if (replace) {
    history.replaceState(history.state, "", target);
    shown = target;
  } else history.pushState({ camseek: true }, "", target);
  for (const listener of listeners) listener();
}

/** Whether the step before this one was ours: then "back" is better than another step. */
export function cameFromHere(): boolean {
  return Boolean(thisStep().camseek);
}

export function useRoute(): Route {
  const [fragment, setFragment] = useState(location.hash);
  useEffect(() => {
    const look = () => {
      setFragment(location.hash);
      if (shown !== location.hash) scroll();
    };
    listeners.add(look);
    addEventListener("popstate", look);
    addEventListener("hashchange", look);
    return () => {
      listeners.delete(look);
      removeEventListener("popstate", look);
      removeEventListener("hashchange", look);
    };
  }, []);
  return useMemo(() => parsed(fragment), [fragment]);
}
