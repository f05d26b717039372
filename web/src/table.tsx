/** Many queries at once: what was found of each. */

import { useEffect, useState } from "preact/hooks";
import { type BatchRow, type VerdictWord, api } from "./api";
import type { Shared } from "./app";
import { to } from "./route";
import { VERDICTS, counted, fileName, percent } from "./words";

/** The pictures that were given for a job, as long as the page is there: the service keeps none. */
const given = new Map<string, File[]>();

export function giveFor(job: string, files: File[]): void {
  given.clear(); // of the last one alone: they may be large
  given.set(job, files);
}

function Asked({ file, name, give }: { file: File | undefined; name: string; give: (file: Blob) => void }) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    if (!file) return;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return (
    <div class="asked">
      {file && url && (
        <button type="button" aria-label={`${name}: search for it alone`} onClick={() => give(file)}>
          <img src={url} alt="" loading="lazy" decoding="async" onError={(event) => (event.currentTarget.hidden = true)} />
        </button>
      )}
      <span>{name}</span>
    </div>
  );
}

export function ManyQueries({ collection, route, version, complain, give }: Shared) {
  const [rows, setRows] = useState<BatchRow[] | null>(null);
  const id = route.id ?? "";
  useEffect(() => {
    if (id) api.batchTable(id).then(setRows, complain);
  }, [id, version]);
  return (
    <section class="text">
      <div class="row above">
        <h1>{rows ? `${counted(rows.length, "picture")} searched for` : "Searching for many pictures"}</h1>
        {rows && rows.length > 0 && (
          <a class="button end" href={api.batchFile(id)} download="camseek-table.csv">
            Save as a table
          </a>
        )}
      </div>
      <table class="table queries">
        <thead>
          <tr>
            <th scope="col">Picture</th>
            <th scope="col">Found</th>
            <th scope="col">Most like it</th>
          </tr>
        </thead>
        <tbody>
          {rows?.map((row) => {
            const first = row.hits[0];
            const verdict = (first?.verdict ?? null) as VerdictWord | null;
            return (
              <tr key={row.number}>
                <th scope="row" class="name">
                  <Asked file={given.get(id)?.[row.number]} name={row.query} give={give} />
                </th>
                <td>
                  {row.problem ? (
                    <span class="fault">{row.problem}</span>
                  ) : (
                    verdict && (
                      <span class={`verdict ${verdict.replace(" ", "-")}`}>
                        {verdict === "not shown" ? "It is not here" : VERDICTS[verdict]}{" "}
                        {verdict !== "not shown" && typeof first?.probability === "number" && (
                          <span class="probability">{percent(first.probability)}</span>
                        )}
                      </span>
                    )
                  )}
                </td>
                <td>
                  <ul class="thumbs">
                    {row.hits.slice(0, 3).map((hit) => (
                      <li key={hit.id}>
                        <a href={to(collection.name, { view: "search", query: [{ picture: hit.id }] })} title={hit.name} aria-label={`${fileName(hit.name)}: search with it`}>
                          <img src={api.thumbnail(collection.name, hit.id)} alt="" loading="lazy" />
                        </a>
                      </li>
                    ))}
                  </ul>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
