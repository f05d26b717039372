/** A search under way: what it found so far, and how far it is. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Mark, type Part, type SearchRequest, type SearchResult, Refused, api, search } from "./api";
import { know, sourceOf } from "./query";
import { partText } from "./route";

export type Step = "idle" | "waiting" | "first" | "checking" | "done" | "failed";

export interface Searching {
  step: Step;
  result: SearchResult | null;
  fault: Refused | null;
  request: SearchRequest | null;
  again: () => void;
  /** Says of a picture whether it is right for a query: for the one that is shown, where no other is named. */
  mark: (picture: string, mark: Mark | null, of?: Part[]) => void;
}

const KEPT = 12;
const finished = new Map<string, SearchResult>();

function keep(key: string, result: SearchResult): void {
  finished.delete(key);
  finished.set(key, result);
  const oldest = finished.keys().next().value;
  if (finished.size > KEPT && oldest !== undefined) finished.delete(oldest);
}

let last: { collection: string; query: Part[] } | null = null;

/** What was searched for last in a collection, so that a match that was missed can be marked. */
export function lastQuery(collection: string): Part[] | null {
  return last?.collection === collection ? last.query : null;
}

/** What was found is no longer true once pictures came or went. */
export function forget(): void {
  finished.clear();
}

function marked(result: SearchResult, picture: string, mark: Mark | null): SearchResult {
  const hits = result.hits.map((hit) => (hit.picture.id === picture ? { ...hit, mark, marked_region: null } : hit));
  return { ...result, hits, missed: result.missed.filter((item) => item.picture.id !== picture || mark === "right") };
}

export function requestOf(query: Part[], attend: number[] | null, top: number, changes = false): SearchRequest {
  return { query, top, without_self: true, points: true, changes, options: attend ? { attend } : {} };
}

function textOf(query: Part[]): string {
  return query.map(partText).join(";");
}

interface State {
  /** What it says something of. */
  key: string;
  step: Step;
  result: SearchResult | null;
  fault: Refused | null;
}

export function useSearch(
  collection: string,
  query: Part[],
  attend: number[] | null,
  top: number,
  changes: boolean,
  complain: (fault: unknown) => void,
): Searching {
  const [state, setState] = useState<State>({ key: "", step: "idle", result: null, fault: null });
  const [turn, setTurn] = useState(0);
  const text = textOf(query);
  const plain = query.length ? [collection, text, attend?.join(",") ?? "all", top].join(" ") : "";
  const key = plain && changes ? `${plain} changes` : plain;
  const source = query[0] ? sourceOf(query[0]) : "";
  const before = useRef({ source: "", top: 0 });
  const request = key ? requestOf(query, attend, top, changes) : null;

  useEffect(() => {
    if (!request) {
      setState({ key, step: "idle", result: null, fault: null });
      return;
    }
    const known = finished.get(key);
    if (known) {
      before.current = { source, top };
      setState({ key, step: "done", result: known, fault: null });
      return;
    }
    // Only more is to be told of what is found already: it stays until then.
    const same = finished.get(plain);
    const sameThing = before.current.source === source;
    before.current = { source, top };
    // Hits of another picture say nothing of this one; those of another box stand until there are better ones.
    setState((now) => ({ key, step: same ? "checking" : "waiting", result: same ?? (sameThing ? now.result : null), fault: null }));
    const stop = new AbortController();
    const run = async () => {
      try {
        const result = await search(
          collection,
          request,
          (found) => same || setState({ key, step: "checking", result: found, fault: null }),
          stop.signal,
        );
        result.query.forEach((part, place) => {
          const asked = query[place];
          if (asked) know(asked, part.size);
        });
        keep(key, result);
        last = { collection, query };
        setState({ key, step: "done", result, fault: null });
      } catch (fault) {
        if (stop.signal.aborted) return;
        const told = fault instanceof Refused ? fault : new Refused({ title: String(fault), status: 0 });
        setState((now) => ({ ...now, step: "failed", fault: told }));
      }
    };
    void run();
    return () => stop.abort();
  }, [key, turn]);

  const mark = (picture: string, wanted: Mark | null, of: Part[] = query) => {
    if (textOf(of) !== text) {
      // Of a query that was shown before: what was found for it is remembered with its marks.
      for (const [known, result] of finished)
        if (known.startsWith(`${collection} ${textOf(of)} `)) finished.set(known, marked(result, picture, wanted));
      api.mark(collection, of, picture, wanted).catch(complain);
      return;
    }
    const change = (to: Mark | null) =>
      setState((now) => {
        if (!now.result) return now;
        const result = marked(now.result, picture, to);
        if (now.step === "done") keep(key, result);
        return { ...now, result };
      });
    const was = state.result;
    change(wanted);
    api.mark(collection, query, picture, wanted).catch((fault: unknown) => {
      setState((now) => (now.key === key && was ? { ...now, result: was } : now));
      if (was && state.step === "done") keep(key, was);
      complain(fault);
    });
  };

  // Until the effect has run, the state is that of the question before.
  const step = state.key === key ? state.step : "waiting";
  return { ...state, step, request, again: () => setTurn((count) => count + 1), mark };
}
