/** The frame of the page: which collection, what is under way, and the view that the address asks for. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Collection, type Session, type Start as Begun, type Unusable, Refused, api, sendPictures } from "./api";
import { Browse } from "./browse";
import { Links } from "./columns";
import { dropped } from "./drop";
import { Groups } from "./groups";
import { JobLine, useJob } from "./jobs";
import { Keys } from "./keys";
import { Marks, Skips } from "./lists";
import { Network } from "./network";
import { AddFolder, Manifest } from "./places";
import { Dialog, Menu, writes } from "./parts";
import { begin } from "./query";
import { type Route, HOME, go, to, useRoute } from "./route";
import { forget } from "./searching";
import { Search } from "./search";
import { Start } from "./start";
import { ManyQueries, giveFor } from "./table";
import { counted, number, sentence } from "./words";

/** What every view is handed. */
export interface Shared {
  collection: Collection;
  route: Route;
  /** Goes up whenever pictures came or went. */
  version: number;
  say: (message: string) => void;
  complain: (fault: unknown) => void;
  give: (file: Blob) => void;
  /** One picture is searched for; of several it is asked what is meant. */
  giveMany: (files: File[]) => void;
  changed: () => void;
  startJob: (kind: Begun["kind"]) => void;
  /** Hosts from which the service fetches pictures; none where its owner named none. */
  hosts: string[];
  giveAddress: (url: string) => void;
  mayWrite: boolean;
}

function isPicture(file: File): boolean {
  // Formats that the system does not know have no type: whether they are pictures the service tells.
  return !file.type || file.type.startsWith("image/");
}

