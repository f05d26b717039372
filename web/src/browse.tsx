/** All pictures of the collection: by folder, name and the day they came. */

import { useEffect, useRef, useState } from "preact/hooks";
import { About } from "./about";
import { type Box, type Folder, type Picture, Refused, api } from "./api";
import type { Shared } from "./app";
import { Boxes } from "./boxes";
import { Values } from "./columns";
import { boxInMiddle } from "./geometry";
import { Grid } from "./grid";
import { over } from "./jobs";
import { Ask, Dialog } from "./parts";
import { go, to } from "./route";
import { forget, lastQuery } from "./searching";
import { fileName, number } from "./words";

const ORDERS: [string, string][] = [
  ["", "As they came"],
  ["newest", "Newest first"],
  ["name", "By name"],
  ["date", "By date, latest first"],
  ["oldest", "By date, oldest first"],
];

export function Browse(shared: Shared) {
  const { collection, route, version, complain, changed, mayWrite, say } = shared;
  const [folders, setFolders] = useState<Folder[]>([]);
  const [text, setText] = useState(route.text);
  const now = useRef(route); // whoever types may choose a folder meanwhile
  now.current = route;
  const [opened, setOpened] = useState<Picture | null>(null);
  const [removing, setRemoving] = useState<Picture | null>(null);
  const [missing, setMissing] = useState<Picture | null>(null);

  useEffect(() => {
    api.folders(collection.name).then(setFolders, () => setFolders([]));
  }, [collection.name, version]);
  useEffect(() => {
    if (text === route.text) return;
    const timer = setTimeout(() => go({ ...now.current, text }, true), 250);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => {
    setText(route.text);
    setOpened(null);
  }, [route.text, route.column, route.value]);

  const remove = (picture: Picture) => {
    setRemoving(null);
    setOpened(null);
    const name = fileName(picture.name);
    const gone = (back: number) => {
      const returns = back ? " The next look through its folder brings it back, unless the file goes." : "";
      say(`${name} is no longer in the collection. The file itself is where it was.${returns}`);
      changed();
    };
    api.remove(collection.name, picture.id).then(async ({ coming_back, job }) => {
      if (!job) return gone(coming_back);
      say(`${name} will be removed as soon as what is being written just now lets it.`);
      const { report, problem } = await over(job);
      if (problem) complain(new Refused(problem));
      else gone(Number(report?.["coming_back"] ?? 0));
    }).catch(complain);
  };

  const sought = lastQuery(collection.name);
  const missed = (picture: Picture, region: Box | null) => {
    setMissing(null);
    if (!sought) return;
    api.mark(collection.name, sought, picture.id, "right", region).then(() => {
      say(`${fileName(picture.name)} is marked as right. It is listed under Marks, and can be taken back there.`);
      forget();
    }, complain);
  };

  return (
    <>
      <div class="toolbar" role="toolbar" aria-label="Which pictures are shown">
        <h1 class="unseen">Browse</h1>
        <input
          type="search"
          placeholder="Find by name"
          aria-label="Find by name"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {folders.length > 1 && (
          <select aria-label="Folder" value={route.folder} onChange={(event) => go({ ...route, folder: event.currentTarget.value })}>
            <option value="">All folders</option>
            {folders.map(({ name, files }) => (
              <option value={name}>
                {name} ({number(files)})
              </option>
            ))}
          </select>
        )}
        <select aria-label="Order" value={route.order} onChange={(event) => go({ ...route, order: event.currentTarget.value })}>
          {ORDERS.map(([order, name]) => (
            <option value={order}>{name}</option>
          ))}
        </select>
        {collection.columns.length > 0 && (
          <select
            aria-label="Group by"
            value={route.column}
            onChange={(event) => go({ ...route, column: event.currentTarget.value, value: null })}
          >
            <option value="">Not grouped</option>
            {collection.columns.map((column) => (
              <option value={column}>By {column}</option>
            ))}
          </select>
        )}
        {route.column && route.value !== null && (
          <a class="button" href={to(collection.name, { ...route, value: null })} aria-label={`${route.column}: ${route.value || "nothing is said"}; show all groups`}>
            {route.value || "Nothing is said"} <span aria-hidden="true">×</span>
          </a>
        )}
        {collection.skipped > 0 && (
          <a class="end" href={to(collection.name, { view: "skipped" })}>
            {number(collection.skipped)} could not be read
          </a>
        )}
      </div>
      {route.column && route.value === null ? (
        <Values collection={collection.name} route={route} version={version} complain={complain} />
      ) : (
        <Grid
          collection={collection.name}
          listing={{
            text: route.text,
            folder: route.folder,
            order: route.order,
            ...(route.column ? { column: route.column, value: route.value ?? "" } : {}),
          }}
          version={version}
          href={(picture) => to(collection.name, { view: "search", query: [{ picture: picture.id }] })}
          does="search with it"
          empty={route.text || route.folder || route.column ? "No picture is called so." : "There are no pictures yet."}
          onMore={setOpened}
        />
      )}
      {opened && !removing && (
        <Dialog name={`About ${fileName(opened.name)}`} onClose={() => setOpened(null)}>
          <img class="shown" src={api.view(collection.name, opened.id, 640)} alt={opened.name} />
          <About collection={collection.name} picture={opened} />
          <div class="row end">
            {mayWrite && sought && (
              <button type="button" onClick={() => (setOpened(null), setMissing(opened))}>
                It shows what I searched for last…
              </button>
            )}
            {mayWrite && (
              <button type="button" class="danger" onClick={() => setRemoving(opened)}>
                Remove…
              </button>
            )}
            <a class="button strong" href={to(collection.name, { view: "search", query: [{ picture: opened.id }] })}>
              Search with it
            </a>
            <button type="button" onClick={() => setOpened(null)}>
              Close
            </button>
          </div>
        </Dialog>
      )}
      {missing && <Missed collection={collection.name} picture={missing} onDone={(region) => missed(missing, region)} onClose={() => setMissing(null)} />}
      {removing && (
        <Ask
          question={`Remove ${fileName(removing.name)} from the collection?`}
          why="It will not be found any more. The file itself is not deleted."
          yes="Remove"
          onYes={() => remove(removing)}
          onNo={() => setRemoving(null)}
        />
      )}
    </>
  );
}

/** A match that was missed: where the picture shows it, drawn by hand. */
function Missed(props: { collection: string; picture: Picture; onDone: (region: Box | null) => void; onClose: () => void }) {
  const { collection, picture } = props;
  const [boxes, setBoxes] = useState<Box[]>([]);
  return (
    <Dialog name="Where does it show it?" class="small drawing" onClose={props.onClose}>
      <h2>Where does it show it?</h2>
      <p>Draw a box around what you searched for. Without one, all of the picture counts.</p>
      <div class="drawing-place">
        <Boxes
          url={api.view(collection, picture.id, 1024)}
          name={picture.name}
          size={picture.size}
          boxes={boxes}
          zoom={1}
          onChange={(drawn) => setBoxes(drawn.slice(-1))}
        />
      </div>
      <div class="row end">
        <button type="button" onClick={() => setBoxes([boxInMiddle(picture.size)])}>
          Add a box
        </button>
        <button type="button" onClick={props.onClose}>
          Not this one
        </button>
        <button type="button" class="strong" onClick={() => props.onDone(boxes[0] ?? null)}>
          Mark it as right
        </button>
      </div>
    </Dialog>
  );
}
