/** What the service has under way: progress, time left, and what came of it. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Job, api } from "./api";
import { to } from "./route";
import { counted, duration, number } from "./words";

const ENDED = new Set(["done", "failed", "cancelled"]);

/** While pictures come in, so often (ms) what is shown of the collection is brought up to date. */
const NEWS = 5000;

/** Follows a job until it has ended; `onChange` now and then while it goes on, and when it has ended. */
export function useJob(collection: string, found: Job | null, onChange: () => void): { job: Job | null; follow: (job: Job | null) => void } {
  const [job, setJob] = useState<Job | null>(found);
  const change = useRef(onChange);
  change.current = onChange;
  useEffect(() => {
    setJob((now) => {
      if (found) return now?.id === found.id ? now : found;
      return now?.collection === collection ? now : null;
    });
  }, [collection, found?.id]);
  const id = job?.id;
  useEffect(() => {
    if (!id || !job || ENDED.has(job.state)) return;
    const source = new EventSource(api.jobEvents(id));
    let seen = { done: job.done, at: -NEWS }; // the first to come is shown at once
    const look = (event: MessageEvent<string>) => {
      const now = JSON.parse(event.data) as Job;
      setJob(now);
      const ended = ENDED.has(now.state);
      if (ended) source.close();
      if (!ended && (now.done === seen.done || performance.now() - seen.at < NEWS)) return;
      seen = { done: now.done, at: performance.now() };
      change.current();
    };
    source.addEventListener("job", look);
    return () => source.close();
  }, [id]);
  return { job, follow: useCallback((next: Job | null) => setJob(next), []) };
}

/** A job once it has ended. */
export async function over(job: Job): Promise<Job> {
  while (!ENDED.has(job.state)) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    job = await api.job(job.id);
  }
  return job;
}

const DOING: Record<string, [string, string]> = {
  index: ["searched", "Looking through the folder"],
  add: ["added", "Adding pictures"],
  remove: ["removed", "Removing pictures"],
  enrich: ["looked at again", "Looking at the pictures again"],
  groups: ["compared", "Looking for pictures that belong together"],
  batch: ["searched for", "Searching for many pictures"],
  upgrade: ["looked at by the other network", "The other network is looking at the pictures"],
  undo_upgrade: ["looked at by the network of before", "Going back to the network of before"],
  dates: ["dated", "Finding out when pictures were taken"],
  forget_upgrade: ["done", "Letting go of what the network of before saw"],
  discard_upgrade: ["done", "Throwing away what was begun"],
};

function reportInWords(job: Job): string {
  const report = job.report ?? {};
  if (job.kind === "batch") {
    const [queries, present] = [report["queries"], report["present"]];
    if (typeof queries !== "number" || typeof present !== "number") return "";
    return `${counted(queries, "picture")} searched for, ${number(present)} found`;
  }
  if (typeof report["model"] === "string") return `pictures are told apart by ${report["model"]} now`;
  const told: string[] = [];
  for (const [key, word] of [
    ["added", "new"],
    ["changed", "changed"],
    ["removed", "gone"],
    ["unchanged", "as they were"],
  ] as const) {
    const count = report[key];
    if (typeof count === "number" && count > 0) told.push(`${number(count)} ${word}`);
  }
  return told.join(", ");
}

export function JobLine(props: { job: Job; mayCancel: boolean; complain: (fault: unknown) => void; onClose: () => void }) {
  const { job } = props;
  const [done, doing] = DOING[job.kind] ?? ["done", "Working"];
  const skipped = job.report?.["skipped"];
  const bad = Array.isArray(skipped) ? (skipped as { name?: string; path?: string; reason?: string }[]) : [];
  if (ENDED.has(job.state)) {
    const said = { done: "Done", failed: "That did not work", cancelled: "Stopped" }[job.state as "done" | "failed" | "cancelled"];
    const told = reportInWords(job);
    return (
      <div class="job ended">
        <div role="status">
          <strong>{said}</strong>
          {told && `: ${told}`}.{job.problem && ` ${job.problem.detail ?? job.problem.title}`}
        </div>
        {job.kind === "batch" && <a href={to(job.collection, { view: "table", id: job.id })}>See the table</a>}
        {bad.length > 0 && (
          <details>
            <summary>{counted(bad.length, "file")} could not be read</summary>
            <ul class="skipped" tabIndex={0}>
              {bad.map((item) => (
                <li>
                  <span class="name">{item.name ?? item.path}</span> <span class="quiet">{item.reason}</span>
                </li>
              ))}
            </ul>
          </details>
        )}
        <button type="button" class="end" onClick={props.onClose}>
          Close
        </button>
      </div>
    );
  }
  const of = job.total ? `${number(job.done)} of ${number(job.total)} ${done}` : job.done ? `${number(job.done)} ${done}` : "";
  return (
    <div class="job">
      <span>
        <strong>{of || `${doing}…`}</strong>
        <span class="quiet">
          {job.rate ? ` · ${job.rate < 10 ? job.rate.toFixed(1) : number(Math.round(job.rate))} a second` : ""}
          {job.seconds_left !== null && job.seconds_left !== undefined ? ` · ${duration(job.seconds_left)} left` : ""}
          {job.kind === "index" && job.done > 0 ? " · you can search already" : ""}
          {job.kind === "upgrade" || job.kind === "undo_upgrade" ? " · you can search meanwhile, as before" : ""}
        </span>
      </span>
      <progress max={1} {...(job.total ? { value: job.done / job.total } : {})} aria-label={doing} />
      {props.mayCancel && (
        <button type="button" onClick={() => api.cancel(job.id).catch(props.complain)}>
          Cancel
        </button>
      )}
    </div>
  );
}