export function App() {
  const route = useRoute();
  const [session, setSession] = useState<Session | null>(null);
  const [collections, setCollections] = useState<Collection[] | null>(null);
  const [unusable, setUnusable] = useState<Unusable[]>([]);
  const [fault, setFault] = useState<Refused | null>(null);
  const [message, setMessage] = useState<{ text: string; bad: boolean } | null>(null);
  const [version, setVersion] = useState(0);
  const [keys, setKeys] = useState(false);
  const [over, setOver] = useState(false);
  const [several, setSeveral] = useState<File[] | null>(null);
  const [asking, setAsking] = useState<"folder" | "manifest" | "network" | "links" | null>(null);
  const [adding, setAdding] = useState<{ sent: number; count: number; stop: AbortController } | null>(null);

  const say = useCallback((text: string) => setMessage({ text, bad: false }), []);
  const complain = useCallback((told: unknown) => {
    const text = told instanceof Refused ? [told.message, told.problem.remedy].map(sentence).join(" ").trim() : String(told);
    setMessage({ text, bad: true });
  }, []);

  const load = useCallback(async () => {
    try {
      const here = await api.session();
      setSession(here);
      if (!here.scopes.length) return;
      const found = await api.collections();
      setUnusable(found.unusable);
      setCollections(found.usable);
      setFault(null);
    } catch (told) {
      setFault(told instanceof Refused ? told : new Refused({ title: String(told), status: 0 }));
    }
  }, []);
  useEffect(() => void load(), [load]);

  const changed = useCallback(() => {
    forget();
    setVersion((count) => count + 1);
    void load();
  }, [load]);

  const collection = collections?.find(({ name }) => name === route.collection) ?? null;
  useEffect(() => {
    const only = collections?.[0];
    if (!route.collection && only) go({ ...HOME, collection: only.name }, true);
  }, [collections, route.collection]);
  useEffect(() => {
    document.title = collection ? `${collection.name} – camseek` : "camseek";
  }, [collection?.name]);

  const { job, follow } = useJob(collection?.name ?? "", collection?.job ?? null, changed);

  const mayWrite = Boolean(collection?.writable && session?.scopes.includes("write"));
  // What went wrong elsewhere is no news here.
  useEffect(() => setMessage((now) => (now?.bad ? null : now)), [route.collection, route.view]);

  const give = useCallback(
    (file: Blob) => {
      if (!collection) return;
      void begin(file, collection.limits.upload_bytes, (query) => {
        const now = location.hash;
        // Whoever went on to something else meanwhile is not called back.
        if (now.startsWith(to(collection.name, { view: "search" }))) go({ ...HOME, collection: collection.name, view: "search", query }, true);
      });
      go({ ...HOME, collection: collection.name, view: "search" });
    },
    [collection],
  );

  const giveMany = useCallback(
    (given: File[]) => {
      const pictures = given.filter(isPicture);
      if (pictures.length > 1 && mayWrite) setSeveral(pictures);
      else if (pictures[0]) give(pictures[0]);
      else if (given.length) complain(new Refused({ title: "That is no picture.", status: 0 }));
      return given.length > 0;
    },
    [mayWrite, give, complain],
  );

  const giveAddress = useCallback(
    (text: string | undefined) => {
      const url = text?.trim() ?? "";
      if (!collection || !/^https?:\/\/\S+$/i.test(url)) return;
      say("That picture is being fetched…");
      api.remote(url).then(({ id }) => go({ ...HOME, collection: collection.name, view: "search", query: [{ upload: id }] }), complain);
    },
    [collection, say, complain],
  );

  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      if (writes(event.target)) return;
      if (giveMany([...(event.clipboardData?.files ?? [])])) event.preventDefault();
      else giveAddress(event.clipboardData?.getData("text/plain"));
    };
    const brings = (event: DragEvent) => event.dataTransfer?.types.some((type) => type === "Files" || type === "text/uri-list");
    const dragging = (event: DragEvent) => {
      if (!brings(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const left = (event: DragEvent) => event.relatedTarget === null && setOver(false);
    const drop = (event: DragEvent) => {
      if (!brings(event)) return;
      event.preventDefault();
      setOver(false);
      const carried = event.dataTransfer;
      if (!carried) return;
      const address = carried.getData("text/uri-list").split("\n")[0]; // gone once this handler has ended
      void dropped(carried).then((files) => giveMany(files) || giveAddress(address));
    };
    const help = (event: KeyboardEvent) => {
      if (event.key !== "?" || writes(event.target)) return;
      event.preventDefault();
      setKeys(true);
    };
    addEventListener("paste", paste);
    addEventListener("dragover", dragging);
    addEventListener("dragleave", left);
    addEventListener("drop", drop);
    addEventListener("keydown", help);
    return () => {
      removeEventListener("paste", paste);
      removeEventListener("dragover", dragging);
      removeEventListener("dragleave", left);
      removeEventListener("drop", drop);
      removeEventListener("keydown", help);
    };
  }, [giveMany, giveAddress]);

  const startJob = (kind: Begun["kind"]) => {
    if (collection) api.start(kind, collection.name).then(follow, complain);
  };
  const send = async (what: "pictures" | "batch/files", files: File[]) => {
    if (!collection || !files.length) return;
    const stop = new AbortController();
    const count = files.length;
    setAdding({ sent: 0, count, stop });
    try {
      const started = await sendPictures(collection.name, what, files, (sent) => setAdding({ sent, count, stop }), stop.signal);
      follow(started);
      if (what === "batch/files") giveFor(started.id, files);
      if (what === "batch/files") go({ ...HOME, collection: collection.name, view: "table", id: started.id });
    } catch (told) {
      if (!stop.signal.aborted) complain(told);
    } finally {
      setAdding(null);
    }
  };
  const table = (file: File) => {
    if (!collection) return;
    api.putTable(collection.name, file).then(({ matched, columns, ambiguous }) => {
      const first = ambiguous.slice(0, 3).join(", ");
      const left = ambiguous.length
        ? ` ${counted(ambiguous.length, "name is", "names are")} in several folders, and left out (${first}): write the folder before it, too.`
        : "";
      say(`${counted(matched, "picture")} in it: ${columns.join(", ")} are shown beside them.${left}`);
      changed();
    }, complain);
  };

  if (fault) return <Broken fault={fault} again={load} />;
  if (session && !session.scopes.length) return <SignIn again={load} />;
  if (!collections) return <main class="centre" aria-busy="true" />;
  if (!collection)
    return (
      <main id="main" class="centre">
        {(route.collection || !collections.length) && <NotHere name={route.collection} collections={collections} unusable={unusable} again={load} />}
      </main>
    );

  const shared: Shared = { collection, route, version, say, complain, give, giveMany, changed, startJob, hosts: session?.hosts ?? [], giveAddress, mayWrite };
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>
        Skip to the pictures
      </a>
      <header class="head">
        <a class="brand" href={to(collection.name, {})} aria-label="camseek: start">
          <img src="icon.svg" alt="" width="28" height="28" />
          <span>camseek</span>
        </a>
        <Which collections={collections} unusable={unusable} now={collection} />
        <nav aria-label="Views">
          <Tab route={route} view="start" name="Search" />
          <Tab route={route} view="browse" name="Browse" />
          <Tab route={route} view="marks" name="Marks" />
        </nav>
        <div class="row end">
          {mayWrite && <AddMenu onAdd={(files) => void send("pictures", files)} onTable={table} onUpdate={collection.roots.length ? () => startJob("index") : null} onFolder={session?.folders ? () => setAsking("folder") : null} onManifest={session?.hosts.length ? () => setAsking("manifest") : null} onLinks={collection.columns.length ? () => setAsking("links") : null} />}
          <Menu label="More">
            <a data-closes href={to(collection.name, { view: "groups" })}>
              Pictures that belong together
            </a>
            {collection.skipped > 0 && (
              <a data-closes href={to(collection.name, { view: "skipped" })}>
                {number(collection.skipped)} that could not be read
              </a>
            )}
            {mayWrite && (
              <button type="button" data-closes onClick={() => setAsking("network")}>
                Another network…
              </button>
            )}
            <button type="button" data-closes onClick={() => setKeys(true)}>
              Keys <kbd>?</kbd>
            </button>
            {session?.needs_token && (
              <button type="button" data-closes onClick={() => api.signOut().then(() => location.reload(), complain)}>
                Leave
              </button>
            )}
          </Menu>
        </div>
      </header>
      {adding && (
        <div class="job" role="status">
          <span>
            Sending {number(adding.count)} {adding.count === 1 ? "picture" : "pictures"}…
          </span>
          <progress max={1} value={adding.sent} aria-label="Sent" />
          <button type="button" onClick={() => adding.stop.abort()}>
            Cancel
          </button>
        </div>
      )}
      {job && <JobLine job={job} complain={complain} mayCancel={mayWrite} onClose={() => follow(null)} />}
      {!job && collection.held > 0 && mayWrite && (
        <div class="job" role="status">
          <span>
            {counted(collection.held, "picture")} gone from the folder, and kept here: a disk may not be plugged in.
          </span>
          <button
            type="button"
            class="end"
            onClick={() => void api.start("index", collection.name, { allow_removal: true }).then(follow, complain)}
          >
            Let them go
          </button>
        </div>
      )}
      <main id="main" tabIndex={-1}>
        <Viewed {...shared} />
      </main>
      {several && (
        <Dialog name={`${several.length} pictures`} onClose={() => setSeveral(null)}>
          <h2>{number(several.length)} pictures</h2>
          <p>Each can be searched for on its own: you get a table of what was found. Or take the first alone.</p>
          <div class="row end">
            <button type="button" onClick={() => setSeveral(null)}>
              Neither
            </button>
            <button type="button" onClick={() => (setSeveral(null), several[0] && give(several[0]))}>
              The first alone
            </button>
            <button type="button" class="strong" onClick={() => (setSeveral(null), void send("batch/files", several))}>
              Search for each
            </button>
          </div>
        </Dialog>
      )}
      {asking === "folder" && <AddFolder collection={collection.name} onJob={follow} complain={complain} onClose={() => setAsking(null)} />}
      {asking === "links" && <Links collection={collection} say={say} complain={complain} onDone={changed} onClose={() => setAsking(null)} />}
      {asking === "network" && <Network collection={collection} onJob={follow} complain={complain} onClose={() => setAsking(null)} />}
      {asking === "manifest" && (
        <Manifest
          collection={collection.name}
          hosts={session?.hosts ?? []}
          onJob={(started, use) => {
            follow(started);
            if (use === "batch") go({ ...HOME, collection: collection.name, view: "table", id: started.id });
          }}
          complain={complain}
          onClose={() => setAsking(null)}
        />
      )}
      {keys && <Keys onClose={() => setKeys(false)} />}
      {over && (
        <div class="drop-here" aria-hidden="true">
          <p>Drop the picture here to search with it</p>
        </div>
      )}
      <Message message={message} onGone={() => setMessage(null)} />
    </>
  );
}

