/** What the user marked, and what could not be read. */

import { useEffect, useState } from "preact/hooks";
import { type Marked, type Skipped, api } from "./api";
import type { Shared } from "./app";
import { cornersOf } from "./geometry";
import { Outlines } from "./parts";
import { to } from "./route";
import { counted, date, fileName } from "./words";

export function Marks({ collection, complain, mayWrite }: Shared) {
  const [marks, setMarks] = useState<Marked[] | null>(null);
  useEffect(() => {
    api.marks(collection.name).then(setMarks, complain);
  }, [collection.name]);
  const unmark = (item: Marked) =>
    api.mark(collection.name, item.query, item.id, null).then(
      () => setMarks((now) => now?.filter((other) => other !== item) ?? null),
      complain,
    );
  return (
    <section class="text">
      <div class="row above">
        <h1>Marks</h1>
        {marks && marks.length > 0 && (
          <a class="button end" href={api.marksFile(collection.name)} download="marks.csv">
            Save as a table
          </a>
        )}
      </div>
      {marks?.length === 0 && <p class="quiet">Nothing is marked yet. Found pictures can be marked as right or wrong.</p>}
      <ul class="marked">
        {marks?.map((item) => {
          const first = item.query[0];
          return (
            <li class={`marked-${item.mark}`}>
              {first && (
                <a href={to(collection.name, { view: "search", query: item.query })} aria-label="The search">
                  <img src={"picture" in first ? api.thumbnail(collection.name, first.picture) : api.uploadView(first.upload, 640)} alt="" loading="lazy" />
                </a>
              )}
              <span aria-hidden="true">→</span>
              <a
                href={to(collection.name, { view: "search", query: item.query, open: item.id })}
                aria-label={`${fileName(item.picture?.name ?? "a picture that has gone")}, beside what was searched for`}
              >
                <span class="thumb">
                  <img src={api.thumbnail(collection.name, item.id)} alt="" loading="lazy" />
                  {item.picture && item.region && <Outlines size={item.picture.size} outlines={[{ corners: cornersOf(item.region) }]} />}
                </span>
              </a>
              <p>
                <strong>{item.mark === "right" ? "✓ Right" : "✗ Wrong"}</strong>
                <span class="name">{item.picture?.name ?? "It has left the collection."}</span>
                <span class="quiet">{date(item.at)}</span>
              </p>
              {mayWrite && (
                <button type="button" class="end" onClick={() => void unmark(item)}>
                  Take back
                </button>
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

export function Skips({ collection, complain, version }: Shared) {
  const [skipped, setSkipped] = useState<Skipped[] | null>(null);
  useEffect(() => {
    api.skipped(collection.name).then(setSkipped, complain);
  }, [collection.name, version]);
  return (
    <section class="text">
      <h1>{skipped ? counted(skipped.length, "file that could not be read", "files that could not be read") : "…"}</h1>
      <p class="quiet">They are tried again when they change. Nothing else is held up by them.</p>
      <table class="table">
        <thead>
          <tr>
            <th scope="col">File</th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
          {skipped?.map(({ name, reason }) => (
            <tr>
              <td class="name">{name}</td>
              <td>{reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
