/** What was done last and is taken back by Ctrl+Z: boxes and marks, in one order. */

import { useEffect, useRef } from "preact/hooks";
import type { Box, Mark, Part } from "./api";
import { sameBox } from "./geometry";
import { writes } from "./parts";

/** Changes of boxes that follow one another sooner (ms) are one: a drag, an arrow key held down. */
const ONE = 600;
const MOST = 100;

type Deed =
  | { kind: "boxes"; before: Box[]; after: Box[]; at: number }
  | { kind: "mark"; query: Part[]; picture: string; before: Mark | null; after: Mark | null };

function same(some: Box[], others: Box[]): boolean {
  return some.length === others.length && some.every((box, place) => sameBox(box, others[place] as Box));
}

export interface Undo {
  boxes: (before: Box[], after: Box[]) => void;
  mark: (query: Part[], picture: string, before: Mark | null, after: Mark | null) => void;
}

/**
 * Keeps what is done to one query, and takes it back by the keys for it. What came by a link, or by the browser's own steps,
 * was not done here.
 */
export function useUndo(of: string, now: Box[], setBoxes: (boxes: Box[]) => void, setMark: (query: Part[], picture: string, mark: Mark | null) => void): Undo {
  const kept = useRef({ of, done: [] as Deed[], undone: [] as Deed[] });
  if (kept.current.of !== of) kept.current = { of, done: [], undone: [] };
  const latest = useRef({ now, setBoxes, setMark });
  latest.current = { now, setBoxes, setMark };
  useEffect(() => {
    const step = (from: Deed[], onto: Deed[], end: "before" | "after") => {
      for (let deed = from.pop(); deed; deed = from.pop()) {
        onto.push(deed);
        if (deed.kind === "mark") return latest.current.setMark(deed.query, deed.picture, deed[end]);
        // The browser's own steps may have brought it there already.
        if (!same(deed[end], latest.current.now)) return latest.current.setBoxes(deed[end]);
      }
    };
    const onKey = (event: KeyboardEvent) => {
      const key = event.key.toLowerCase();
      if (!(event.ctrlKey || event.metaKey) || event.altKey || (key !== "z" && key !== "y") || writes(event.target)) return;
      event.preventDefault();
      event.stopImmediatePropagation(); // the library that draws has a history of its own
      const { done, undone } = kept.current;
      if (key === "y" || event.shiftKey) step(undone, done, "after");
      else step(done, undone, "before");
    };
    addEventListener("keydown", onKey, true);
    return () => removeEventListener("keydown", onKey, true);
  }, []);

  const did = (deed: Deed) => {
    const { done } = kept.current;
    const last = done[done.length - 1];
    kept.current.undone = [];
    if (deed.kind === "boxes" && last?.kind === "boxes" && deed.at - last.at < ONE && deed.after.length === last.after.length) {
      done[done.length - 1] = { ...deed, before: last.before };
      return;
    }
    done.push(deed);
    if (done.length > MOST) done.shift();
  };
  return {
    boxes: (before, after) => did({ kind: "boxes", before, after, at: performance.now() }),
    mark: (query, picture, before, after) => did({ kind: "mark", query, picture, before, after }),
  };
}