function NotHere(props: {
  name: string | null;
  collections: Collection[];
  unusable: Unusable[];
  again: () => Promise<void>;
}) {
  const faulty = props.unusable.filter(({ name }) => !props.name || name === props.name);
  return (
    <>
      <h1>{faulty.length ? "These pictures cannot be used just now" : "There is no collection of this name here"}</h1>
      {faulty.map(({ name, problem }) => (
        <p>
          <strong>{name}</strong>: {sentence(problem.detail)}
        </p>
      ))}
      {props.collections.length > 0 && (
        <ul>
          {props.collections.map(({ name }) => (
            <li>
              <a href={to(name, {})}>{name}</a>
            </li>
          ))}
        </ul>
      )}
      <button type="button" onClick={() => void props.again()}>
        Look again
      </button>
    </>
  );
}

function Viewed(shared: Shared) {
  switch (shared.route.view) {
    case "start":
      return <Start {...shared} />;
    case "search":
      return <Search {...shared} />;
    case "browse":
      return <Browse {...shared} />;
    case "marks":
      return <Marks {...shared} />;
    case "skipped":
      return <Skips {...shared} />;
    case "table":
      return <ManyQueries {...shared} />;
    case "groups":
      return <Groups {...shared} />;
  }
}

function Tab({ route, view, name }: { route: Route; view: Route["view"]; name: string }) {
  const here = route.view === view || (view === "start" && route.view === "search");
  return (
    <a href={to(route.collection, { view })} aria-current={here ? "page" : undefined}>
      {name}
    </a>
  );
}

