/** The user's own table: pictures grouped by what a column says, and what its values lead to. */

import { useEffect, useState } from "preact/hooks";
import { type Collection, type Value, api } from "./api";
import { Dialog } from "./parts";
import { type Route, to } from "./route";
import { counted, number } from "./words";

/** What a column says, each with its pictures. */
export function Values({ collection, route, version, complain }: { collection: string; route: Route; version: number; complain: (fault: unknown) => void }) {
  const [values, setValues] = useState<Value[] | null>(null);
  useEffect(() => {
    setValues(null);
    api.values(collection, route.column).then(setValues, (fault: unknown) => (setValues([]), complain(fault)));
  }, [collection, route.column, version]);
  if (!values) return <p aria-busy="true" />;
  return (
    <section class="text" aria-label={`By ${route.column}`}>
      <h2>{counted(values.filter(({ value }) => value).length, "group")} by {route.column}</h2>
      <ul class="values">
        {values.map(({ value, pictures }) => (
          <li>
            <a href={to(collection, { ...route, value })}>
              <span class="name">{value || `Nothing is said`}</span> <span class="quiet">{number(pictures)}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface LinksProps {
  collection: Collection;
  say: (message: string) => void;
  complain: (fault: unknown) => void;
  onDone: () => void;
  onClose: () => void;
}

/** What values of columns lead to. */
export function Links({ collection, say, complain, onDone, onClose }: LinksProps) {
  const [links, setLinks] = useState<Record<string, string> | null>(null);
  useEffect(() => {
    api.table(collection.name).then((table) => setLinks(table.links), (fault: unknown) => (complain(fault), onClose()));
  }, []);
  const keep = (event: Event) => {
    event.preventDefault();
    const given = Object.fromEntries(Object.entries(links ?? {}).flatMap(([column, text]) => (text.trim() ? [[column, text.trim()]] : [])));
    api.putLinks(collection.name, given).then(() => {
      say("That is kept.");
      onDone();
      onClose();
    }, complain);
  };
  const example = collection.columns[0] ?? "number";
  return (
    <Dialog name="What columns lead to" onClose={onClose}>
      <h2>What columns lead to</h2>
      <p>
        Write an address with a column's name in curly brackets where its value is to stand, such as{" "}
        <span class="name">https://…/{`{${example}}`}</span>. What stands in that column then leads there.
      </p>
      <form onSubmit={keep} class="fields">
        {collection.columns.map((column) => (
          <label>
            <span>{column}</span>
            <input
              type="text"
              inputMode="url"
              placeholder="https://"
              disabled={!links}
              value={links?.[column] ?? ""}
              onInput={(event) => setLinks({ ...links, [column]: event.currentTarget.value })}
            />
          </label>
        ))}
        <div class="row end">
          <button type="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" class="strong" disabled={!links}>
            Keep
          </button>
        </div>
      </form>
    </Dialog>
  );
}