function Which({ collections, unusable, now }: { collections: Collection[]; unusable: Unusable[]; now: Collection }) {
  const count = `${number(now.pictures)} ${now.pictures === 1 ? "picture" : "pictures"}`;
  return (
    <div class="which">
      {collections.length + unusable.length > 1 ? (
        <select
          aria-label="Collection"
          value={now.name}
          onChange={(event) => go({ ...HOME, collection: event.currentTarget.value })}
        >
          {collections.map(({ name }) => (
            <option value={name}>{name}</option>
          ))}
          {unusable.map(({ name }) => (
            <option value={name}>{name} (cannot be used just now)</option>
          ))}
        </select>
      ) : (
        <strong>{now.name}</strong>
      )}
      <span class="quiet">{count}</span>
    </div>
  );
}

function AddMenu(props: {
  onAdd: (files: File[]) => void;
  onTable: (file: File) => void;
  onUpdate: (() => void) | null;
  onFolder: (() => void) | null;
  onManifest: (() => void) | null;
  onLinks: (() => void) | null;
}) {
  const { onAdd, onTable, onUpdate, onFolder, onManifest, onLinks } = props;
  const input = useRef<HTMLInputElement>(null);
  const table = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        class="unseen"
        tabIndex={-1}
        aria-label="Pictures to add to the collection"
        multiple
        onChange={(event) => {
          onAdd([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = "";
        }}
      />
      <input
        ref={table}
        type="file"
        class="unseen"
        tabIndex={-1}
        aria-label="Table of what is known of the pictures"
        accept=".csv,text/csv"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) onTable(file);
          event.currentTarget.value = "";
        }}
      />
      <Menu label="Add">
        <button type="button" data-closes onClick={() => input.current?.click()}>
          Add pictures…
        </button>
        {onFolder && (
          <button type="button" data-closes onClick={onFolder}>
            Add a folder…
          </button>
        )}
        {onManifest && (
          <button type="button" data-closes onClick={onManifest}>
            Pictures of a IIIF manifest…
          </button>
        )}
        {onUpdate && (
          <button type="button" data-closes onClick={onUpdate}>
            Look for new and changed pictures
          </button>
        )}
        <button type="button" data-closes onClick={() => table.current?.click()}>
          Add titles and links from a table (CSV)…
        </button>
        {onLinks && (
          <button type="button" data-closes onClick={onLinks}>
            What its columns lead to…
          </button>
        )}
      </Menu>
    </>
  );
}

function Message({ message, onGone }: { message: { text: string; bad: boolean } | null; onGone: () => void }) {
  useEffect(() => {
    if (!message || message.bad) return;
    const timer = setTimeout(onGone, 6000);
    return () => clearTimeout(timer);
  }, [message]);
  return (
    <div class="message-place" role="status" aria-live="polite">
      {message && (
        <p class={message.bad ? "message bad" : "message"}>
          {message.text}
          <button type="button" aria-label="Close this message" onClick={onGone}>
            <span aria-hidden="true">×</span>
          </button>
        </p>
      )}
    </div>
  );
}

function SignIn({ again }: { again: () => Promise<void> }) {
  const [fault, setFault] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const enter = (event: Event) => {
    event.preventDefault();
    api.signIn(field.current?.value.trim() ?? "").then(again, (told: unknown) =>
      setFault(told instanceof Refused && told.problem.status !== 401 ? sentence(told.message) : "This word is not the right one."),
    );
  };
  return (
    <main id="main" class="centre">
      <h1>Who is there?</h1>
      <p>Whoever runs this camseek has given you an access word.</p>
      <form onSubmit={enter} class="row">
        <input ref={field} type="password" autocomplete="current-password" aria-label="Access word" required />
        <button class="strong">Go in</button>
      </form>
      <p class="fault" role="alert">
        {fault}
      </p>
    </main>
  );
}

function Broken({ fault, again }: { fault: Refused; again: () => Promise<void> }) {
  return (
    <main class="centre">
      <div role="alert">
        <h1>{sentence(fault.message)}</h1>
      </div>
      {fault.problem.remedy && <p>{sentence(fault.problem.remedy)}</p>}
      <button type="button" class="strong" onClick={() => void again()}>
        Try again
      </button>
    </main>
  );
}

